//! `sepconv eval`: accuracy on labelled images, and how near int8 is to the float network.

use super::failure::Failure;
use super::model_file::{ANY_LAYOUT, ModelFile, read};
use super::quantize::float_graph;
use super::samples::Samples;
use super::{output, report};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use sepconv::{AlignedVec, Model};
use sepconv_quantize::evaluate::{Layer, layers, rank};
use sepconv_quantize::float;
use sepconv_quantize::graph::Graph;
use sepconv_quantize::inference::dequantize;
use sepconv_quantize::network::Preprocess;
use sepconv_quantize::report::{Accuracy, FloatAccuracy, Report, activations};
use sepconv_quantize::summary::Summary;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// A .sepc file.
    model: PathBuf,
    /// The images: a folder, or a data set (MNIST IDX or CIFAR-10 files) of which the test part is used.
    #[arg(long, value_name = "DIR", required_unless_present = "inputs")]
    images: Option<PathBuf>,
    /// Inputs that are no images, instead: an .npz archive with arrays `input` [n, height, width, channels] and `label`,
    /// or an .npy array and --labels. float32 values are what the network takes; integers become that by the model's
    /// mean and standard deviation, and without these are its quantized values.
    #[arg(long, value_name = "ARRAY", conflicts_with = "images")]
    inputs: Option<PathBuf>,
    /// A table of labels: file name, class index, and possibly more, separated by tabs. Without it, `labels.tsv` in the
    /// folder of images. For --inputs, an .npy array of integers.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The float network that the model was made from, to compare with.
    #[arg(long, value_name = "F.onnx")]
    float: Option<PathBuf>,
    /// Kernels to run with, one of `sepconv isa`.
    #[arg(long, value_name = "NAME")]
    isa: Option<String>,
    #[command(flatten)]
    report: report::Arguments,
}

/// Images of which every layer is compared.
const LAYER_IMAGES: usize = 8;

/// An image's class and the class that comes first; where the right one is found among the outputs, from 0; likewise for
/// the float network; and whether both put the same class first.
struct Verdict {
    class: usize,
    found: usize,
    int8: usize,
    float: Option<(usize, bool)>,
}

pub fn main(arguments: &Arguments, as_json: bool) -> Result<(), Failure> {
    let file = ModelFile::open(&arguments.model, arguments.isa.as_deref())?;
    let model = file.model()?;
    let metadata = Summary::of(&model).metadata;
    let graph = arguments.float.as_deref().map(float_graph).transpose()?;
    if let (Some(graph), Some(path)) = (&graph, &arguments.float) {
        check_same_interface(graph, &model).map_err(|what| Failure::input(path, what))?;
    }
    let (samples, labels) = samples(arguments, metadata.preprocess.as_ref(), &model)?;
    let classes = model.output().shape.channels;
    if let Some(class) = labels.iter().find(|class| **class >= classes) {
        return Err(Failure::Input(format!(
            "class {class} is labelled, but the model has {classes} classes"
        )));
    }

    let bar = progress_bar(labels.len(), as_json);
    let verdict = |arena: &mut AlignedVec<i8>, number: usize| {
        let class = labels[number] as usize;
        let output = model.output();
        let mut bytes = vec![0; output.bytes()];
        model
            .run(&samples.quantized(number, &model.input()), arena, &mut bytes)
            .expect("sizes are the model's");
        let int8 = dequantize(&bytes, &output);
        let first = |values: &[f32]| {
            let first = (0..values.len()).find(|class| rank(values, *class) == 0);
            first.expect("some output comes first")
        };
        let float = graph.as_ref().map(|graph| {
            let real = float::run(graph, &samples.real(number)).expect("the shapes were compared");
            (rank(&real, class), first(&real) == first(&int8))
        });
        bar.inc(1);
        Verdict {
            class,
            found: first(&int8),
            int8: rank(&int8, class),
            float,
        }
    };
    let verdicts: Vec<Verdict> = (0..labels.len())
        .into_par_iter()
        .map_init(
            || AlignedVec::zeroed(model.arena_len()),
            |arena, number| verdict(arena, number),
        )
        .collect();
    bar.finish_and_clear();
    let compared = samples.len().min(LAYER_IMAGES);
    let inputs: Vec<Vec<f32>> = (0..compared).map(|number| samples.real(number)).collect();
    let layers = graph.as_ref().map_or_else(Vec::new, |graph| {
        layers(&model, &metadata.operators, graph, &inputs)
    });
    let accuracy = summarize(&verdicts);
    if arguments.report.wanted() {
        write_report(arguments, &accuracy, &layers, graph.as_ref(), &inputs)?;
    }
    print(&accuracy, &layers, &model, as_json)
}

/// The inputs to measure on, with their classes.
fn samples(
    arguments: &Arguments,
    preprocess: Option<&Preprocess>,
    model: &Model,
) -> Result<(Samples, Vec<u32>), Failure> {
    let (input, labels) = (model.input(), arguments.labels.as_deref());
    match (&arguments.images, &arguments.inputs, preprocess) {
        (_, Some(array), _) => Samples::labelled_array(array, labels, preprocess, &input),
        (Some(folder), None, Some(preprocess)) => {
            Samples::labelled_images(folder, labels, preprocess, input.shape)
        }
        _ => Err(Failure::input(
            &arguments.model,
            "does not say how images become inputs; quantize it again with --mean M --std S",
        )),
    }
}

/// Writes the page, from the file as it is: once packed, weights cannot be told apart.
fn write_report(
    arguments: &Arguments,
    accuracy: &Accuracy,
    layers: &[Layer],
    graph: Option<&Graph>,
    inputs: &[Vec<f32>],
) -> Result<(), Failure> {
    let bytes = read(&arguments.model)?;
    let model =
        Model::with_kernels(&bytes, &ANY_LAYOUT).map_err(|error| Failure::input(&arguments.model, error))?;
    let activations = match graph {
        Some(graph) => activations(&model, graph, inputs).expect("the shapes were compared"),
        None => Vec::new(),
    };
    arguments.report.write(&Report {
        model: &model,
        accuracy: Some(accuracy),
        noise: layers,
        activations: &activations,
        trials: &[],
        board: arguments.report.board(),
    })
}

fn check_same_interface(graph: &Graph, model: &Model) -> Result<(), String> {
    let (from, to) = (graph.shape(graph.input), graph.shape(graph.output));
    let fits =
        from.elements() == model.input().shape.values() && to.elements() == model.output().shape.values();
    if fits {
        Ok(())
    } else {
        Err(format!(
            "takes {from} and gives {to}, unlike the model; is the model made from it?"
        ))
    }
}

fn progress_bar(images: usize, hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{elapsed:>4} {bar:30} {pos}/{len} images, {eta} left");
    ProgressBar::new(images as u64).with_style(style.expect("the template is sound"))
}

fn summarize(verdicts: &[Verdict]) -> Accuracy {
    let share = |holds: &dyn Fn(&Verdict) -> bool| {
        verdicts.iter().filter(|verdict| holds(verdict)).count() as f64 / verdicts.len().max(1) as f64
    };
    let float_within = |limit: usize| share(&|verdict| verdict.float.is_some_and(|(rank, _)| rank < limit));
    let mut confusion = BTreeMap::new();
    for verdict in verdicts {
        *confusion.entry((verdict.class, verdict.found)).or_insert(0) += 1;
    }
    Accuracy {
        count: verdicts.len(),
        top1: share(&|verdict| verdict.int8 < 1),
        top5: share(&|verdict| verdict.int8 < 5),
        float: verdicts
            .iter()
            .any(|verdict| verdict.float.is_some())
            .then(|| FloatAccuracy {
                top1: float_within(1),
                top5: float_within(5),
                agreement: share(&|verdict| verdict.float.is_some_and(|(_, same)| same)),
            }),
        confusion,
    }
}

fn print(accuracy: &Accuracy, layers: &[Layer], model: &Model, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let mut object = json!({
            "count": accuracy.count,
            "isa": model.kernels().name,
            "top1": accuracy.top1,
            "top5": accuracy.top5,
            "agreement": accuracy.float.map(|float| float.agreement),
        });
        if let Some(float) = accuracy.float {
            object["float_top1"] = float.top1.into();
            object["float_top5"] = float.top5.into();
            object["layers"] = json!(layers);
        }
        return output::json(&object);
    }
    if !layers.is_empty() {
        let mut table = output::table(&["layer", "signal to noise"], 0);
        for layer in layers {
            table.add_row([layer.name.clone(), format!("{:.1} dB", layer.decibels)]);
        }
        output::text(&format!("{table}\n"))?;
    }
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let float =
        |share: fn(FloatAccuracy) -> f64| accuracy.float.map_or("-".into(), |float| percent(share(float)));
    let mut table = output::table(&[&format!("{} images", accuracy.count), "int8", "fp32"], 0);
    table.add_row([
        "top-1".to_string(),
        percent(accuracy.top1),
        float(|float| float.top1),
    ]);
    table.add_row([
        "top-5".to_string(),
        percent(accuracy.top5),
        float(|float| float.top5),
    ]);
    if let Some(found) = accuracy.float {
        table.add_row([
            "same class as fp32".to_string(),
            percent(found.agreement),
            String::new(),
        ]);
    }
    output::text(&table.to_string())
}

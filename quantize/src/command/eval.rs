//! `sepconv eval`: accuracy on labelled images, and how near int8 is to the float network.

use super::failure::Failure;
use super::model_file::{ANY_LAYOUT, ModelFile, read};
use super::quantize::float_graph;
use super::samples::Labelled;
use super::{output, report};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use sepconv::{AlignedVec, Model};
use sepconv_quantize::evaluate::{Layer, layers, rank};
use sepconv_quantize::float;
use sepconv_quantize::graph::Graph;
use sepconv_quantize::inference::dequantize;
use sepconv_quantize::report::{Accuracy, FloatAccuracy, Report, activations};
use sepconv_quantize::summary::Summary;
use sepconv_quantize::write::write_file;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// A .sepc file.
    model: PathBuf,
    #[command(flatten)]
    labelled: Labelled,
    /// The float network that the model was made from, to compare with.
    #[arg(long, value_name = "F.onnx")]
    float: Option<PathBuf>,
    /// Kernels to run with, one of `sepconv isa`.
    #[arg(long, value_name = "NAME")]
    isa: Option<String>,
    /// Also write which class came first for each input: a table with its number, its class, and the classes by int8 and,
    /// with --float, by fp32, separated by tabs.
    #[arg(long, value_name = "OUT.tsv")]
    classes: Option<PathBuf>,
    #[command(flatten)]
    report: report::Arguments,
}

/// Images of which every layer is compared.
const LAYER_IMAGES: usize = 8;

/// An input's class, and what the networks make of it.
struct Verdict {
    class: usize,
    int8: Found,
    float: Option<Found>,
}

/// What a network makes of an input.
#[derive(Clone, Copy)]
struct Found {
    /// The class that comes first.
    first: usize,
    /// Where the right class is among the outputs, from 0.
    rank: usize,
}

impl Found {
    fn of(outputs: &[f32], class: usize) -> Self {
        let first = (0..outputs.len()).find(|class| rank(outputs, *class) == 0);
        Found {
            first: first.expect("some output comes first"),
            rank: rank(outputs, class),
        }
    }
}

pub fn main(arguments: &Arguments, as_json: bool) -> Result<(), Failure> {
    let file = ModelFile::open(&arguments.model, arguments.isa.as_deref())?;
    let model = file.model()?;
    let metadata = Summary::of(&model).metadata;
    let graph = arguments.float.as_deref().map(float_graph).transpose()?;
    if let (Some(graph), Some(path)) = (&graph, &arguments.float) {
        check_same_interface(graph, &model).map_err(|what| Failure::input(path, what))?;
    }
    let (samples, labels) =
        arguments
            .labelled
            .read(&arguments.model, metadata.preprocess.as_ref(), &model.input())?;
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
        let float = graph.as_ref().map(|graph| {
            let real = float::run(graph, &samples.real(number)).expect("the shapes were compared");
            Found::of(&real, class)
        });
        bar.inc(1);
        Verdict {
            class,
            int8: Found::of(&dequantize(&bytes, &output), class),
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
    if let Some(path) = &arguments.classes {
        write_file(path, table_of_classes(&verdicts).as_bytes())
            .map_err(|error| Failure::Environment(error.to_string()))?;
    }
    let accuracy = summarize(&verdicts);
    if arguments.report.wanted() {
        write_report(arguments, &accuracy, &layers, graph.as_ref(), &inputs)?;
    }
    print(&accuracy, &layers, &model, as_json)
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

fn table_of_classes(verdicts: &[Verdict]) -> String {
    let row = |(number, verdict): (usize, &Verdict)| {
        let float = verdict
            .float
            .map_or(String::new(), |float| format!("\t{}", float.first));
        format!("{number}\t{}\t{}{float}\n", verdict.class, verdict.int8.first)
    };
    verdicts.iter().enumerate().map(row).collect()
}

fn summarize(verdicts: &[Verdict]) -> Accuracy {
    let share = |holds: &dyn Fn(&Verdict) -> bool| {
        verdicts.iter().filter(|verdict| holds(verdict)).count() as f64 / verdicts.len().max(1) as f64
    };
    let float_within = |limit: usize| share(&|verdict| verdict.float.is_some_and(|float| float.rank < limit));
    let mut confusion = BTreeMap::new();
    for verdict in verdicts {
        *confusion.entry((verdict.class, verdict.int8.first)).or_insert(0) += 1;
    }
    Accuracy {
        count: verdicts.len(),
        top1: share(&|verdict| verdict.int8.rank < 1),
        top5: share(&|verdict| verdict.int8.rank < 5),
        float: verdicts
            .iter()
            .any(|verdict| verdict.float.is_some())
            .then(|| FloatAccuracy {
                top1: float_within(1),
                top5: float_within(5),
                agreement: share(&|verdict| {
                    verdict
                        .float
                        .is_some_and(|float| float.first == verdict.int8.first)
                }),
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

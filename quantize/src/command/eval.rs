//! `sepconv eval`: accuracy on labelled images, and how near int8 is to the float network.

use super::failure::Failure;
use super::model_file::ModelFile;
use super::quantize::float_graph;
use super::{images, output};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use sepconv::{AlignedVec, Model};
use sepconv_quantize::evaluate::{Layer, layers, rank};
use sepconv_quantize::float;
use sepconv_quantize::graph::Graph;
use sepconv_quantize::inference::dequantize;
use sepconv_quantize::preprocess::Preprocessor;
use sepconv_quantize::summary::Summary;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// A .sepc file.
    model: PathBuf,
    /// The images: a folder, or a data set (MNIST IDX or CIFAR-10 files) of which the test part is used.
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// A table of labels: file name, class index, and possibly more, separated by tabs. Without it, `labels.tsv` in the
    /// folder of images.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The float network that the model was made from, to compare with.
    #[arg(long, value_name = "F.onnx")]
    float: Option<PathBuf>,
    /// Kernels to run with, one of `sepconv isa`.
    #[arg(long, value_name = "NAME")]
    isa: Option<String>,
}

/// Images of which every layer is compared.
const LAYER_IMAGES: usize = 8;

/// Where an image's class is found among its outputs, from 0; likewise for the float network; and whether both put the
/// same class first.
struct Verdict {
    int8: usize,
    float: Option<(usize, bool)>,
}

pub fn main(arguments: &Arguments, as_json: bool) -> Result<(), Failure> {
    let file = ModelFile::open(&arguments.model, arguments.isa.as_deref())?;
    let model = file.model()?;
    let metadata = Summary::of(&model).metadata;
    let Some(preprocess) = &metadata.preprocess else {
        return Err(Failure::input(
            &arguments.model,
            "does not say how images become inputs; quantize it again with --mean M --std S",
        ));
    };
    let shape = model.input().shape;
    let preprocessor =
        Preprocessor::new(preprocess, shape).map_err(|error| Failure::input(&arguments.model, error))?;
    let graph = arguments.float.as_deref().map(float_graph).transpose()?;
    if let (Some(graph), Some(path)) = (&graph, &arguments.float) {
        check_same_interface(graph, &model).map_err(|what| Failure::input(path, what))?;
    }
    let images = images::labelled(
        &arguments.images,
        arguments.labels.as_deref(),
        &preprocessor,
        shape,
    )?;
    let classes = model.output().shape.channels;
    if let Some((_, class)) = images.iter().find(|(_, class)| *class >= classes) {
        return Err(Failure::Input(format!(
            "class {class} is labelled, but the model has {classes} classes"
        )));
    }

    let bar = progress_bar(images.len(), as_json);
    let verdict = |arena: &mut AlignedVec<i8>, (pixels, class): &(images::Image, u32)| {
        let output = model.output();
        let mut bytes = vec![0; output.bytes()];
        model
            .run(&preprocessor.quantize(pixels, &model.input()), arena, &mut bytes)
            .expect("sizes are the model's");
        let int8 = dequantize(&bytes, &output);
        let float = graph.as_ref().map(|graph| {
            let real = float::run(graph, &preprocessor.normalize(pixels)).expect("the shapes were compared");
            let first = |values: &[f32]| (0..values.len()).find(|class| rank(values, *class) == 0);
            (rank(&real, *class as usize), first(&real) == first(&int8))
        });
        bar.inc(1);
        Verdict {
            int8: rank(&int8, *class as usize),
            float,
        }
    };
    let verdicts: Vec<Verdict> = images
        .par_iter()
        .map_init(
            || AlignedVec::zeroed(model.arena_len()),
            |arena, image| verdict(arena, image),
        )
        .collect();
    bar.finish_and_clear();
    let inputs: Vec<Vec<f32>> = images
        .iter()
        .take(LAYER_IMAGES)
        .map(|(pixels, _)| preprocessor.normalize(pixels))
        .collect();
    let layers = graph.as_ref().map_or_else(Vec::new, |graph| {
        layers(&model, &metadata.operators, graph, &inputs)
    });
    report(&verdicts, &layers, &model, as_json)
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

fn report(verdicts: &[Verdict], layers: &[Layer], model: &Model, as_json: bool) -> Result<(), Failure> {
    let count = verdicts.len();
    let share = |holds: &dyn Fn(&Verdict) -> bool| {
        verdicts.iter().filter(|verdict| holds(verdict)).count() as f64 / count.max(1) as f64
    };
    let within = |limit: usize| share(&|verdict| verdict.int8 < limit);
    let float_within = |limit: usize| share(&|verdict| verdict.float.is_some_and(|(rank, _)| rank < limit));
    let agreement = share(&|verdict| verdict.float.is_some_and(|(_, same)| same));
    let with_float = verdicts.iter().any(|verdict| verdict.float.is_some());
    if as_json {
        let mut object = json!({
            "count": count,
            "isa": model.kernels().name,
            "top1": within(1),
            "top5": within(5),
        });
        if with_float {
            object["agreement"] = agreement.into();
            object["float_top1"] = float_within(1).into();
            object["float_top5"] = float_within(5).into();
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
    let mut table = output::table(&[&format!("{count} images"), "int8", "fp32"], 0);
    let float = |share: f64| if with_float { percent(share) } else { "-".into() };
    table.add_row(["top-1".to_string(), percent(within(1)), float(float_within(1))]);
    table.add_row(["top-5".to_string(), percent(within(5)), float(float_within(5))]);
    if with_float {
        table.add_row([
            "same class as fp32".to_string(),
            percent(agreement),
            String::new(),
        ]);
    }
    output::text(&table.to_string())
}

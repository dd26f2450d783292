//! `sepconv inputs`: inputs as a model takes them, for boards and other programs that preprocess nothing.

use super::failure::Failure;
use super::model_file::ModelFile;
use super::npy::{self, Array, Values};
use super::output;
use super::samples::{Labelled, Samples};
use sepconv::Element;
use sepconv_quantize::summary::Summary;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// A .sepc file.
    model: PathBuf,
    #[command(flatten)]
    labelled: Labelled,
    /// Those images or inputs that `quantize --calibrate` would take, instead.
    #[arg(long, value_name = "DIR|ARRAY", conflicts_with_all = ["images", "inputs", "labels"])]
    calibrate: Option<PathBuf>,
    /// How many: the first ones, or to calibrate with as many, evenly spread. All without it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Write real numbers, as the float network takes them.
    #[arg(long)]
    real: bool,
    /// The .npy array to write: int8, with --real float32, [count, height, width, channels].
    #[arg(long, short)]
    output: PathBuf,
}

pub fn main(arguments: &Arguments, as_json: bool) -> Result<(), Failure> {
    let file = ModelFile::open(&arguments.model, None)?;
    let model = file.model()?;
    let input = model.input();
    if input.element != Element::Int8 && !arguments.real {
        return Err(Failure::input(
            &arguments.model,
            "takes int16 input; only int8 is written, and float32 with --real",
        ));
    }
    let preprocess = Summary::of(&model).metadata.preprocess;
    let limit = arguments.count.map_or(usize::MAX, |count| count as usize);
    let (samples, mut classes) = match &arguments.calibrate {
        Some(path) => (
            Samples::calibration(path, preprocess.as_ref(), input.shape, limit)?,
            Vec::new(),
        ),
        None => arguments
            .labelled
            .read(&arguments.model, preprocess.as_ref(), &input)?,
    };
    classes.truncate(limit);
    let count = samples.len().min(limit);
    if count == 0 {
        return Err(Failure::Input("there are no images to write".into()));
    }
    let values = if arguments.real {
        Values::Float32((0..count).flat_map(|number| samples.real(number)).collect())
    } else {
        let quantized = |number| samples.quantized(number, &input);
        Values::Int8((0..count).flat_map(quantized).collect())
    };
    let [height, width, channels] =
        [input.shape.height, input.shape.width, input.shape.channels].map(|length| length as usize);
    let shape = vec![count, height, width, channels];
    npy::write(
        &arguments.output,
        &Array {
            shape: shape.clone(),
            values,
        },
    )?;
    if as_json {
        return output::json(&json!({ "count": count, "shape": shape, "classes": classes }));
    }
    output::text(&format!("wrote {count} inputs of {height}x{width}x{channels}"))
}

//! `sepconv inputs`: images as a model takes them, for boards and other programs that preprocess nothing.

use super::failure::Failure;
use super::model_file::ModelFile;
use super::npy::{self, Array, Values};
use super::{images, output};
use sepconv::Element;
use sepconv_quantize::preprocess::Preprocessor;
use sepconv_quantize::summary::Summary;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// A .sepc file with int8 input.
    model: PathBuf,
    /// The images: a folder with labels, or a data set of which the test part is used, as for `eval`.
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// A table of labels, as for `eval`.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// How many images, the first ones; all without it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// The .npy array to write: int8 [count, height, width, channels].
    #[arg(long, short)]
    output: PathBuf,
}

pub fn main(arguments: &Arguments, as_json: bool) -> Result<(), Failure> {
    let file = ModelFile::open(&arguments.model, None)?;
    let model = file.model()?;
    let input = model.input();
    let Some(preprocess) = Summary::of(&model).metadata.preprocess else {
        return Err(Failure::input(
            &arguments.model,
            "does not say how images become inputs",
        ));
    };
    if input.element != Element::Int8 {
        return Err(Failure::input(
            &arguments.model,
            "takes int16 input; only int8 is written",
        ));
    }
    let preprocessor = Preprocessor::new(&preprocess, input.shape)
        .map_err(|error| Failure::input(&arguments.model, error))?;
    let labels = arguments.labels.as_deref();
    let mut images = images::labelled(&arguments.images, labels, &preprocessor, input.shape)?;
    images.truncate(arguments.count.map_or(usize::MAX, |count| count as usize));
    if images.is_empty() {
        return Err(Failure::input(&arguments.images, "holds no images"));
    }
    let values = images
        .iter()
        .flat_map(|(pixels, _)| preprocessor.quantize(pixels, &input))
        .collect();
    let [height, width, channels] =
        [input.shape.height, input.shape.width, input.shape.channels].map(|length| length as usize);
    let shape = vec![images.len(), height, width, channels];
    let classes: Vec<u32> = images.iter().map(|(_, class)| *class).collect();
    npy::write(
        &arguments.output,
        &Array {
            shape: shape.clone(),
            values: Values::Int8(values),
        },
    )?;
    if as_json {
        return output::json(&json!({ "count": classes.len(), "shape": shape, "classes": classes }));
    }
    output::text(&format!(
        "wrote {} inputs of {height}x{width}x{channels}",
        classes.len()
    ))
}

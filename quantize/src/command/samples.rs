//! What a network is calibrated and measured with: images, or arrays of inputs.

use super::failure::Failure;
use super::images::{self, Image};
use super::npy::{self, Values};
use sepconv::Shape;
use sepconv::model::Tensor;
use sepconv_quantize::inference::quantize;
use sepconv_quantize::network::Preprocess;
use sepconv_quantize::preprocess::Preprocessor;
use std::path::{Path, PathBuf};

/// Where inputs with labels are.
#[derive(clap::Args)]
pub struct Labelled {
    /// The images: a folder, or a data set (MNIST IDX or CIFAR-10 files) of which the test part is used.
    #[arg(long, value_name = "DIR")]
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
}

impl Labelled {
    /// The inputs of a model and their classes. `preprocess` is what the model says of images.
    pub fn read(
        &self,
        model: &Path,
        preprocess: Option<&Preprocess>,
        input: &Tensor,
    ) -> Result<(Samples, Vec<u32>), Failure> {
        let labels = self.labels.as_deref();
        match (&self.images, &self.inputs, preprocess) {
            (_, Some(array), _) => Samples::labelled_array(array, labels, preprocess, input),
            (Some(folder), None, Some(preprocess)) => {
                Samples::labelled_images(folder, labels, preprocess, input.shape)
            }
            (Some(_), None, None) => Err(Failure::input(
                model,
                "does not say how images become inputs; quantize it again with --mean M --std S",
            )),
            (None, None, _) => Err(Failure::Usage(
                "give --images DIR, or --inputs ARRAY if they are no images".into(),
            )),
        }
    }
}

/// Names under which `.npz` archives hold inputs.
const INPUT_NAMES: [&str; 4] = ["input", "inputs", "x", "arr_0"];

/// Names under which `.npz` archives hold class indices.
const LABEL_NAMES: [&str; 4] = ["label", "labels", "y", "arr_1"];

/// Inputs of one network, in memory as they were stored.
pub struct Samples {
    source: Source,
    preprocessor: Preprocessor,
}

enum Source {
    Images(Vec<Image>),
    /// An array, and the values of one input.
    Array(Values, usize),
}

impl Samples {
    /// Images in a folder to calibrate with, or an array of inputs: at most `limit`, evenly spread. `described` says how
    /// pixels or integers become real inputs; real numbers need no description.
    pub fn calibration(
        path: &Path,
        described: Option<&Preprocess>,
        shape: Shape,
        limit: usize,
    ) -> Result<Self, Failure> {
        let described = described.cloned();
        if !npy::is_array(path) {
            let preprocessor = preprocessor(&described.ok_or_else(|| undescribed("images"))?, shape)?;
            let source = Source::Images(images::calibration(path, &preprocessor, shape, limit)?);
            return Ok(Samples { source, preprocessor });
        }
        let values = array(path, shape)?.spread(shape.values(), limit);
        let described = match (described, &values) {
            (Some(described), _) => described,
            (None, Values::Float32(_)) => integers(0.0, 1.0),
            (None, values) => return Err(undescribed(values.type_name())),
        };
        let source = Source::Array(values, shape.values());
        let preprocessor = preprocessor(&described, shape)?;
        Ok(Samples { source, preprocessor })
    }

    /// Images with the classes that a table gives them, or those of a data set.
    fn labelled_images(
        folder: &Path,
        labels: Option<&Path>,
        described: &Preprocess,
        shape: Shape,
    ) -> Result<(Self, Vec<u32>), Failure> {
        let preprocessor = preprocessor(described, shape)?;
        let labelled = images::labelled(folder, labels, &preprocessor, shape)?;
        let (images, labels) = labelled.into_iter().unzip();
        let source = Source::Images(images);
        Ok((Samples { source, preprocessor }, labels))
    }

    /// An array of a model's inputs with their classes, which the same archive or a file of its own holds. Integers for
    /// which nothing is described are the model's quantized values.
    fn labelled_array(
        path: &Path,
        labels: Option<&Path>,
        described: Option<&Preprocess>,
        input: &Tensor,
    ) -> Result<(Self, Vec<u32>), Failure> {
        let values = array(path, input.shape)?;
        let classes = npy::read_labels(labels.unwrap_or(path), &LABEL_NAMES)?;
        let described = match (described, &values) {
            (Some(described), _) => described.clone(),
            // uint8 inputs are stored as int8 less 128, as `run` takes them.
            (None, Values::Uint8(_)) => integers(input.zero_point as f32 + 128.0, 1.0 / input.scale),
            (None, _) => integers(input.zero_point as f32, 1.0 / input.scale),
        };
        let samples = Samples {
            source: Source::Array(values, input.shape.values()),
            preprocessor: preprocessor(&described, input.shape)?,
        };
        if samples.len() != classes.len() {
            let (inputs, labels) = (samples.len(), classes.len());
            return Err(Failure::input(
                path,
                format!("{inputs} inputs, but {labels} labels"),
            ));
        }
        Ok((samples, classes))
    }

    /// Whether they are images, as far as one can tell: files of them, or unsigned bytes.
    pub fn are_images(&self) -> bool {
        matches!(
            self.source,
            Source::Images(_) | Source::Array(Values::Uint8(_), _)
        )
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Images(images) => images.len(),
            Source::Array(values, each) => values.len() / each,
        }
    }

    /// The real input of a number (NHWC).
    pub fn real(&self, number: usize) -> Vec<f32> {
        match &self.source {
            Source::Images(images) => self.preprocessor.normalize(&images[number]),
            Source::Array(values, each) => {
                let range = number * each..(number + 1) * each;
                match values {
                    Values::Int8(values) => self.preprocessor.normalize_values(&values[range]),
                    Values::Uint8(values) => self.preprocessor.normalize_values(&values[range]),
                    Values::Int16(values) => self.preprocessor.normalize_values(&values[range]),
                    // Real numbers are what the network takes.
                    Values::Float32(values) => values[range].to_vec(),
                }
            }
        }
    }

    /// All real inputs.
    pub fn all_real(&self) -> Vec<Vec<f32>> {
        (0..self.len()).map(|number| self.real(number)).collect()
    }

    /// The input of a number as the bytes of a model's input.
    pub fn quantized(&self, number: usize, input: &Tensor) -> Vec<i8> {
        quantize(&self.real(number), input)
    }
}

/// Reads an array of inputs: their number, and then the axes of the network's input, or all its values in a row.
fn array(path: &Path, shape: Shape) -> Result<Values, Failure> {
    let array = npy::read_named(path, &INPUT_NAMES)?;
    let fits = array.shape.len() >= 2 && array.shape[1..].iter().product::<usize>() == shape.values();
    if !fits || array.values.len() == 0 {
        let Shape {
            height,
            width,
            channels,
        } = shape;
        let found = array.shape;
        return Err(Failure::input(
            path,
            format!(
                "an array of shape {found:?}, but the network takes {height}x{width}x{channels}: save \
                 [n, {height}, {width}, {channels}], channels last"
            ),
        ));
    }
    Ok(array.values)
}

fn preprocessor(described: &Preprocess, shape: Shape) -> Result<Preprocessor, Failure> {
    Preprocessor::new(described, shape).map_err(|error| Failure::Usage(error.to_string()))
}

/// What makes real inputs of integers that are no pixels.
fn integers(mean: f32, std: f32) -> Preprocess {
    Preprocess {
        mean: vec![mean],
        std: vec![std],
        channel_order: "NONE".into(),
        resize: "bicubic".into(),
        crop: None,
    }
}

fn undescribed(what: &str) -> Failure {
    Failure::Usage(format!(
        "nothing says how {what} become inputs: give --mean M --std S; the input is (value - M) / S, with pixels from 0 to 255"
    ))
}

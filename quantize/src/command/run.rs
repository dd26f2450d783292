//! `sepconv run`: inferences on a raw array.

use super::failure::Failure;
use super::model_file::ModelFile;
use super::npy::{self, Array, Values};
use super::output;
use sepconv::model::Tensor;
use sepconv::{Element, Model, Shape};
use sepconv_quantize::evaluate;
use sepconv_quantize::inference::{dequantize, fnv1a_64, int16_bytes, integers, quantize, run_many};
use sepconv_quantize::summary::element_name;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Arguments {
    /// A .sepc file.
    model: PathBuf,
    /// An .npy array: the model's height, width and channels, alone or after a number of inferences. int8 holds quantized
    /// values; uint8 holds them plus 128, as models with uint8 inputs do; float32 holds real numbers.
    #[arg(long)]
    input: PathBuf,
    /// The .npy array to write, of the input's type and with as many inferences.
    #[arg(long)]
    output: PathBuf,
    /// Also write what every operator gives, to compare with other runtimes: NUMBER.npy, quantized values of
    /// [n, height, width, channels], in the order of `inspect`.
    #[arg(long, value_name = "DIR")]
    operators: Option<PathBuf>,
    /// Kernels to run with, one of `sepconv isa`.
    #[arg(long, value_name = "NAME")]
    isa: Option<String>,
}

pub fn main(arguments: &Arguments, as_json: bool) -> Result<(), Failure> {
    let file = ModelFile::open(&arguments.model, arguments.isa.as_deref())?;
    let model = file.model()?;
    let array = npy::read(&arguments.input)?;
    let count =
        inferences(&array.shape, &model.input()).map_err(|what| Failure::input(&arguments.input, what))?;
    let inputs =
        input_bytes(&array.values, &model.input()).map_err(|what| Failure::input(&arguments.input, what))?;
    let outputs = run_many(&model, &inputs).map_err(|error| Failure::input(&arguments.input, error))?;
    let shape = output_shape(count, &model.output());
    let values = output_values(&outputs, &array.values, &model.output());
    let written = Array { shape, values };
    npy::write(&arguments.output, &written)?;
    if let Some(folder) = &arguments.operators {
        write_operators(folder, &model, &inputs)?;
    }
    report(&model, &outputs, &written, as_json)
}

/// Writes the outputs of all operators.
fn write_operators(folder: &Path, model: &Model, inputs: &[i8]) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::output(folder, error))?;
    let mut outputs = vec![Vec::new(); model.operator_count()];
    let each = model.input().bytes();
    for input in inputs.chunks_exact(each) {
        let found = evaluate::operator_outputs(model, input).expect("it is as long as an input");
        for (all, mut found) in outputs.iter_mut().zip(found) {
            all.append(&mut found);
        }
    }
    for (number, bytes) in outputs.iter().enumerate() {
        let tensor = model.tensor(model.record(number).expect("it ran").output);
        let Shape {
            height,
            width,
            channels,
        } = tensor.shape;
        let axes = [height, width, channels].map(|length| length as usize);
        let array = Array {
            shape: [&[inputs.len() / each][..], &axes].concat(),
            values: quantized_values(bytes, &tensor),
        };
        npy::write(&folder.join(format!("{number}.npy")), &array)?;
    }
    Ok(())
}

fn report(model: &Model, outputs: &[i8], written: &Array, as_json: bool) -> Result<(), Failure> {
    let hash = |values: &[i8]| format!("{:016x}", fnv1a_64(values));
    let hashes: Vec<String> = outputs.chunks(model.output().bytes()).map(hash).collect();
    if as_json {
        return output::json(&json!({
            "isa": model.kernels().name,
            "count": hashes.len(),
            "shape": written.shape,
            "type": written.values.type_name(),
            "output_hash": hash(outputs),
            "output_hashes": hashes,
        }));
    }
    output::text(&format!(
        "{} {} {:?}, kernels {}, output hash {}",
        if hashes.len() == 1 {
            "1 inference,".into()
        } else {
            format!("{} inferences,", hashes.len())
        },
        written.values.type_name(),
        written.shape,
        model.kernels().name,
        hash(outputs),
    ))
}

/// How many inferences an array of a shape holds; `None` in the answer stands for one without a batch axis.
fn inferences(shape: &[usize], input: &Tensor) -> Result<Option<usize>, String> {
    let whole = [input.shape.height, input.shape.width, input.shape.channels].map(|length| length as usize);
    // A vector may come without its height and width of one.
    let short = if input.shape.pixels() == 1 {
        &whole[2..]
    } else {
        &whole[..]
    };
    if shape == whole || shape == short {
        return Ok(None);
    }
    match shape.split_first() {
        Some((0, _)) => Err("the array is empty".into()),
        Some((count, rest)) if rest == whole || rest == short => Ok(Some(*count)),
        _ => Err(format!(
            "the array has shape {shape:?}, the model takes {whole:?} or [n, {}]",
            list(&whole)
        )),
    }
}

fn list(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

fn output_shape(count: Option<usize>, output: &Tensor) -> Vec<usize> {
    let shape =
        [output.shape.height, output.shape.width, output.shape.channels].map(|length| length as usize);
    let shape = if output.shape.pixels() == 1 {
        &shape[2..]
    } else {
        &shape[..]
    };
    count.iter().chain(shape).copied().collect()
}

fn input_bytes(values: &Values, input: &Tensor) -> Result<Vec<i8>, String> {
    match (values, input.element) {
        (Values::Int8(values), Element::Int8) => Ok(values.clone()),
        (Values::Uint8(values), Element::Int8) => {
            Ok(values.iter().map(|value| (value ^ 0x80) as i8).collect())
        }
        (Values::Int16(values), Element::Int16) => Ok(int16_bytes(values.iter().copied())),
        (Values::Float32(values), _) => match values.iter().find(|value| value.is_nan()) {
            Some(_) => Err("the array holds NaN".into()),
            None => Ok(quantize(values, input)),
        },
        (_, element) => Err(format!(
            "the array is {}, the model takes {} or float32",
            values.type_name(),
            element_name(element)
        )),
    }
}

fn output_values(outputs: &[i8], input: &Values, output: &Tensor) -> Values {
    match (input, output.element) {
        (Values::Float32(_), _) => Values::Float32(dequantize(outputs, output)),
        (Values::Uint8(_), Element::Int8) => {
            Values::Uint8(outputs.iter().map(|value| *value as u8 ^ 0x80).collect())
        }
        _ => quantized_values(outputs, output),
    }
}

fn quantized_values(bytes: &[i8], tensor: &Tensor) -> Values {
    match tensor.element {
        Element::Int8 => Values::Int8(bytes.to_vec()),
        Element::Int16 => {
            let wide = integers(bytes, Element::Int16).into_iter();
            Values::Int16(wide.map(|value| value as i16).collect())
        }
    }
}

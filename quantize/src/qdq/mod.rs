//! A quantized network as an ONNX model in QDQ format, for other runtimes.
//!
//! Every activation is followed by a QuantizeLinear and a DequantizeLinear with its scale and zero point; weights and biases
//! are stored as the network's integers, with a DequantizeLinear each. A runtime that computes between them exactly, or in
//! integers with one rounding, gives this network's values to one step an operator: the network itself rounds twice.
//!
//! The model takes and gives real numbers in NCHW order ([1, features] where there is one pixel).

mod model;
mod operators;
#[cfg(test)]
mod tests;

use crate::dataset::Preprocess;
use crate::dataset::preprocess::METADATA_KEY;
use crate::network::{Network, Tensor};
use model::{Model, floats, integers};
use prost::Message;
use sepconv::{Element, Shape};
use tract_onnx::pb::StringStringEntryProto;
use tract_onnx::pb::tensor_proto::DataType;

/// Why a network has no QDQ form.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{node}: {reason}; without --qdq the network can be written")]
pub struct QdqError {
    /// The operator's name.
    pub node: String,
    /// What has no form in ONNX.
    pub reason: String,
}

/// The bytes of an ONNX file.
///
/// # Errors
///
/// [`QdqError`] names the operator that ONNX has no form of.
pub fn to_bytes(network: &Network) -> Result<Vec<u8>, QdqError> {
    let wide = network
        .tensors
        .iter()
        .any(|tensor| tensor.element == Element::Int16);
    // 16-bit activations came with operator set 21; 13 is read by everything.
    let mut model = Model::new(if wide { 21 } else { 13 });
    let (input, output) = (&network.tensors[network.input], &network.tensors[network.output]);
    let names = names(network);

    model.input("input", &dimensions(input.shape));
    let mut real = "input".to_string();
    if input.shape.pixels() == 1 {
        real = reshape(&mut model, &real, &nchw(input.shape));
    }
    quantized(&mut model, &real, &names[network.input], input);
    for node in &network.nodes {
        let real = operators::write(&mut model, network, node, &names)?;
        let tensor = &network.tensors[node.output];
        if matches!(node.operation, crate::network::Operation::ArgMax) {
            // An index is not quantized.
            model.node("Identity", &[&real], &names[node.output], vec![]);
        } else {
            quantized(&mut model, &real, &names[node.output], tensor);
        }
    }
    let mut last = names[network.output].clone();
    if output.shape.pixels() == 1 {
        last = reshape(&mut model, &last, &dimensions(output.shape));
    }
    model.node("Identity", &[&last], "output", vec![]);
    model.output("output", &dimensions(output.shape));
    let metadata = preprocess(network).map(|value| StringStringEntryProto {
        key: METADATA_KEY.into(),
        value,
    });
    Ok(model.finish(metadata).encode_to_vec())
}

/// Names for the tensors: as in the network, with the number where that is not unique.
fn names(network: &Network) -> Vec<String> {
    let count = |name: &str| {
        network
            .tensors
            .iter()
            .filter(|tensor| tensor.name == name)
            .count()
    };
    let tensors = network.tensors.iter().enumerate();
    tensors
        .map(|(number, tensor)| {
            if tensor.name.is_empty()
                || count(&tensor.name) > 1
                || matches!(&*tensor.name, "input" | "output")
            {
                format!("{}.{number}", tensor.name)
            } else {
                tensor.name.clone()
            }
        })
        .collect()
}

/// The dimensions of a model's input or output.
fn dimensions(shape: Shape) -> Vec<i64> {
    if shape.pixels() == 1 {
        vec![1, shape.channels.into()]
    } else {
        nchw(shape).to_vec()
    }
}

fn nchw(shape: Shape) -> [i64; 4] {
    [1, shape.channels.into(), shape.height.into(), shape.width.into()]
}

fn reshape(model: &mut Model, value: &str, to: &[i64]) -> String {
    let shape = model.constant(integers(DataType::Int64, &[to.len()], to.iter().copied()));
    model.step("Reshape", &[value, &shape], vec![])
}

/// Quantizes a real value and makes it real again, under a name.
fn quantized(model: &mut Model, real: &str, name: &str, tensor: &Tensor) {
    let element = match tensor.element {
        Element::Int8 => DataType::Int8,
        Element::Int16 => DataType::Int16,
    };
    let scale = model.constant(floats(&[], [tensor.scale]));
    let zero_point = model.constant(integers(element, &[], [tensor.zero_point.into()]));
    let integers = model.step("QuantizeLinear", &[real, &scale, &zero_point], vec![]);
    model.node(
        "DequantizeLinear",
        &[&integers, &scale, &zero_point],
        name,
        vec![],
    );
}

/// The preprocessing as our own import reads it, so far as that can say it.
fn preprocess(network: &Network) -> Option<String> {
    let known = network.metadata.preprocess.as_ref()?;
    let shape = network.tensors[network.input].shape;
    let channels = shape.channels as usize;
    if !matches!(&*known.channel_order, "RGB" | "GRAY") {
        return None;
    }
    let spread = |values: &[f32]| values.iter().copied().cycle().take(channels).collect();
    let preprocess = Preprocess {
        height: shape.height,
        width: shape.width,
        channels: shape.channels,
        mean: spread(&known.mean),
        std: spread(&known.std),
        classes: network.metadata.classes.clone(),
    };
    Some(preprocess.to_json())
}

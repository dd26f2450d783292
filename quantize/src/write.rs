//! From a network and its plan to a `.sepc` file.

use crate::network::{Constant, Linear, Network, Operation};
use crate::plan::Plan;
use sepconv::fixed_point::Multiplier;
use sepconv::format::{MAX_INPUTS, NONE, OperatorRecord, TensorRecord};
use sepconv::image::Image;
use sepconv::kernels::reference;
use sepconv::layout::{Target, pack};
use sepconv::operator::Window;
use sepconv::{AlignedVec, Element, Model, ModelError};
use std::io::Write;
use std::path::Path;

/// Why a network cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The network does not fit the file format.
    #[error("the network does not fit the .sepc format: {0}")]
    Model(#[from] ModelError),
    /// The network has more tensors, operators or inputs than the format numbers.
    #[error("the network is too large for the .sepc format: {0}")]
    TooLarge(String),
    /// The file could not be written.
    #[error("cannot write {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// The file of a network, packed for a target, checked by the model view.
///
/// # Errors
///
/// [`WriteError`] if the network does not fit the format.
pub fn to_bytes(network: &Network, plan: &Plan, target: Target) -> Result<AlignedVec<u8>, WriteError> {
    let plain = image(network, plan)?.to_bytes();
    let model = Model::with_kernels(&plain, &reference::KERNELS)?;
    Ok(if target == Target::Plain {
        plain
    } else {
        pack(&model, target)
    })
}

/// Writes bytes to a file: all of them, or the file stays as it was.
///
/// # Errors
///
/// [`WriteError::Io`] if the folder cannot be written to.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let write = || {
        let mut options = tempfile::Builder::new();
        // As any new file: what the user's mask allows, not only the owner.
        #[cfg(unix)]
        options.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = options.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|source| WriteError::Io {
        path: path.display().to_string(),
        source,
    })
}

fn image(network: &Network, plan: &Plan) -> Result<Image, WriteError> {
    let number =
        |value: usize| u16::try_from(value).map_err(|_| WriteError::TooLarge(format!("tensor {value}")));
    let mut metadata = network.metadata.clone();
    metadata.operators = network.nodes.iter().map(|node| node.name.clone()).collect();
    let mut image = Image {
        arena_len: plan.activations as u32,
        scratch_len: 0,
        input: number(network.input)?,
        output: number(network.output)?,
        tensors: tensor_records(network, plan),
        operators: Vec::new(),
        steps: plan.steps.clone(),
        constants: Vec::new(),
        metadata: serde_json::to_vec(&metadata).expect("metadata has no keys that JSON cannot hold"),
    };
    for node in &network.nodes {
        let mut record = record_of(
            &mut image,
            &node.operation,
            network.tensors[node.inputs[0]].element,
        );
        if node.inputs.len() > MAX_INPUTS {
            return Err(WriteError::TooLarge(format!(
                "{} inputs of {}",
                node.inputs.len(),
                node.name
            )));
        }
        record.inputs = [NONE; MAX_INPUTS];
        for (slot, input) in record.inputs.iter_mut().zip(&node.inputs) {
            *slot = number(*input)?;
        }
        record.output = number(node.output)?;
        (record.activation_min, record.activation_max) = (node.activation.0 as i16, node.activation.1 as i16);
        image.operators.push(record);
    }
    Ok(image)
}

fn tensor_records(network: &Network, plan: &Plan) -> Vec<TensorRecord> {
    let record = |(tensor, place): (&crate::network::Tensor, &crate::plan::Place)| TensorRecord {
        element: (tensor.element == Element::Int16) as u8,
        reserved: 0,
        zero_point: tensor.zero_point as i16,
        scale: tensor.scale,
        height: tensor.shape.height,
        width: tensor.shape.width,
        channels: tensor.shape.channels,
        ring_rows: place.ring_rows as u32,
        offset: place.offset as u32,
        reserved_end: 0,
    };
    network.tensors.iter().zip(&plan.places).map(record).collect()
}

/// The record of an operation, its constants appended to the image; wiring and activation are still to be filled in.
fn record_of(image: &mut Image, operation: &Operation, element: Element) -> OperatorRecord {
    let mut record = OperatorRecord::from_bytes(&[0; OperatorRecord::SIZE]);
    record.kind = operation.kind() as u8;
    let params = &mut record.params;
    let multiplier = |params: &mut [i32; 7], at: usize, multiplier: &Multiplier| {
        (params[at], params[at + 1]) = (multiplier.mantissa.to_bits(), multiplier.shift as i32);
    };
    match operation {
        Operation::Convolution(linear)
        | Operation::Depthwise(linear)
        | Operation::Pointwise(linear)
        | Operation::FullyConnected(linear) => write_linear(image, &mut record, linear, element),
        Operation::Add {
            a,
            b,
            output,
            left_shift,
            constant,
        } => {
            multiplier(params, 0, a);
            multiplier(params, 2, b);
            multiplier(params, 4, output);
            params[6] = (*left_shift as i32) << 16;
            write_constant(image, &mut record, constant);
        }
        Operation::Mul { output, constant } => {
            multiplier(params, 4, output);
            write_constant(image, &mut record, constant);
        }
        Operation::AveragePool(window) | Operation::MaxPool(window) => write_window(&mut record, window),
        Operation::Mean(factor) | Operation::Requantize(factor) => multiplier(params, 0, factor),
        Operation::Pad {
            top,
            left,
            front,
            value,
        } => {
            (params[0], params[1]) = (*front as i32, *value);
            (record.pad_top, record.pad_left) = (*top as u16, *left as u16);
        }
        Operation::Concatenation { axis } => params[0] = *axis as i32,
        Operation::Softmax {
            multiplier: factor,
            difference_min,
        } => {
            multiplier(params, 0, factor);
            params[2] = *difference_min;
        }
        Operation::Lookup(table) => push_weights(image, &mut record, table.iter().map(|value| *value as u8)),
        Operation::ResizeNearest { rows, columns } => {
            params[0] = rows.len() as i32 * 2;
            push_weights(
                image,
                &mut record,
                rows.iter().chain(columns).flat_map(|source| source.to_le_bytes()),
            );
        }
        Operation::Transpose(permutation) => {
            for (param, axis) in params.iter_mut().zip(permutation) {
                *param = *axis as i32;
            }
        }
        Operation::Reshape | Operation::ArgMax => {}
    }
    record
}

fn push_weights(image: &mut Image, record: &mut OperatorRecord, bytes: impl Iterator<Item = u8>) {
    let bytes: Vec<u8> = bytes.collect();
    record.weights_offset = image.push_constant(&bytes);
    record.weights_len = bytes.len() as u32;
}

fn write_window(record: &mut OperatorRecord, window: &Window) {
    record.kernel_height = window.kernel_height as u16;
    record.kernel_width = window.kernel_width as u16;
    record.stride_height = window.stride_height as u8;
    record.stride_width = window.stride_width as u8;
    record.dilation_height = window.dilation_height as u8;
    record.dilation_width = window.dilation_width as u8;
    record.pad_top = window.pad_top as u16;
    record.pad_left = window.pad_left as u16;
}

fn write_constant(image: &mut Image, record: &mut OperatorRecord, constant: &Option<Constant>) {
    if let Some(constant) = constant {
        // The constant's zero point takes the low half of the parameter whose high half is the left shift.
        record.params[6] |= constant.zero_point & 0xffff;
        push_weights(image, record, constant.values.iter().map(|value| *value as u8));
    }
}

fn write_linear(image: &mut Image, record: &mut OperatorRecord, linear: &Linear, element: Element) {
    write_window(record, &linear.window);
    record.weight_bits = linear.weight_bits;
    if linear.weight_bits == 4 {
        let pairs = linear.weights.chunks(2);
        let nibble = |value: Option<&i8>| value.map_or(0, |value| *value as u8 & 15);
        push_weights(
            image,
            record,
            pairs.map(|pair| nibble(pair.first()) | nibble(pair.get(1)) << 4),
        );
    } else {
        push_weights(image, record, linear.weights.iter().map(|weight| *weight as u8));
    }
    let bias: Vec<u8> = match element {
        Element::Int8 => linear
            .bias
            .iter()
            .flat_map(|bias| (*bias as i32).to_le_bytes())
            .collect(),
        Element::Int16 => linear.bias.iter().flat_map(|bias| bias.to_le_bytes()).collect(),
    };
    let mantissas = linear
        .multipliers
        .iter()
        .flat_map(|multiplier| multiplier.mantissa.to_bits().to_le_bytes());
    let shifts = linear.multipliers.iter().map(|multiplier| multiplier.shift as u8);
    record.bias_offset = image.push_constant(&bias);
    record.multipliers_offset = image.push_constant(&mantissas.collect::<Vec<u8>>());
    record.shifts_offset = image.push_constant(&shifts.collect::<Vec<u8>>());
}

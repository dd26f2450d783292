//! From a float graph and its ranges to a quantized network.

mod activations;
mod lower;
#[cfg(test)]
mod tests;
mod weights;

pub(crate) use activations::symmetric_wide;
pub use weights::{quantize_weights, weight_scales, widen_for_bias};

use crate::calibrate::Range;
use crate::graph::{Graph, Operator, Shape, TensorId};
use crate::network::{Metadata, Network, Tensor};
use sepconv::Element;
use std::collections::BTreeSet;

/// Why a graph cannot be quantized.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum ConvertError {
    /// An operator that the runtime has no integer form of.
    #[error("{node} ({operator}): {reason}")]
    Unsupported {
        /// The node's name.
        node: String,
        /// The operator.
        operator: &'static str,
        /// Why, and what would work instead.
        reason: String,
    },
    /// Some input can overflow the 32-bit accumulator of a channel.
    #[error(
        "{node}: the sum of output channel {channel} can overflow 32 bits; its weights or bias are too large"
    )]
    Overflow {
        /// The node's name.
        node: String,
        /// The output channel.
        channel: usize,
    },
    /// A scale that no multiplier can express.
    #[error(
        "{node}: the ratio {ratio} of its scales is out of range; the calibration data may be all zeros or not finite"
    )]
    Scale {
        /// The node's name.
        node: String,
        /// The ratio.
        ratio: f64,
    },
}

/// Which activations are held with 16 bits instead of 8. A node whose output is wide computes in 16 bits: inputs that are
/// not wide are widened for it, exactly. A linear one, whose weights have 8 bits, takes such inputs as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precision {
    /// Wide tensors, all of them outputs of nodes for which [`Precision::can_be_wide`].
    pub wide: BTreeSet<TensorId>,
}

impl Precision {
    /// Everything with 8 bits.
    pub fn narrow() -> Self {
        Self::default()
    }

    /// Whether the runtime computes such an operator with 16 bits.
    pub fn can_be_wide(operator: &Operator) -> bool {
        operator.weights().is_some()
            || matches!(
                operator,
                Operator::Add
                    | Operator::Clamp
                    | Operator::MaxPool(_)
                    | Operator::GlobalAveragePool
                    | Operator::Reshape(_)
            )
    }

    fn is_wide(&self, tensor: TensorId) -> bool {
        self.wide.contains(&tensor)
    }
}

/// Quantizes a rewritten graph. `ranges` has a range for each tensor of the graph; a tensor or weights for which the
/// source fixes a quantization keep it. The metadata's operator names are filled in when the network is written.
///
/// # Errors
///
/// [`ConvertError`] names the node and says why.
pub fn convert(
    graph: &Graph,
    ranges: &[Range],
    precision: &Precision,
    metadata: Metadata,
) -> Result<Network, ConvertError> {
    let quantizations = activations::quantizations(graph, ranges, precision);
    let tensors = graph
        .tensors
        .iter()
        .zip(&quantizations)
        .enumerate()
        .map(|(id, (tensor, quantization))| Tensor {
            name: tensor.name.clone(),
            shape: network_shape(tensor.shape),
            element: if precision.is_wide(TensorId(id)) {
                Element::Int16
            } else {
                Element::Int8
            },
            scale: quantization.scale,
            zero_point: quantization.zero_point,
        });
    let mut network = Network {
        tensors: tensors.collect(),
        nodes: Vec::new(),
        input: graph.input.0,
        output: graph.output.0,
        metadata,
    };
    let mut copies = lower::Copies::new();
    for node in &graph.nodes {
        lower::lower(graph, node, ranges, &mut copies, &mut network)?;
    }
    network.drop_unused_tensors();
    Ok(network)
}

/// The name of a tensor for which neither the source nor the operators around it fix a quantization, so that it has to be
/// calibrated. `None` for a graph that is quantized throughout.
pub fn uncalibrated(graph: &Graph) -> Option<&str> {
    let known = activations::known(graph, &Precision::narrow());
    let used = graph.nodes.iter().flat_map(|node| {
        // An index is no real number.
        let output = (node.operator != Operator::ArgMax).then_some(&node.output);
        node.inputs.iter().chain(output)
    });
    let mut open = used.filter(|id| known[id.0].is_none());
    open.next().map(|id| graph.tensor(*id).name.as_str())
}

/// The network of a graph that is quantized throughout: of which [`uncalibrated`] finds nothing.
///
/// # Errors
///
/// As [`convert`].
pub fn convert_quantized(graph: &Graph, metadata: Metadata) -> Result<Network, ConvertError> {
    let no_ranges = vec![Range { min: 0.0, max: 0.0 }; graph.tensors.len()];
    convert(graph, &no_ranges, &Precision::narrow(), metadata)
}

/// Writes the quantization that [`convert`] would choose into every tensor of a graph, so that conversions of parts of it
/// agree.
pub fn pin(graph: &mut Graph, ranges: &[Range], precision: &Precision) {
    let quantizations = activations::quantizations(graph, ranges, precision);
    for (tensor, quantization) in graph.tensors.iter_mut().zip(quantizations) {
        tensor.quantization = Some(quantization);
    }
}

fn network_shape(shape: Shape) -> sepconv::Shape {
    sepconv::Shape::new(shape.height as u32, shape.width as u32, shape.channels as u32)
}

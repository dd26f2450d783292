//! From a float graph and its ranges to a quantized network.

mod activations;
mod lower;
#[cfg(test)]
mod tests;
mod weights;

pub use weights::{quantize_weights, weight_scales};

use crate::calibrate::Range;
use crate::graph::{Graph, Operator, Shape};
use crate::network::{Metadata, Network, Tensor};
use sepconv::Element;

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

/// Quantizes a rewritten graph. `ranges` has a range for each tensor of the graph; a tensor or weights for which the
/// source fixes a quantization keep it. The metadata's operator names are filled in when the network is written.
///
/// # Errors
///
/// [`ConvertError`] names the node and says why.
pub fn convert(graph: &Graph, ranges: &[Range], metadata: Metadata) -> Result<Network, ConvertError> {
    let quantizations = activations::quantizations(graph, ranges);
    let tensors = graph
        .tensors
        .iter()
        .zip(&quantizations)
        .map(|(tensor, quantization)| Tensor {
            name: tensor.name.clone(),
            shape: network_shape(tensor.shape),
            element: Element::Int8,
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
    for node in &graph.nodes {
        lower::lower(graph, node, &mut network)?;
    }
    network.drop_unused_tensors();
    Ok(network)
}

/// The name of a tensor for which neither the source nor the operators around it fix a quantization, so that it has to be
/// calibrated. `None` for a graph that is quantized throughout.
pub fn uncalibrated(graph: &Graph) -> Option<&str> {
    let known = activations::known(graph);
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
    convert(graph, &no_ranges, metadata)
}

fn network_shape(shape: Shape) -> sepconv::Shape {
    sepconv::Shape::new(shape.height as u32, shape.width as u32, shape.channels as u32)
}

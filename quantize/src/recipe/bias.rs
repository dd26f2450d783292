//! Bias correction: rounding weights shifts the mean of each output channel; the bias takes the shift back.
//!
//! The shift is `Σ (rounded − exact weight) × mean input` (Nagel et al. 2019), with the means measured on the calibration
//! inputs; that windows reach into padding is neglected.

use super::ChannelStatistics;
use crate::convert::{quantize_weights, weight_scales};
use crate::graph::{Graph, Operator};

/// Corrects the biases of all float linear layers of a graph.
pub(super) fn correct(graph: &mut Graph, channels: &ChannelStatistics) {
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let Some(weights) = node.operator.weights() else {
            continue;
        };
        if weights.quantized.is_some() {
            continue;
        }
        let means = &channels.of_tensor(node.inputs[0]).mean;
        let outputs = graph.shape(node.output).channels;
        let scales = weight_scales(&node.operator, weights, outputs);
        let rounded = quantize_weights(&node.operator, weights, &scales);
        let mut shift = vec![0f32; outputs];
        for (at, (exact, rounded)) in weights.values.iter().zip(&rounded).enumerate() {
            let channel = node.operator.weight_channel(at);
            shift[channel] += (*rounded as f32 * scales[channel] - exact)
                * means[input_channel(&node.operator, at, means.len())];
        }
        let bias = (0..outputs)
            .map(|channel| weights.bias_of(channel) - shift[channel])
            .collect();
        graph.nodes[index]
            .operator
            .weights_mut()
            .expect("it has weights")
            .bias = bias;
    }
}

/// The input channel that a weight reads. Fully connected layers read pixel after pixel, channel after channel.
fn input_channel(operator: &Operator, weight: usize, channels: usize) -> usize {
    match operator {
        Operator::Depthwise(depthwise) => {
            weight % (depthwise.channels * depthwise.multiplier) / depthwise.multiplier
        }
        _ => weight % channels,
    }
}

//! Equalization: factors that move a channel's spread from the activation between two linear layers into their weights.
//!
//! Multiplying output channel c of one layer by 1/s and the weights of the next that read it by s changes nothing, as long
//! as what lies between is nothing or a ReLU (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and
//! Bias Correction"). Since weights have a scale for each output channel,
//!
//! - before a depthwise convolution the factors cost nothing, on either side: all channels get the same range, as if the
//!   activation had a scale for each channel;
//! - before a convolution over all channels, the columns of its weights spread as the activation's channels did, so only a
//!   share of the spread is moved (as in Xiao et al. 2022, "SmoothQuant").

use super::ChannelStatistics;
use crate::graph::{Clamp, Graph, Operator, TensorId};

/// Factors are kept within this of 1, so that no weight or bias leaves the range of its type.
const LARGEST_FACTOR: f32 = 1024.0;

/// Equalizes every activation for which that is exact. `share`, in 0..=1, says how much of the spread moves where it costs
/// the precision of the next layer's weights. Returns the tensors changed.
pub fn equalize(graph: &mut Graph, channels: &ChannelStatistics, share: f32) -> Vec<TensorId> {
    let mut changed = Vec::new();
    for first in 0..graph.nodes.len() {
        let tensor = graph.nodes[first].output;
        let readers = graph.consumers(tensor);
        let [second] = readers[..] else { continue };
        if tensor == graph.output || !scales(graph, first) || graph.nodes[second].operator.weights().is_none()
        {
            continue;
        }
        let greatest = &channels.of_tensor(tensor).greatest;
        let Some(factors) = factors(&graph.nodes[second].operator, greatest, share) else {
            continue;
        };
        let inverse: Vec<f32> = factors.iter().map(|factor| 1.0 / factor).collect();
        scale_outputs(&mut graph.nodes[first].operator, &inverse);
        scale_inputs(&mut graph.nodes[second].operator, &factors);
        changed.push(tensor);
    }
    changed
}

/// Whether a node's output channels can be scaled by scaling its weights.
fn scales(graph: &Graph, node: usize) -> bool {
    let node = &graph.nodes[node];
    let float = |operator: &Operator| {
        operator
            .weights()
            .is_some_and(|weights| weights.quantized.is_none())
    };
    float(&node.operator) && (node.clamp == Clamp::NONE || node.clamp == Clamp::RELU)
}

/// The factor for each channel: what the activation is divided by and the next layer's weights are multiplied by. `None`
/// if the layer's weights cannot be scaled by input channel.
fn factors(next: &Operator, greatest: &[f32], share: f32) -> Option<Vec<f32>> {
    let widest = greatest.iter().copied().fold(0.0, f32::max);
    let weight_greatest = match next {
        Operator::Depthwise(_) => None,
        Operator::Convolution(convolution) if convolution.weights.quantized.is_none() => {
            let mut columns = vec![0f32; convolution.in_channels];
            for (index, value) in convolution.weights.values.iter().enumerate() {
                let column = &mut columns[index % convolution.in_channels];
                *column = column.max(value.abs());
            }
            Some(columns)
        }
        _ => return None,
    };
    if widest == 0.0 || next.weights()?.quantized.is_some() {
        return None;
    }
    let factor = |(channel, greatest): (usize, &f32)| {
        let raw = match &weight_greatest {
            None => greatest / widest,
            Some(columns) => greatest.powf(share) / columns[channel].max(f32::MIN_POSITIVE).powf(1.0 - share),
        };
        if *greatest > 0.0 && raw.is_finite() && raw > 0.0 {
            raw
        } else {
            1.0
        }
    };
    let raw: Vec<f32> = greatest.iter().enumerate().map(factor).collect();
    // Only ratios between channels matter: bring the largest to one.
    let largest = raw.iter().copied().fold(0.0, f32::max);
    Some(
        raw.iter()
            .map(|factor| (factor / largest).max(1.0 / LARGEST_FACTOR))
            .collect(),
    )
}

fn scale_outputs(operator: &mut Operator, factors: &[f32]) {
    let channel_of: Vec<usize> = (0..operator.weights().map_or(0, |weights| weights.values.len()))
        .map(|i| operator.weight_channel(i))
        .collect();
    if let Some(weights) = operator.weights_mut() {
        weights.scale_outputs(factors, &vec![0.0; factors.len()], |index| channel_of[index]);
    }
}

fn scale_inputs(operator: &mut Operator, factors: &[f32]) {
    let input_of = |operator: &Operator, index: usize| match operator {
        Operator::Depthwise(depthwise) => {
            index % (depthwise.channels * depthwise.multiplier) / depthwise.multiplier
        }
        _ => index % factors.len(),
    };
    let inputs: Vec<usize> = (0..operator.weights().map_or(0, |weights| weights.values.len()))
        .map(|i| input_of(operator, i))
        .collect();
    if let Some(weights) = operator.weights_mut() {
        for (value, input) in weights.values.iter_mut().zip(inputs) {
            *value *= factors[input];
        }
    }
}

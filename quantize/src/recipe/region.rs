//! Activations of the same channels, between the layer that makes them and the layers that mix them.

use super::equalize::input_channel;
use crate::graph::{Graph, Node, Operator, TensorId};
use std::collections::BTreeMap;

/// Weights of this share of their layer's greatest are taken for zero.
const NEGLIGIBLE: f32 = 1e-4;

/// The nodes around such activations. All their weights are quantized, with a scale for each output channel, and their
/// biases are not.
pub(super) struct Region {
    /// The node that makes the channels, then those that keep them apart.
    pub nodes: Vec<usize>,
    /// The nodes that mix them.
    pub ends: Vec<usize>,
    channels: usize,
}

/// A channel that no input changes, or that nothing reads.
pub(super) struct Unused {
    pub channel: usize,
    /// What it holds where each end of its region reads it; 0 where nothing reads it.
    pub values: Vec<f32>,
}

impl Region {
    /// The region of the channels that a node makes, if it is one of a kind that is known.
    pub fn from(graph: &Graph, first: usize) -> Option<Self> {
        let Operator::Convolution(convolution) = &graph.nodes[first].operator else {
            return None;
        };
        let (mut nodes, mut ends) = (vec![first], Vec::new());
        let mut tensors = vec![graph.nodes[first].output];
        for (index, node) in graph.nodes.iter().enumerate().skip(first + 1) {
            if !node.inputs.iter().any(|input| tensors.contains(input)) {
                continue;
            }
            match &node.operator {
                Operator::Convolution(_) => ends.push(index),
                Operator::FullyConnected(_) if graph.shape(node.inputs[0]).pixels() == 1 => ends.push(index),
                operator if keeps_channels_apart(operator) => {
                    nodes.push(index);
                    tensors.push(node.output);
                }
                _ => return None,
            }
        }
        let mut weights = nodes
            .iter()
            .chain(&ends)
            .filter_map(|index| graph.nodes[*index].operator.weights());
        let rounded = weights.all(|weights| {
            let quantized = weights.quantized.as_ref();
            quantized.is_some_and(|quantized| quantized.bias.is_none() && quantized.scales.len() > 1)
        });
        (rounded && !ends.is_empty() && !tensors.contains(&graph.output)).then_some(Self {
            nodes,
            ends,
            channels: convolution.out_channels,
        })
    }

    /// Channels that no input changes, or that nothing reads.
    pub fn unused(&self, graph: &Graph) -> Vec<Unused> {
        let mut held: BTreeMap<TensorId, Vec<Option<f32>>> = BTreeMap::new();
        for index in &self.nodes {
            let node = &graph.nodes[*index];
            let input = held.get(&node.inputs[0]).cloned();
            let constants = constants(node, input.unwrap_or_else(|| vec![None; self.channels]));
            held.insert(node.output, constants);
        }
        let ends: Vec<(&Node, Vec<bool>)> = self
            .ends
            .iter()
            .map(|end| {
                let node = &graph.nodes[*end];
                let input = |index| input_channel(&node.operator, index, self.channels);
                (node, without_weights(&node.operator, self.channels, input))
            })
            .collect();
        let unused = |channel: usize| {
            let value = |(node, unread): &(&Node, Vec<bool>)| {
                if unread[channel] {
                    return Some(0.0);
                }
                let padded =
                    matches!(&node.operator, Operator::Convolution(c) if !c.window.padding.is_none());
                held[&node.inputs[0]][channel].filter(|value| *value == 0.0 || !padded)
            };
            let values = ends.iter().map(value).collect::<Option<_>>()?;
            Some(Unused { channel, values })
        };
        (0..self.channels).filter_map(unused).collect()
    }

    /// For each channel, the squared error that its `noise` (by tensor and channel) makes in what the ends compute, summed
    /// over their outputs. Errors of different pixels are taken for independent.
    pub fn cost(&self, graph: &Graph, noise: &[Vec<f32>]) -> Vec<f32> {
        // The squared error of the ends for each of a tensor's.
        let mut gains: BTreeMap<TensorId, Vec<f32>> = BTreeMap::new();
        let mut cost = vec![0f32; self.channels];
        for index in self.ends.iter().chain(self.nodes.iter().rev()) {
            let node = &graph.nodes[*index];
            let is_end = self.ends.contains(index);
            let of_output = gains.get(&node.output).cloned();
            let of_output = of_output.unwrap_or_else(|| vec![if is_end { 1.0 } else { 0.0 }; self.channels]);
            if !is_end {
                let noise = noise[node.output.0].iter().zip(&of_output);
                let more = noise.map(|(noise, gain)| noise * gain);
                cost.iter_mut().zip(more).for_each(|(cost, more)| *cost += more);
            }
            if *index == self.nodes[0] {
                break;
            }
            let of_input = gains
                .entry(node.inputs[0])
                .or_insert_with(|| vec![0.0; self.channels]);
            for (channel, through) in squared_gains(graph, node, self.channels).into_iter().enumerate() {
                of_input[channel] += of_output[channel] * through;
            }
        }
        cost
    }

    /// Moves what an unused channel adds to what the ends make into their biases.
    pub fn empty(&self, graph: &mut Graph, unused: &Unused) {
        for (end, value) in self.ends.iter().zip(&unused.values) {
            let node = &mut graph.nodes[*end];
            let outputs = graph.tensors[node.output.0].shape.channels;
            let operator = &node.operator;
            let mut moved = vec![0f32; outputs];
            let weights = operator.weights().expect("ends are linear");
            for (index, weight) in weights.values.iter().enumerate() {
                if input_channel(operator, index, self.channels) == unused.channel {
                    moved[operator.weight_channel(index)] += weight * value;
                }
            }
            let weights = node.operator.weights_mut().expect("ends are linear");
            weights.bias.resize(outputs, 0.0);
            let biases = weights.bias.iter_mut().zip(moved);
            biases.for_each(|(bias, moved)| *bias += moved);
        }
    }

    /// Makes all given channels after the first into copies of it, of which the ends take parts that sum to the whole.
    pub fn copy(&self, graph: &mut Graph, channels: &[usize]) {
        let original = channels[0];
        for index in &self.nodes {
            let operator = &mut graph.nodes[*index].operator;
            let Some(weights) = operator.weights() else {
                continue;
            };
            let mut places = vec![Vec::new(); self.channels];
            for place in 0..weights.values.len() {
                places[operator.weight_channel(place)].push(place);
            }
            let weights = operator.weights_mut().expect("it has weights");
            let quantized = weights.quantized.as_mut().expect("weights are quantized");
            weights.bias.resize(self.channels, 0.0);
            for copy in &channels[1..] {
                weights.bias[*copy] = weights.bias[original];
                quantized.scales[*copy] = quantized.scales[original];
                for (from, to) in places[original].iter().zip(&places[*copy]) {
                    weights.values[*to] = weights.values[*from];
                    quantized.values[*to] = quantized.values[*from];
                }
            }
        }
        for index in &self.ends {
            let operator = &mut graph.nodes[*index].operator;
            let count = operator.weights().map_or(0, |weights| weights.values.len());
            // At every tap of every output, the weights of all channels lie one after the other.
            for first in (0..count).step_by(self.channels) {
                let output = operator.weight_channel(first);
                let weights = operator.weights_mut().expect("ends are linear");
                let quantized = weights.quantized.as_mut().expect("weights are quantized");
                let whole = i32::from(quantized.values[first + original]);
                for (number, channel) in channels.iter().enumerate() {
                    let part = (whole + number as i32).div_euclid(channels.len() as i32);
                    quantized.values[first + channel] = part as i8;
                    weights.values[first + channel] = part as f32 * quantized.scales[output];
                }
            }
        }
    }
}

/// Whether a node makes each channel of its output of the same channel of its input alone, and of zeros if that is zero
/// and there are neither biases nor clamps.
fn keeps_channels_apart(operator: &Operator) -> bool {
    match operator {
        Operator::Depthwise(depthwise) => depthwise.multiplier == 1,
        Operator::Clamp
        | Operator::MaxPool(_)
        | Operator::AveragePool { .. }
        | Operator::GlobalAveragePool
        | Operator::GlobalMaxPool => true,
        _ => false,
    }
}

/// For each input channel of a node that keeps channels apart or mixes them, the sum of squares of what it is multiplied by.
fn squared_gains(graph: &Graph, node: &Node, channels: usize) -> Vec<f32> {
    let mut gains = vec![0f32; channels];
    match &node.operator {
        Operator::AveragePool { window, .. } => gains.fill(1.0 / window.taps() as f32),
        Operator::GlobalAveragePool => gains.fill(1.0 / graph.shape(node.inputs[0]).pixels() as f32),
        operator => match operator.weights() {
            Some(weights) => {
                for (index, value) in weights.values.iter().enumerate() {
                    gains[input_channel(operator, index, channels)] += value * value;
                }
            }
            None => gains.fill(1.0),
        },
    }
    gains
}

/// What the channels of a node's output hold, if that is the same everywhere for every input, given the same of its input.
fn constants(node: &Node, input: Vec<Option<f32>>) -> Vec<Option<f32>> {
    let operator = &node.operator;
    let weights = operator.weights();
    let bias = |channel: usize| weights.map_or(0.0, |weights| weights.bias_of(channel));
    let without = without_weights(operator, input.len(), |index| operator.weight_channel(index));
    let made = |(channel, value): (usize, Option<f32>)| {
        let made = match operator {
            Operator::Convolution(_) | Operator::Depthwise(_) if without[channel] => bias(channel),
            Operator::Convolution(_) => return None,
            // Padding holds zeros.
            Operator::Depthwise(depthwise) if value? == 0.0 || depthwise.window.padding.is_none() => {
                bias(channel) + value? * weights_of(operator, channel).sum::<f32>()
            }
            Operator::Depthwise(_) => return None,
            Operator::AveragePool {
                count_padding: true, ..
            } if value? != 0.0 => return None,
            _ => value?,
        };
        Some(node.clamp.apply(made))
    };
    input.into_iter().enumerate().map(made).collect()
}

/// For each channel, whether its weights are next to nothing.
fn without_weights(operator: &Operator, channels: usize, channel_of: impl Fn(usize) -> usize) -> Vec<bool> {
    let values = operator.weights().map_or(&[][..], |weights| &weights.values);
    let greatest = values
        .iter()
        .fold(0f32, |greatest, value| greatest.max(value.abs()));
    let mut without = vec![true; channels];
    for (index, value) in values.iter().enumerate() {
        without[channel_of(index)] &= value.abs() <= NEGLIGIBLE * greatest;
    }
    without
}

/// The weights of an output channel.
pub(super) fn weights_of(operator: &Operator, channel: usize) -> impl Iterator<Item = f32> {
    let values = operator.weights().map_or(&[][..], |weights| &weights.values);
    let of_channel = move |(index, _): &(usize, &f32)| operator.weight_channel(*index) == channel;
    values
        .iter()
        .enumerate()
        .filter(of_channel)
        .map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Clamp, QuantizedWeights};
    use crate::rewrite::testing::Builder;

    /// Gives weights a quantization, as rounding does.
    fn rounded(mut graph: Graph) -> Graph {
        for node in &mut graph.nodes {
            let channels = graph.tensors[node.output.0].shape.channels;
            if let Some(weights) = node.operator.weights_mut() {
                weights.quantized = Some(QuantizedWeights {
                    values: weights
                        .values
                        .iter()
                        .map(|value| (value * 100.0).round() as i8)
                        .collect(),
                    scales: vec![0.01; channels],
                    bias: None,
                });
            }
        }
        graph
    }

    /// Sets all weights of an output channel to zero, and its bias.
    fn silence(graph: &mut Graph, node: usize, channel: usize, bias: f32) {
        let channels = graph.shape(graph.nodes[node].output).channels;
        let operator = &mut graph.nodes[node].operator;
        let count = operator.weights().unwrap().values.len();
        let of_channel: Vec<usize> = (0..count)
            .filter(|i| operator.weight_channel(*i) == channel)
            .collect();
        let weights = operator.weights_mut().unwrap();
        of_channel
            .into_iter()
            .for_each(|index| weights.values[index] = 0.0);
        weights.bias.resize(channels, 0.0);
        weights.bias[channel] = bias;
    }

    fn channels(graph: &Graph) -> Vec<usize> {
        let region = Region::from(graph, 0).expect("the network has one");
        region.unused(graph).iter().map(|unused| unused.channel).collect()
    }

    #[test]
    fn channels_that_no_input_changes_are_unused_unless_a_border_shows() {
        let start = || Builder::new(6, 6, 3).convolution(8, 3, 1).fused_relu();
        let with_end = |kernel| {
            let end = start()
                .depthwise(3, 1)
                .fused_relu()
                .convolution(4, kernel, kernel / 2);
            let mut graph = rounded(end.finish());
            // Zero after the ReLU, and zero or not after the depthwise convolution.
            silence(&mut graph, 0, 1, -0.5);
            silence(&mut graph, 0, 2, 0.0);
            graph.nodes[1].operator.weights_mut().unwrap().bias = vec![0.0; 8];
            graph.nodes[1].operator.weights_mut().unwrap().bias[2] = 0.25;
            // Not zero, so that its border differs.
            silence(&mut graph, 0, 3, 0.5);
            // The depthwise convolution lets nothing through.
            silence(&mut graph, 1, 4, -1.0);
            graph
        };
        assert_eq!(channels(&with_end(1)), [1, 2, 4]);
        assert_eq!(channels(&with_end(3)), [1, 4]);
    }

    #[test]
    fn channels_that_nothing_reads_are_unused() {
        let mut graph = rounded(
            Builder::new(6, 6, 3)
                .convolution(8, 3, 1)
                .convolution(4, 1, 0)
                .finish(),
        );
        let weights = graph.nodes[1].operator.weights_mut().unwrap();
        weights
            .values
            .iter_mut()
            .skip(5)
            .step_by(8)
            .for_each(|weight| *weight = 0.0);
        assert_eq!(channels(&graph), [5]);
    }

    #[test]
    fn regions_end_where_channels_meet_and_have_weights_that_may_change() {
        let start = || Builder::new(6, 6, 3).convolution(8, 3, 1);
        let stream = start().last();
        let graph = rounded(
            start()
                .clamp(Clamp::RELU)
                .depthwise(3, 1)
                .convolution(8, 1, 0)
                .finish(),
        );
        let region = Region::from(&graph, 0).expect("a region");
        assert_eq!((&region.nodes[..], &region.ends[..]), (&[0, 1, 2][..], &[3][..]));
        let sum = rounded(start().depthwise(3, 1).add(stream).convolution(8, 1, 0).finish());
        assert!(Region::from(&sum, 0).is_none());
        assert!(Region::from(&start().depthwise(3, 1).convolution(8, 1, 0).finish(), 0).is_none());
    }
}

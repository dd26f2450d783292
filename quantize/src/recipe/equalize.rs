//! Equalization: factors that bring the channels of an activation to like ranges, moved into the weights around it.
//!
//! An activation has one scale, weights have one for each output channel. So before a depthwise convolution the factors
//! cost nothing on either side: it is as if the activation had a scale for each channel. Before a convolution over all
//! channels the columns of its weights spread as the channels of the activation did, and only so much of the spread is
//! moved as lowers the sum of the noise that a model of both predicts. (After Nagel et al. 2019, "Data-Free Quantization
//! Through Weight Equalization and Bias Correction", and Xiao et al. 2022, "SmoothQuant".)

use super::groups::{Group, groups, is_float_linear};
use crate::calibrate::Statistics;
use crate::graph::{Graph, Operator, TensorId};
use rayon::prelude::*;

/// Factors are kept within this of 1, so that no weight or bias leaves the range of its type.
const LARGEST_FACTOR: f32 = 1024.0;

/// Channels are taken to have at least this much, inverted, of the range of the widest. Many channels answer to rare things
/// only, of which the calibration inputs may have shown little: with its range brought to all others', such a channel
/// would be clipped where it matters.
const MOST_SPREAD: f32 = 2.0;

/// Shares of the spread of ranges that are tried, and powers of the weights' spread that counter it.
const SHARES: [f32; 7] = [0.0, 0.25, 0.4, 0.5, 0.6, 0.75, 1.0];
const WEIGHT_POWERS: [f32; 3] = [0.0, 0.25, 0.5];

/// Equalizes every group of activations for which that is exact, given what calibration saw of them. Returns the tensors
/// changed.
pub fn equalize(graph: &mut Graph, statistics: &Statistics) -> Vec<TensorId> {
    let mut changed = Vec::new();
    // All factors are found before any is applied: the statistics are of the graph as it is.
    let found: Vec<(Group, Vec<f32>)> = groups(graph)
        .into_par_iter()
        .filter_map(|group| Some((best_factors(graph, &group, statistics)?, group)))
        .map(|(factors, group)| (group, factors))
        .collect();
    for (group, factors) in found {
        let inverse: Vec<f32> = factors.iter().map(|factor| 1.0 / factor).collect();
        for producer in &group.producers {
            scale_outputs(&mut graph.nodes[*producer].operator, &factors);
        }
        for consumer in &group.consumers {
            scale_inputs(&mut graph.nodes[*consumer].operator, &inverse);
        }
        changed.extend(group.tensors);
    }
    changed
}

/// The factors, among those tried, that predict the least noise; `None` if no factors do better than none.
fn best_factors(graph: &Graph, group: &Group, statistics: &Statistics) -> Option<Vec<f32>> {
    let ranges = relative_ranges(group, statistics)?;
    let columns = column_ranges(graph, group, ranges.len());
    let readers: Vec<Reader> = group
        .consumers
        .iter()
        .map(|node| Reader::new(graph, *node, statistics))
        .collect();
    let candidate = |share: f32, power: f32| {
        let factor = |(range, column): (&f32, &f32)| range.powf(-share) * column.powf(power);
        let mut factors: Vec<f32> = ranges.iter().zip(&columns).map(factor).collect();
        // Only ratios matter: the widest channel is left as it is.
        let widest = (0..ranges.len()).max_by(|a, b| ranges[*a].total_cmp(&ranges[*b]));
        let reference = widest.map_or(1.0, |widest| factors[widest]);
        for factor in &mut factors {
            *factor = (*factor / reference).clamp(1.0 / LARGEST_FACTOR, LARGEST_FACTOR);
        }
        factors
    };
    let noise = |factors: &[f32]| -> f32 {
        readers
            .iter()
            .map(|reader| reader.noise(graph, statistics, factors))
            .sum()
    };
    let none = vec![1.0; ranges.len()];
    let mut best = (noise(&none), None);
    for share in SHARES {
        for power in WEIGHT_POWERS {
            let factors = candidate(share, power);
            let noise = noise(&factors);
            if noise < best.0 {
                best = (noise, Some(factors));
            }
        }
    }
    best.1
}

/// For each channel, its range relative to the widest, as a geometric mean over the group's activations. Channels that
/// are always zero count as the widest. `None` if the whole group is zero.
fn relative_ranges(group: &Group, statistics: &Statistics) -> Option<Vec<f32>> {
    let channels = statistics.of(*group.tensors.first()?).channels.greatest.len();
    let mut logarithms: Vec<(f32, u32)> = vec![(0.0, 0); channels];
    for tensor in &group.tensors {
        let greatest = &statistics.of(*tensor).channels.greatest;
        let widest = greatest.iter().copied().fold(0.0, f32::max);
        for ((sum, count), greatest) in logarithms.iter_mut().zip(greatest) {
            let ratio = greatest / widest;
            if ratio.is_finite() && ratio > 0.0 {
                (*sum, *count) = (*sum + ratio.ln(), *count + 1);
            }
        }
    }
    if logarithms.iter().all(|(_, count)| *count == 0) {
        return None;
    }
    Some(
        logarithms
            .into_iter()
            .map(|(sum, count)| {
                if count == 0 {
                    1.0
                } else {
                    (sum / count as f32).exp()
                }
            })
            .map(|range: f32| range.max(1.0 / MOST_SPREAD))
            .collect(),
    )
}

/// For each channel the greatest weight, relative to its row's greatest, that reads it in a convolution over all channels.
fn column_ranges(graph: &Graph, group: &Group, channels: usize) -> Vec<f32> {
    let mut columns = vec![0f32; channels];
    for consumer in &group.consumers {
        let operator = &graph.nodes[*consumer].operator;
        let Some(rows) = rows(operator) else { continue };
        for row in rows {
            let widest = row.iter().fold(0f32, |widest, weight| widest.max(weight.abs()));
            if widest > 0.0 {
                for (index, weight) in row.iter().enumerate() {
                    let column = &mut columns[index % channels];
                    *column = column.max(weight.abs() / widest);
                }
            }
        }
    }
    // Without such convolutions, and for channels that none reads, there is nothing to counter.
    columns
        .into_iter()
        .map(|column| if column > 0.0 { column } else { 1.0 })
        .collect()
}

/// Weights by output channel, for operators that read all channels: the input channel is the index within a row, modulo
/// the number of channels.
fn rows(operator: &Operator) -> Option<std::slice::ChunksExact<'_, f32>> {
    let length = match operator {
        Operator::Convolution(convolution) => convolution.window.taps() * convolution.in_channels,
        Operator::FullyConnected(dense) => dense.inputs,
        _ => return None,
    };
    Some(operator.weights()?.values.chunks_exact(length))
}

/// A linear node that reads a group, and what predicts its noise.
struct Reader {
    node: usize,
    /// The sum of squared weights that read each channel, divided by the variance of what they make.
    gain: Vec<f32>,
}

impl Reader {
    fn new(graph: &Graph, node: usize, statistics: &Statistics) -> Self {
        let (operator, input) = (&graph.nodes[node].operator, graph.nodes[node].inputs[0]);
        let channels = graph.shape(input).channels;
        let output = &statistics.of(graph.nodes[node].output).channels;
        let mut gain = vec![0f32; channels];
        let weights = operator.weights().expect("readers are linear");
        for (index, weight) in weights.values.iter().enumerate() {
            let signal = output.variance(operator.weight_channel(index));
            if signal > 0.0 {
                gain[input_channel(operator, index, channels)] += weight * weight / signal;
            }
        }
        Reader { node, gain }
    }

    /// The predicted noise, relative to the signal and summed over output channels, with the input's channels multiplied
    /// by factors and the weights divided by them.
    fn noise(&self, graph: &Graph, statistics: &Statistics, factors: &[f32]) -> f32 {
        let node = &graph.nodes[self.node];
        let input = &statistics.of(node.inputs[0]).channels;
        let reach = input
            .greatest
            .iter()
            .zip(factors)
            .fold(0f32, |reach, (greatest, factor)| reach.max(greatest * factor));
        // Rounding errors are uniform over a step; signed activations have twice the steps' width, but so they have with
        // any factors.
        let step = reach / 255.0;
        let rounding: f32 = self
            .gain
            .iter()
            .zip(factors)
            .map(|(gain, factor)| gain / (factor * factor))
            .sum();
        let activation = step * step / 12.0 * rounding;
        let Some(rows) = rows(&node.operator) else {
            return activation;
        };
        let output = &statistics.of(node.output).channels;
        let scaled = |channel: usize| input.mean_square[channel] * factors[channel] * factors[channel];
        let taps = node.operator.weights().map_or(0, |weights| weights.values.len())
            / (output.mean.len() * factors.len());
        let energy: f32 = (0..factors.len()).map(scaled).sum::<f32>() * taps as f32;
        let weight: f32 = rows
            .enumerate()
            .map(|(channel, row)| {
                let widest = row.iter().enumerate().fold(0f32, |widest, (i, w)| {
                    widest.max(w.abs() / factors[i % factors.len()])
                });
                let (step, signal) = (widest / 127.0, output.variance(channel));
                if signal > 0.0 {
                    step * step / 12.0 * energy / signal
                } else {
                    0.0
                }
            })
            .sum();
        activation + weight
    }
}

/// The input channel that a weight reads. Fully connected layers read pixel after pixel, channel after channel.
pub(super) fn input_channel(operator: &Operator, weight: usize, channels: usize) -> usize {
    match operator {
        Operator::Depthwise(depthwise) => {
            weight % (depthwise.channels * depthwise.multiplier) / depthwise.multiplier
        }
        _ => weight % channels,
    }
}

fn scale_outputs(operator: &mut Operator, factors: &[f32]) {
    debug_assert!(is_float_linear(operator));
    let count = operator.weights().map_or(0, |weights| weights.values.len());
    let channel_of: Vec<usize> = (0..count).map(|i| operator.weight_channel(i)).collect();
    if let Some(weights) = operator.weights_mut() {
        weights.scale_outputs(factors, &vec![0.0; factors.len()], |index| channel_of[index]);
    }
}

fn scale_inputs(operator: &mut Operator, factors: &[f32]) {
    let count = operator.weights().map_or(0, |weights| weights.values.len());
    let inputs: Vec<usize> = (0..count)
        .map(|i| input_channel(operator, i, factors.len()))
        .collect();
    if let Some(weights) = operator.weights_mut() {
        for (value, input) in weights.values.iter_mut().zip(inputs) {
            *value *= factors[input];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Clamp;
    use crate::rewrite::testing::{Builder, assert_unchanged, random};

    /// A residual block whose stream has channels of ranges far apart.
    fn uneven() -> Graph {
        let start = Builder::new(6, 6, 3).convolution(8, 3, 1);
        let stream = start.last();
        let mut graph = start
            .clamp(Clamp::RELU)
            .depthwise(3, 1)
            .convolution(8, 1, 0)
            .add(stream)
            .depthwise(3, 1)
            .convolution(4, 1, 0)
            .finish();
        let spread: Vec<f32> = (0..8).map(|channel| 4f32.powi(channel - 4)).collect();
        for producer in [0, 3] {
            scale_outputs(&mut graph.nodes[producer].operator, &spread);
        }
        graph
    }

    fn statistics(graph: &Graph) -> Statistics {
        let mut statistics = Statistics::new(graph);
        for seed in 0..4 {
            statistics
                .add(graph, &random(graph.shape(graph.input).elements(), seed))
                .expect("the input fits");
        }
        statistics
    }

    #[test]
    fn outputs_stay_and_ranges_of_channels_come_nearer() {
        let graph = uneven();
        let before = statistics(&graph);
        let after = assert_unchanged(&graph, |graph| !equalize(graph, &before).is_empty());
        let spread = |statistics: &Statistics| {
            let greatest = &statistics.of(graph.nodes[4].output).channels.greatest;
            let (least, most) = greatest.iter().fold((f32::MAX, 0f32), |(least, most), value| {
                (least.min(*value), most.max(*value))
            });
            most / least
        };
        let (before, after) = (spread(&before), spread(&statistics(&after)));
        assert!(after < 0.6 * before, "{before} became {after}");
    }

    #[test]
    fn weights_that_a_source_quantized_stay_as_they_are() {
        let mut graph = uneven();
        for node in &mut graph.nodes {
            if let Some(weights) = node.operator.weights_mut() {
                weights.quantized = Some(crate::graph::QuantizedWeights {
                    values: vec![0; weights.values.len()],
                    scales: vec![1.0],
                    bias: None,
                });
            }
        }
        let seen = statistics(&graph);
        assert!(equalize(&mut graph, &seen).is_empty());
    }
}

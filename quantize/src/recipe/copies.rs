//! Channels that hold nothing put to use: they share the work of those whose rounding costs most.
//!
//! Training leaves channels behind that no input changes. Such a channel becomes a copy of another, and what reads the two
//! takes half of each: the network computes what it did. With half a step between the copies, their mean has steps half
//! as wide, as if that channel had one bit more; `n` copies have steps of `1 ÷ n`. Shapes stay as they are, so this costs
//! no time. (Zhao et al. 2019, "Improving Neural Network Quantization without Retraining using Outlier Channel Splitting",
//! add such copies, to halve outliers. Offsets between roundings of one value are a dither without randomness.)

use super::region::{Region, Unused, weights_of};
use crate::float::{InputLengthError, run_with};
use crate::graph::{Graph, Operator, Quantization, TensorId};
use std::collections::BTreeMap;

/// Channels that are alike in all activations between the layer that makes them and those that mix them.
#[derive(Clone, Debug, PartialEq)]
pub struct Copies {
    /// The node that makes the channels, then those that keep them apart.
    nodes: Vec<usize>,
    /// The channel that was there, then its copies.
    channels: Vec<usize>,
}

impl Copies {
    /// How far a channel of these is put off, in steps. The offsets sum to zero.
    fn offset(&self, number: usize) -> f32 {
        let count = self.channels.len() as f32;
        (number as f32 - (count - 1.0) / 2.0) / count
    }
}

/// Makes channels that no input changes into copies of those whose rounding costs most, as `inputs` show. The graph's
/// activations must have their quantization ([`pin`](crate::convert::pin)), and only layers whose weights have theirs
/// ([`reconstruct`](super::reconstruct())) take part. The graph computes what it did.
///
/// # Errors
///
/// If an input does not fit.
pub fn copy_channels(graph: &mut Graph, inputs: &[Vec<f32>]) -> Result<Vec<Copies>, InputLengthError> {
    let found: Vec<(Region, Vec<Unused>)> = (0..graph.nodes.len())
        .filter_map(|node| Region::from(graph, node))
        .map(|region| {
            let unused = region.unused(graph);
            (region, unused)
        })
        .filter(|(_, unused)| !unused.is_empty())
        .collect();
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let noise = rounding_noise(graph, inputs)?;
    let mut made = Vec::new();
    for (region, unused) in found {
        let mut cost = region.cost(graph, &noise);
        for unused in &unused {
            cost[unused.channel] = 0.0;
        }
        for (original, slots) in share_out(&cost, &unused) {
            for slot in &slots {
                region.empty(graph, slot);
            }
            let slots = slots.iter().map(|slot| slot.channel);
            let channels: Vec<usize> = std::iter::once(original).chain(slots).collect();
            region.copy(graph, &channels);
            made.push(Copies {
                nodes: region.nodes.clone(),
                channels,
            });
        }
    }
    Ok(made)
}

/// Gives unused channels, one after the other, to the channel of which one copy more saves most.
fn share_out<'a>(cost: &[f32], unused: &'a [Unused]) -> BTreeMap<usize, Vec<&'a Unused>> {
    let mut shared: BTreeMap<usize, Vec<&Unused>> = BTreeMap::new();
    for slot in unused {
        // The noise of n copies is 1 ÷ n² of one's.
        let gain = |channel: &usize| {
            let count = 1.0 + shared.get(channel).map_or(0, Vec::len) as f32;
            cost[*channel] * (count.powi(-2) - (count + 1.0).powi(-2))
        };
        let costliest = (0..cost.len()).max_by(|a, b| gain(a).total_cmp(&gain(b)));
        if let Some(costliest) = costliest.filter(|channel| cost[*channel] > 0.0) {
            shared.entry(costliest).or_default().push(slot);
        }
    }
    shared
}

/// Puts copies apart by fractions of a step, in every activation that a layer with weights makes. Clamps at a step do no
/// harm: integers are clamped after they are rounded.
pub fn set_apart(graph: &mut Graph, copies: &[Copies]) {
    for copies in copies {
        for (number, channel) in copies.channels.iter().copied().enumerate() {
            // How far off the channel is in each activation.
            let mut off: BTreeMap<TensorId, f32> = BTreeMap::new();
            for index in &copies.nodes {
                let node = &mut graph.nodes[*index];
                let of_input = off.get(&node.inputs[0]).copied().unwrap_or(0.0);
                let passed_on = match &node.operator {
                    Operator::Depthwise(_) => of_input * weights_of(&node.operator, channel).sum::<f32>(),
                    Operator::Convolution(_) => 0.0,
                    _ => {
                        off.insert(node.output, of_input);
                        continue;
                    }
                };
                let quantization = graph.tensors[node.output.0].quantization;
                let step = quantization.expect("activations are pinned").scale;
                let wanted = copies.offset(number) * step;
                let weights = node.operator.weights_mut().expect("a linear node");
                // Copying gave it biases.
                weights.bias[channel] += wanted - passed_on;
                off.insert(node.output, wanted);
            }
        }
    }
}

/// For each channel of each tensor, the mean squared error of rounding it. Clipping is left out: copies are clipped alike.
fn rounding_noise(graph: &Graph, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, InputLengthError> {
    let channels = graph.tensors.iter().map(|tensor| tensor.shape.channels);
    let mut noise: Vec<Vec<f32>> = channels.map(|channels| vec![0f32; channels]).collect();
    for input in inputs {
        run_with(graph, input, |TensorId(tensor), values| {
            let Some(Quantization { scale, zero_point }) = graph.tensors[tensor].quantization else {
                return;
            };
            let noise = &mut noise[tensor];
            let share = noise.len() as f32 / (values.len() * inputs.len()) as f32;
            for pixel in values.chunks_exact(noise.len()) {
                for (noise, value) in noise.iter_mut().zip(pixel) {
                    let steps = value / scale;
                    let nearest = steps.round();
                    if (-128.0..=127.0).contains(&(nearest + zero_point as f32)) {
                        *noise += share * ((steps - nearest) * scale).powi(2);
                    }
                }
            }
        })?;
    }
    Ok(noise)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::{Method, Range, Statistics};
    use crate::convert::{Precision, convert, pin};
    use crate::float;
    use crate::graph::Clamp;
    use crate::network::Metadata;
    use crate::recipe::{fidelity, reconstruct};
    use crate::rewrite::testing::{Builder, assert_unchanged, random};

    /// A block with a channel that counts far more than the others, and two that no input changes. Its weights are rounded.
    fn block(inputs: &[Vec<f32>]) -> (Graph, Graph, Vec<Range>) {
        let mut graph = Builder::new(12, 12, 3)
            .convolution(8, 3, 1)
            .fused_relu()
            .depthwise(3, 1)
            .clamp(Clamp::RELU)
            .convolution(6, 1, 0)
            .finish();
        let first = graph.nodes[0].operator.weights_mut().unwrap();
        for (channel, bias) in [(2, -0.2), (7, -1.0)] {
            first.values[channel * 27..][..27].fill(0.0);
            first.bias[channel] = bias;
        }
        let depthwise = graph.nodes[1].operator.weights_mut().unwrap();
        // Nothing but a constant comes out of channel 7.
        depthwise.bias = vec![0.0; 8];
        depthwise.bias[7] = 0.3;
        let last = graph.nodes[3].operator.weights_mut().unwrap();
        last.values
            .iter_mut()
            .skip(5)
            .step_by(8)
            .for_each(|weight| *weight *= 20.0);
        let mut statistics = Statistics::new(&graph);
        for input in inputs {
            statistics.add(&graph, input).unwrap();
        }
        let ranges = statistics.ranges(Method::MinMax);
        let mut rounded = graph.clone();
        pin(&mut rounded, &ranges, &Precision::narrow());
        reconstruct(&mut rounded, &ranges, &Precision::narrow(), inputs, &|_, _| ()).unwrap();
        (graph, rounded, ranges)
    }

    fn inputs(seeds: std::ops::Range<u64>) -> Vec<Vec<f32>> {
        seeds.map(|seed| random(12 * 12 * 3, seed)).collect()
    }

    #[test]
    fn copies_leave_the_float_output_as_it_is() {
        let inputs = inputs(0..8);
        let (_, rounded, _) = block(&inputs);
        let after = assert_unchanged(&rounded, |graph| {
            let copies = copy_channels(graph, &inputs).unwrap();
            copies.iter().map(|copies| &copies.channels[..]).eq([[5, 2, 7]])
        });
        let weights = after.nodes[3].operator.weights().unwrap();
        let quantized = weights.quantized.as_ref().unwrap();
        for (index, value) in quantized.values.iter().enumerate() {
            assert_eq!(weights.values[index], *value as f32 * quantized.scales[index / 8]);
        }
    }

    #[test]
    fn copies_bring_integer_outputs_nearer() {
        let seen = inputs(0..8);
        let (graph, rounded, ranges) = block(&seen);
        let judges = inputs(100..116);
        let decibels = |of: &Graph, expected: &Graph| {
            let network = convert(of, &ranges, &Precision::narrow(), Metadata::default()).unwrap();
            let expected: Vec<Vec<f32>> = judges
                .iter()
                .map(|input| float::run(expected, input).unwrap())
                .collect();
            fidelity(&network, &judges, &expected).decibels
        };
        let mut copied = rounded.clone();
        let copies = copy_channels(&mut copied, &seen).unwrap();
        let alike = copied.clone();
        set_apart(&mut copied, &copies);
        let [before, alike, apart] = [&rounded, &alike, &copied].map(|of| decibels(of, &graph));
        assert!((alike - before).abs() < 0.3, "{before} dB became {alike} dB");
        assert!(apart > before + 1.0, "{before} dB became {apart} dB");
    }

    #[test]
    fn offsets_are_fractions_of_a_step_everywhere_and_sum_to_zero() {
        let inputs = inputs(0..8);
        let (_, rounded, _) = block(&inputs);
        let mut copied = rounded.clone();
        let copies = copy_channels(&mut copied, &inputs).unwrap();
        let mut apart = copied.clone();
        set_apart(&mut apart, &copies);
        let step = |node: usize| {
            rounded.tensors[rounded.nodes[node].output.0]
                .quantization
                .unwrap()
                .scale
        };
        let moved = |node: usize, channel: usize| {
            let bias = |graph: &Graph| graph.nodes[node].operator.weights().unwrap().bias_of(channel);
            bias(&apart) - bias(&copied)
        };
        let taps: f32 = weights_of(&copied.nodes[1].operator, 5).sum();
        for (channel, share) in [(5, -1.0 / 3.0), (2, 0.0), (7, 1.0 / 3.0)] {
            assert!((moved(0, channel) - share * step(0)).abs() < 1e-5);
            let through = moved(0, channel) * taps + moved(1, channel);
            assert!((through - share * step(1)).abs() < 1e-4, "{through}");
        }
        assert_eq!(moved(0, 3), 0.0);
    }

    #[test]
    fn the_costliest_channel_gets_as_many_copies_as_save_most() {
        let unused: Vec<Unused> = [1, 4, 6]
            .map(|channel| Unused {
                channel,
                values: Vec::new(),
            })
            .into();
        let shared = |cost: &[f32]| -> Vec<(usize, Vec<usize>)> {
            let channels = |slots: Vec<&Unused>| slots.iter().map(|slot| slot.channel).collect();
            share_out(cost, &unused)
                .into_iter()
                .map(|(original, slots)| (original, channels(slots)))
                .collect()
        };
        // A first copy saves 3/4, a second one 5/36.
        assert_eq!(
            shared(&[1.0, 0.0, 9.0, 0.1, 0.0, 0.0, 0.0]),
            [(0, vec![6]), (2, vec![1, 4])]
        );
        assert_eq!(shared(&[0.0; 7]), []);
    }
}

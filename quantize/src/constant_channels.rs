//! Leaving out channels that no input can change.
//!
//! Training leaves channels behind whose weights are so small that their outputs round to one value whatever the input is.
//! What the next convolution makes of such a value goes into its biases, exactly, and the channel is dropped together with its
//! weights. The network's outputs stay the same, bit for bit, for every input.

use crate::network::{Linear, Network, Operation, TensorId};
use sepconv::{Element, fixed_point::Multiplier};

/// Channels are left in so that their number stays a multiple of this, which kernels are made for.
const MULTIPLE: usize = 4;

/// Drops channels, and returns how many.
pub fn drop_constant_channels(network: &mut Network) -> usize {
    let mut dropped = 0;
    loop {
        let ranges = ranges(network);
        let found = (0..network.nodes.len()).find_map(|node| {
            let chain = Chain::from(network, node)?;
            let channels = chain.droppable(network, &ranges);
            (!channels.is_empty()).then_some((chain, channels))
        });
        let Some((chain, channels)) = found else {
            return dropped;
        };
        dropped += channels.len();
        chain.drop(network, &channels, &ranges);
    }
}

/// The least and the greatest value of each channel of each tensor.
fn ranges(network: &Network) -> Vec<Vec<(i64, i64)>> {
    let all = |tensor: TensorId| {
        let tensor = &network.tensors[tensor];
        let ends = match tensor.element {
            Element::Int8 => (-128, 127),
            Element::Int16 => (-32768, 32767),
        };
        vec![ends; tensor.shape.channels as usize]
    };
    let mut ranges: Vec<_> = (0..network.tensors.len()).map(all).collect();
    for node in &network.nodes {
        let input = &network.tensors[node.inputs[0]];
        let output = &network.tensors[node.output];
        if input.element != Element::Int8 || output.element != Element::Int8 {
            continue;
        }
        let clamp = |value: i64| value.clamp(node.activation.0 as i64, node.activation.1 as i64);
        let of_input = ranges[node.inputs[0]].clone();
        let channels = output.shape.channels as usize;
        let of_linear = |linear: &Linear, padded: bool, weight: &dyn Fn(usize) -> Vec<(usize, i64)>| {
            let value = |sum: i64, multiplier: &Multiplier| {
                let sum = i32::try_from(sum).ok()?;
                // A shift to the left could lose bits.
                if multiplier.shift > 0 {
                    return None;
                }
                Some(clamp(multiplier.apply(sum) as i64 + output.zero_point as i64))
            };
            let channel = |channel: usize| {
                let (mut least, mut greatest) = (linear.bias[channel], linear.bias[channel]);
                for (from, weight) in weight(channel) {
                    let (mut low, mut high) = of_input[from];
                    if padded {
                        low = low.min(input.zero_point as i64);
                        high = high.max(input.zero_point as i64);
                    }
                    let ends = [low, high].map(|value| (value - input.zero_point as i64) * weight);
                    least += ends[0].min(ends[1]);
                    greatest += ends[0].max(ends[1]);
                }
                let multiplier = &linear.multipliers[channel];
                value(least, multiplier).zip(value(greatest, multiplier))
            };
            (0..channels)
                .map(|number| channel(number).unwrap_or((-128, 127)))
                .collect::<Vec<_>>()
        };
        let depth = of_input.len();
        let rows = |linear: &Linear| {
            let weights = linear.weights.clone();
            let len = weights.len() / channels;
            move |channel: usize| -> Vec<(usize, i64)> {
                let row = &weights[channel * len..(channel + 1) * len];
                row.iter()
                    .enumerate()
                    .map(|(k, weight)| (k % depth, *weight as i64))
                    .collect()
            }
        };
        ranges[node.output] = match &node.operation {
            Operation::Convolution(linear) => of_linear(linear, true, &rows(linear)),
            Operation::Pointwise(linear) | Operation::FullyConnected(linear) => {
                of_linear(linear, false, &rows(linear))
            }
            Operation::Depthwise(linear) if channels == depth => of_linear(linear, true, &|channel| {
                let taps = linear.weights.iter().skip(channel).step_by(channels);
                taps.map(|weight| (channel, *weight as i64)).collect()
            }),
            Operation::AveragePool(_) | Operation::MaxPool(_) => of_input
                .iter()
                .map(|(least, greatest)| (clamp(*least), clamp(*greatest)))
                .collect(),
            Operation::Reshape if channels == depth => of_input,
            _ => continue,
        };
    }
    ranges
}

/// A node that makes channels, nodes after it that keep them apart, and at the end nodes that mix them.
struct Chain {
    /// The node that makes the channels, then those that keep them apart.
    nodes: Vec<usize>,
    /// The nodes that mix them.
    ends: Vec<usize>,
}

impl Chain {
    fn from(network: &Network, first: usize) -> Option<Self> {
        if !matches!(
            network.nodes[first].operation,
            Operation::Convolution(_) | Operation::Pointwise(_)
        ) {
            return None;
        }
        let consumers = network.consumers();
        let mut nodes = vec![first];
        loop {
            let tensor = network.nodes[*nodes.last()?].output;
            let users: Vec<usize> = consumers[tensor].iter().map(|(node, _)| *node).collect();
            if tensor == network.output
                || network.tensors[tensor].element != Element::Int8
                || users.is_empty()
            {
                return None;
            }
            let shape = network.tensors[tensor].shape;
            if let &[only] = &users[..] {
                let output = network.tensors[network.nodes[only].output].shape;
                let apart = match &network.nodes[only].operation {
                    Operation::Depthwise(_) => output.channels == shape.channels,
                    Operation::AveragePool(_) | Operation::MaxPool(_) => true,
                    Operation::Reshape => shape.pixels() == 1 && output.pixels() == 1,
                    _ => false,
                };
                if apart {
                    nodes.push(only);
                    continue;
                }
            }
            let mixes = |node: &usize| match &network.nodes[*node].operation {
                Operation::Pointwise(_) => true,
                Operation::FullyConnected(_) => shape.pixels() == 1,
                _ => false,
            };
            return users.iter().all(mixes).then_some(Self { nodes, ends: users });
        }
    }

    fn last_tensor(&self, network: &Network) -> TensorId {
        self.nodes
            .last()
            .map_or(network.output, |node| network.nodes[*node].output)
    }

    /// The channels that can be dropped: those of one value, and those that nothing reads.
    fn droppable(&self, network: &Network, ranges: &[Vec<(i64, i64)>]) -> Vec<usize> {
        let tensor = self.last_tensor(network);
        let channels = ranges[tensor].len();
        let unread = |channel: usize| {
            self.ends.iter().all(|end| {
                let weights =
                    &linear(&network.nodes[*end].operation).map_or(&[][..], |linear| &linear.weights);
                weights
                    .iter()
                    .skip(channel)
                    .step_by(channels)
                    .all(|weight| *weight == 0)
            })
        };
        let constant = |channel: usize| ranges[tensor][channel].0 == ranges[tensor][channel].1;
        let mut found: Vec<usize> = (0..channels)
            .filter(|channel| constant(*channel) || unread(*channel))
            .collect();
        let kept = (channels - found.len()).max(1).next_multiple_of(MULTIPLE);
        found.truncate(channels.saturating_sub(kept));
        found
    }

    fn drop(&self, network: &mut Network, channels: &[usize], ranges: &[Vec<(i64, i64)>]) {
        let tensor = self.last_tensor(network);
        let before = ranges[tensor].len();
        let kept = |channel: usize| channels.binary_search(&channel).is_err();
        for end in &self.ends {
            let zero_point = network.tensors[tensor].zero_point as i64;
            let Some(linear) = linear_mut(&mut network.nodes[*end].operation) else {
                continue;
            };
            for (row, bias) in linear.weights.chunks_exact(before).zip(&mut linear.bias) {
                for &channel in channels {
                    // A channel that nothing reads has a weight of zero here, whatever its value is.
                    *bias += (ranges[tensor][channel].0 - zero_point) * row[channel] as i64;
                }
            }
            retain(&mut linear.weights, |number| kept(number % before));
        }
        for (position, &node) in self.nodes.iter().enumerate() {
            let output = network.nodes[node].output;
            network.tensors[output].shape.channels -= channels.len() as u32;
            let Some(linear) = linear_mut(&mut network.nodes[node].operation) else {
                continue;
            };
            let row_len = linear.weights.len() / before;
            retain(&mut linear.weights, |number| {
                kept(if position == 0 {
                    number / row_len
                } else {
                    number % before
                })
            });
            retain(&mut linear.bias, kept);
            retain(&mut linear.multipliers, kept);
        }
    }
}

fn retain<T>(values: &mut Vec<T>, keep: impl Fn(usize) -> bool) {
    let mut number = 0;
    values.retain(|_| {
        number += 1;
        keep(number - 1)
    });
}

fn linear(operation: &Operation) -> Option<&Linear> {
    match operation {
        Operation::Convolution(linear)
        | Operation::Depthwise(linear)
        | Operation::Pointwise(linear)
        | Operation::FullyConnected(linear) => Some(linear),
        _ => None,
    }
}

fn linear_mut(operation: &mut Operation) -> Option<&mut Linear> {
    match operation {
        Operation::Convolution(linear)
        | Operation::Depthwise(linear)
        | Operation::Pointwise(linear)
        | Operation::FullyConnected(linear) => Some(linear),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Options, plan};
    use crate::{testing, write};
    use sepconv::layout::Target;
    use sepconv::{AlignedVec, Model};

    fn outputs(network: &Network) -> Vec<Vec<i8>> {
        let file = write::to_bytes(network, &plan(network, &Options::SMALLEST), Target::Plain).unwrap();
        let model = Model::new(&file).unwrap();
        let mut arena = AlignedVec::zeroed(model.arena_len());
        let mut run = |seed: usize| {
            let input: Vec<i8> = (0..model.input().bytes())
                .map(|i| match seed {
                    0 => -128,
                    1 => 127,
                    _ => (i * (37 + 2 * seed) % 251) as u8 as i8,
                })
                .collect();
            let mut output = vec![0; model.output().bytes()];
            model.run(&input, &mut arena, &mut output).unwrap();
            output
        };
        (0..10).map(&mut run).collect()
    }

    #[test]
    fn constant_and_unread_channels_go_and_outputs_stay() {
        for seed in 1..20 {
            let mut network = testing::classifier(seed);
            // In the depthwise convolution, channels 0, 2, 5, 6 and 7 get one value each.
            for node in &mut network.nodes {
                match &mut node.operation {
                    Operation::Depthwise(linear) => {
                        for channel in [0, 2, 5, 6, 7] {
                            linear.multipliers[channel] = Multiplier::from_real(1e-7).unwrap();
                            linear.bias[channel] = channel as i64 * 50_000_000;
                        }
                    }
                    // And nothing reads channel 1.
                    Operation::Pointwise(linear) => {
                        linear
                            .weights
                            .iter_mut()
                            .skip(1)
                            .step_by(8)
                            .for_each(|weight| *weight = 0);
                    }
                    _ => (),
                }
            }
            let expected = outputs(&network);
            let whole: u64 = network.nodes.iter().map(|node| network.macs(node)).sum();
            // Two channels live; two more make four.
            assert_eq!(drop_constant_channels(&mut network), 4, "seed {seed}");
            let left: u64 = network.nodes.iter().map(|node| network.macs(node)).sum();
            assert!(left < whole);
            assert_eq!(outputs(&network), expected, "seed {seed}");
            assert_eq!(drop_constant_channels(&mut network), 0);
        }
    }

    #[test]
    fn a_network_of_live_channels_stays() {
        let mut network = testing::classifier(3);
        let macs: u64 = network.nodes.iter().map(|node| network.macs(node)).sum();
        assert_eq!(drop_constant_channels(&mut network), 0);
        assert_eq!(
            macs,
            network.nodes.iter().map(|node| network.macs(node)).sum::<u64>()
        );
    }
}

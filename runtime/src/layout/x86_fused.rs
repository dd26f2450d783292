//! Groups of channels whose sums become bytes in few instructions, in the packed layouts for x86-64.
//!
//! Where the output's zero point is −128 and the activation cuts off only what a byte cannot hold (a fused ReLU, as most
//! networks have it), a channel's outputs are decided by 255 thresholds: the least sums that give −127, −126, ... 127. Any
//! formula that never decreases and keeps these thresholds gives the same bytes. The one used here is the high half of
//! `sum × mantissa + rounding` in 64 bits, with the mantissa in units of 2^-32, so that nothing needs shifting. Whether a
//! mantissa and a rounding with these thresholds exist is decided threshold by threshold, when a model is packed.
//!
//! Sums start at what makes the least possible one 0. AVX-512 IFMA multiplies the low 52 bits of 64-bit lanes and adds the
//! high 52 bits of the product to a third number. A 64-bit lane of sums, cut to 52 bits, is `odd × 2^32 + even`: the sum of an
//! odd channel, if it is below 2^20, and below its binary point the sum of the even channel beside it. One instruction thus
//! multiplies odd sums without moving them, with a mantissa of 52 bits. What the even sum may add is part of the proof.

use super::x86::{FUSED_GROUP, GROUP, push_even_and_odd, push_words};
use super::x86_channel::Channel;
use crate::operator::Linear;
use alloc::vec::Vec;

/// How many outputs there are above the zero point.
const LEVELS: usize = 255;
/// The output zero point.
const ZERO_POINT: i64 = -128;
/// What a sum of an odd channel stays below.
const ODD_END: i64 = 1 << 20;
/// What any sum stays below, so that no product overflows.
const SUM_END: i64 = 1 << 30;

/// The constants of a fused group: those for all lanes, and those of odd lanes for AVX-512 IFMA.
pub(super) struct FusedGroup {
    bias: [i32; GROUP],
    mantissa: [i64; GROUP],
    rounding: [i64; GROUP],
    odd_mantissa: [i64; GROUP / 2],
    odd_rounding: [i64; GROUP / 2],
}

impl FusedGroup {
    /// `None` for groups with other outputs, or without a proof.
    pub fn of(linear: &Linear, channels: &[Channel; GROUP]) -> Option<Self> {
        let saturates = linear.activation_min == i8::MIN as i32 && linear.activation_max == i8::MAX as i32;
        let fits = |channel: &Channel| channel.is_fast() && channel.span < SUM_END;
        if linear.output_zero_point as i64 != ZERO_POINT || !saturates || !channels.iter().all(fits) {
            return None;
        }
        let mut group = Self {
            bias: [0; GROUP],
            mantissa: [0; GROUP],
            rounding: [0; GROUP],
            odd_mantissa: [0; GROUP / 2],
            odd_rounding: [0; GROUP / 2],
        };
        for (lane, channel) in channels.iter().enumerate() {
            let thresholds = Thresholds::of(channel);
            group.bias[lane] = -channel.lowest as i32;
            (group.mantissa[lane], group.rounding[lane]) = thresholds.narrow(channel)?;
            if lane % 2 == 1 {
                let even = channels[lane - 1].span;
                (group.odd_mantissa[lane / 2], group.odd_rounding[lane / 2]) =
                    thresholds.wide(channel, even)?;
            }
        }
        Some(group)
    }

    /// Appends the [`GroupConstants`](super::x86::GroupConstants).
    pub fn push(&self, block: &mut Vec<u8>) {
        push_words(block, self.bias);
        push_even_and_odd(block, self.mantissa);
        push_even_and_odd(block, self.rounding);
        push_words(block, [0; GROUP]);
        push_words::<GROUP>(
            block,
            core::array::from_fn(|i| if i == 0 { FUSED_GROUP } else { 0 }),
        );
        for values in [self.odd_mantissa, self.odd_rounding] {
            block.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
    }
}

/// The least sums that give each output above the zero point, whether they occur or not. The least sum that occurs is 0.
struct Thresholds {
    sums: [i64; LEVELS],
    /// The greatest sum that occurs.
    last: i64,
}

impl Thresholds {
    /// Of a fast channel: see [`GroupConstants`](super::x86::GroupConstants) for its outputs.
    fn of(channel: &Channel) -> Self {
        let least = channel.bias as i64 + channel.lowest;
        let sums = core::array::from_fn(|i| {
            let product = ((i as i64 + 1) << (31 + channel.shift)) - channel.rounding();
            match channel.mantissa {
                0 => i64::MAX,
                mantissa => (product + mantissa - 1).div_euclid(mantissa) - least,
            }
        });
        Self {
            sums,
            last: channel.span,
        }
    }

    /// A mantissa of 31 bits and the rounding to go with it.
    fn narrow(&self, channel: &Channel) -> Option<(i64, i64)> {
        let half = 1 << (channel.shift - 1);
        let nearest = (2 * channel.mantissa + half) >> channel.shift;
        [0, 1, -1, 2, -2, 3, -3].iter().find_map(|change| {
            let mantissa = nearest + change;
            let fits = (0..1 << 31).contains(&mantissa);
            let rounding = self.rounding(|sum| sum * mantissa, |sum| sum * mantissa)?;
            fits.then_some((mantissa, rounding))
        })
    }

    /// A mantissa of 52 bits and the rounding to go with it, where the sum of the even lane beside it is up to `even`.
    fn wide(&self, channel: &Channel, even: i64) -> Option<(i64, i64)> {
        let mantissa = (channel.mantissa << 21) >> channel.shift;
        let product =
            |sum: i64, even: i64| ((((sum as i128) << 32 | even as i128) * mantissa as i128) >> 52) as i64;
        let rounding = self.rounding(|sum| product(sum, 0), |sum| product(sum, even))?;
        (self.last < ODD_END).then_some((mantissa, rounding))
    }

    /// What is to be added to products, of which the least and the greatest of each sum are given, so that their high halves
    /// are the outputs; in the middle of what does.
    fn rounding(&self, least: impl Fn(i64) -> i64, greatest: impl Fn(i64) -> i64) -> Option<i64> {
        let (mut from, mut to) = (i64::MIN, i64::MAX);
        for (level, threshold) in (1..).zip(self.sums) {
            let reached = level << 32;
            if threshold <= self.last {
                from = from.max(reached - least(threshold.max(0)));
            }
            if threshold > 0 {
                to = to.min(reached - 1 - greatest((threshold - 1).min(self.last)));
            }
        }
        let rounding = match (from, to) {
            (i64::MIN, to) => to,
            (from, i64::MAX) => from,
            (from, to) => from + (to - from) / 2,
        };
        (from <= to).then_some(rounding + (ZERO_POINT << 32))
    }
}

#[cfg(test)]
mod tests {
    use super::super::x86::WeightSums;
    use super::*;
    use crate::layout::Layout;
    use crate::operator::Window;

    /// A group of channels with these weights each, whose outputs advance by one every `step` sums or so; the channels; and the
    /// specification's outputs for every sum of each.
    fn group(weights: &[i8], step: i32, zero_point: i32) -> (Option<FusedGroup>, [Channel; GROUP], Vec<i8>) {
        let biases: Vec<i32> = (0..GROUP as i32)
            .map(|lane| lane * 977 * step / 100 - 40 * step)
            .collect();
        let multipliers: Vec<i32> = (0..GROUP as i32)
            .map(|lane| (1 << 30) + lane * 66_000_003 + step)
            .collect();
        let shift = -(step.ilog2() as i8);
        let bytes = |words: &[i32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
        let (bias, mantissas) = (bytes(&biases), bytes(&multipliers));
        let linear = Linear {
            window: Window::UNIT,
            layout: Layout::Plain,
            weight_bits: 8,
            weights: &[],
            bias: &bias,
            multipliers: &mantissas,
            shifts: &[shift as u8; GROUP],
            input_zero_point: -128,
            output_zero_point: zero_point,
            activation_min: -128,
            activation_max: 127,
        };
        let mut sums = WeightSums::default();
        weights.iter().for_each(|weight| sums.add(*weight));
        let channels = core::array::from_fn(|channel| Channel::of(&linear, channel, sums));
        let outputs = (0..GROUP).flat_map(|lane| {
            let (multiplier, channel) = (linear.multiplier(lane), &channels[lane]);
            let least = channel.bias + channel.lowest as i32;
            (0..=channel.span as i32)
                .map(move |sum| (multiplier.apply(least + sum) - 128).clamp(-128, 127) as i8)
        });
        let outputs = outputs.collect();
        (FusedGroup::of(&linear, &channels), channels, outputs)
    }

    #[test]
    fn every_sum_gives_the_output_of_the_specification() {
        let mut proved = 0;
        for step in 2..60 {
            let (group, channels, outputs) = group(&[127, -90, 33, -2, 0, 64, -127], step * step, -128);
            let Some(group) = group else { continue };
            proved += 1;
            let mut outputs = outputs.iter().map(|output| *output as i64);
            for (lane, channel) in channels.iter().enumerate() {
                assert_eq!(group.bias[lane] as i64, -channel.lowest);
                for sum in 0..=channel.span {
                    let output = outputs.next().unwrap();
                    let narrow = (sum * group.mantissa[lane] + group.rounding[lane]) >> 32;
                    assert_eq!(narrow.clamp(-128, 127), output, "{sum} of lane {lane}");
                    if lane % 2 == 1 {
                        for even in [0, channels[lane - 1].span] {
                            let lanes = (sum << 32 | even) as i128;
                            let high = (lanes * group.odd_mantissa[lane / 2] as i128) >> 52;
                            let wide = (high as i64 + group.odd_rounding[lane / 2]) >> 32;
                            assert_eq!(
                                wide.clamp(-128, 127),
                                output,
                                "{sum} of lane {lane} beside {even}"
                            );
                        }
                    }
                }
            }
        }
        assert!(proved > 10, "{proved} groups have a proof");
    }

    #[test]
    fn what_does_not_fit_is_not_fused() {
        assert!(group(&[100; 41], 40, -128).0.is_some());
        // Sums of more than 20 bits.
        assert!(group(&[100; 42], 40, -128).0.is_none());
        assert!(group(&[100; 41], 40, -127).0.is_none());
        // Sums so fine that no mantissa of 31 bits has all thresholds right.
        assert!(group(&[127; 32], 4000, -128).0.is_none());
    }
}

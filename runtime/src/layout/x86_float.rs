//! Groups of channels whose sums become bytes in few instructions, in the packed layouts for x86-64: by 32-bit floating point.
//!
//! Where the activation cuts off only what a byte cannot hold (none, or a fused ReLU, as most networks have it), a channel's
//! outputs are decided by 255 thresholds: the least sums that give −127, −126, ... 127. Any formula that never decreases and
//! keeps these thresholds gives the same bytes. The one used here is `sum × scale + offset`, rounded once to 24 bits (a fused
//! multiply-add, as IEEE 754 defines it) and then to the nearest integer, ties to even. Whether a scale and an offset with
//! these thresholds exist is decided threshold by threshold, when a model is packed.
//!
//! The specification rounds ties away from zero: so the offset is given the sign of the sum, and the zero point is added at the
//! end. Where a fused ReLU cuts off what is negative, neither is needed: a bias makes the sum of the output 0 nearly 0, since
//! numbers near 0 are the finest, and the offset is the rest.

use super::x86::{GROUP, clamps_negative};
use super::x86_channel::Channel;
use crate::operator::Linear;
use alloc::vec::Vec;

/// The least output.
const LEAST: i64 = i8::MIN as i64;
/// Sums up to this are floating-point numbers.
const GREATEST_EXACT: i64 = 1 << 24;
/// How many of the floating-point numbers next to the real scale are tried, on either side.
const NEIGHBOURS: i32 = 32;
/// Where in the range of offsets that would do but for rounding those lie that are tried.
const FRACTIONS: [f64; 9] = [0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9];

/// The constants of a float group.
pub(super) struct FloatGroup {
    /// What is added to biases.
    pub bias: [i32; GROUP],
    pub scale: [f32; GROUP],
    pub offset: [f32; GROUP],
}

impl FloatGroup {
    /// `None` for groups with other outputs, or without a proof.
    pub fn of(linear: &Linear, channels: &[Channel; GROUP]) -> Option<Self> {
        let saturates = linear.activation_min as i64 == LEAST && linear.activation_max == i8::MAX as i32;
        if !saturates || !channels.iter().all(Channel::is_fast) {
            return None;
        }
        let mut group = Self {
            bias: [0; GROUP],
            scale: [0.0; GROUP],
            offset: [0.0; GROUP],
        };
        for (lane, channel) in channels.iter().enumerate() {
            let thresholds = Thresholds::of(linear, channel);
            group.bias[lane] = thresholds.bias as i32;
            (group.scale[lane], group.offset[lane]) = thresholds.formula()?;
        }
        Some(group)
    }
}

/// The sums at which a fast channel's outputs change.
struct Thresholds<'a> {
    channel: &'a Channel,
    zero_point: i64,
    /// Whether what is below the zero point is cut off.
    clamped: bool,
    /// What is added to sums.
    bias: i64,
}

/// What a sum has to give.
struct Constraint {
    sum: i64,
    /// The formula's result has to be this or more, or else less than this.
    result: i64,
    or_more: bool,
}

impl Thresholds<'_> {
    fn of<'a>(linear: &Linear, channel: &'a Channel) -> Thresholds<'a> {
        let (zero_point, clamped) = (linear.output_zero_point as i64, clamps_negative(linear));
        // Greater ones are of scales too fine for a proof anyway.
        let most = GREATEST_EXACT;
        let real = (zero_point << (31 + channel.shift)).checked_div(channel.mantissa);
        Thresholds {
            channel,
            zero_point,
            clamped,
            bias: if clamped {
                real.unwrap_or(0).clamp(-most, most)
            } else {
                0
            },
        }
    }

    /// A scale and an offset.
    fn formula(&self) -> Option<(f32, f32)> {
        if self.channel.mantissa == 0 {
            // Always the zero point.
            return Some((0.0, if self.clamped { self.zero_point as f32 } else { 0.0 }));
        }
        let constraints = self.constraints();
        let real = self.channel.mantissa as f64 * power_of_two(-31 - self.channel.shift);
        let nearest = (real as f32).to_bits() as i32;
        let changes = (0..=NEIGHBOURS).flat_map(|step| [step, -step]);
        let scales = changes.map(|change| f32::from_bits((nearest + change) as u32));
        scales
            .flat_map(|scale| {
                self.offsets(&constraints, scale)
                    .map(move |offset| (scale, offset))
            })
            .find(|(scale, offset)| {
                let mut all = constraints.iter();
                all.all(|constraint| self.holds(constraint, *scale, *offset))
            })
    }

    /// Offsets that satisfy all constraints but for rounding.
    fn offsets(&self, constraints: &[Constraint], scale: f32) -> impl Iterator<Item = f32> {
        let (mut from, mut to) = (if self.clamped { f64::MIN } else { 0.0 }, f64::MAX);
        for Constraint { sum, result, or_more } in constraints {
            let missing = *result as f64 - 0.5 - *sum as f64 * scale as f64;
            let (missing, at_least) = if self.clamped || *sum >= 0 {
                (missing, *or_more)
            } else {
                (-missing, !or_more)
            };
            if at_least {
                from = from.max(missing);
            } else {
                to = to.min(missing);
            }
            if from > to {
                break;
            }
        }
        // Outputs that do not change leave one end open.
        let (from, to) = match (from == f64::MIN, to == f64::MAX) {
            (true, _) => (to - 1.0, to),
            (_, true) => (from, from + 1.0),
            _ => (from, to),
        };
        FRACTIONS
            .iter()
            .filter(move |_| from <= to)
            .map(move |fraction| (from + (to - from) * fraction) as f32)
    }

    /// Whether the formula satisfies a constraint.
    fn holds(&self, constraint: &Constraint, scale: f32, offset: f32) -> bool {
        let sum = constraint.sum;
        let offset = if self.clamped || sum >= 0 { offset } else { -offset };
        let (value, tie) = (
            multiply_add(sum, scale, offset) as f64,
            constraint.result as f64 - 0.5,
        );
        let reached = value > tie || (value == tie && constraint.result % 2 == 0);
        reached == constraint.or_more && sum.abs() <= GREATEST_EXACT
    }

    /// Both sides of each threshold among the sums that occur.
    fn constraints(&self) -> Vec<Constraint> {
        let channel = self.channel;
        let first = channel.bias as i64 + channel.lowest;
        let last = first + channel.span;
        let least = if self.clamped { self.zero_point } else { LEAST };
        let mut constraints = Vec::with_capacity(2 * 255);
        for output in least + 1..=i8::MAX as i64 {
            let steps = output - self.zero_point;
            // Below the zero point, ties go down.
            let tie = ((steps <= 0) as i64) << 31;
            let product = (steps << (31 + channel.shift)) - channel.rounding() + tie;
            let threshold = (product + channel.mantissa - 1).div_euclid(channel.mantissa);
            let result = if self.clamped { output } else { steps };
            if threshold <= last {
                constraints.push(Constraint {
                    sum: threshold.max(first) + self.bias,
                    result,
                    or_more: true,
                });
            }
            if threshold > first {
                constraints.push(Constraint {
                    sum: (threshold - 1).min(last) + self.bias,
                    result,
                    or_more: false,
                });
            }
        }
        constraints
    }
}

/// 2 to a power that a normal number has.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// `sum × scale + offset`, rounded once, for sums of no more than 25 bits. The product is exact in 64 bits, and the sum is first
/// rounded to an odd mantissa there, so that the second rounding is that of the exact number (Boldo and Melquiond, Emulation of
/// a FMA and correctly rounded sums, 2008).
fn multiply_add(sum: i64, scale: f32, offset: f32) -> f32 {
    let (a, b) = (sum as f64 * scale as f64, offset as f64);
    let rounded = a + b;
    // What rounding took away (Knuth's two-sum).
    let part = rounded - a;
    let rest = (a - (rounded - part)) + (b - part);
    let bits = rounded.to_bits();
    if rest == 0.0 || bits % 2 == 1 {
        rounded as f32
    } else if (rest > 0.0) == (rounded > 0.0) {
        f64::from_bits(bits + 1) as f32
    } else {
        f64::from_bits(bits - 1) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::super::x86::WeightSums;
    use super::*;
    use crate::fixed_point::Multiplier;
    use crate::layout::Layout;
    use crate::operator::Window;

    /// Checks a group of channels with these weights each, whose outputs advance by one every `step` sums or so, for every sum
    /// of each: if it is a float group, its formula gives the specification's outputs.
    fn is_float(weights: &[i8], step: i32, zero_point: i32) -> bool {
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
        let Some(group) = FloatGroup::of(&linear, &channels) else {
            return false;
        };
        for (lane, channel) in channels.iter().enumerate() {
            let multiplier = Multiplier::from_bits(channel.mantissa as i32, -channel.shift as i8);
            let least = channel.bias + channel.lowest as i32;
            for sum in least..=least + channel.span as i32 {
                let output = (multiplier.apply(sum) + zero_point).clamp(-128, 127);
                let biased = sum + group.bias[lane];
                let (scale, mut offset) = (group.scale[lane], group.offset[lane]);
                if zero_point > -128 {
                    offset = offset.copysign(if biased < 0 { -1.0 } else { 1.0 });
                }
                let scaled = (biased as f32).mul_add(scale, offset).round_ties_even() as i32;
                let scaled = if zero_point > -128 {
                    scaled + zero_point
                } else {
                    scaled
                };
                assert_eq!(
                    scaled.clamp(-128, 127),
                    output,
                    "{sum} of lane {lane}, step {step}"
                );
            }
        }
        true
    }

    #[test]
    fn every_sum_gives_the_output_of_the_specification() {
        let mut proved = 0;
        for step in 2..40 {
            for zero_point in [-128, -3, 0, 77, 127] {
                proved += is_float(&[127, -90, 33, -2, 0, 64, -127], step * step, zero_point) as i32;
            }
        }
        assert!(proved > 150, "{proved} of 190 groups have a proof");
    }

    #[test]
    fn outputs_that_do_not_change_are_no_hindrance() {
        assert!(is_float(&[], 100, -128));
        assert!(is_float(&[], 100, 5));
        assert!(is_float(&[1], 1000, -128));
    }

    #[test]
    fn sums_too_fine_have_no_proof() {
        assert!(!is_float(&[127; 64], 1 << 16, -128));
        assert!(!is_float(&[127; 64], 1 << 16, 0));
    }

    #[test]
    fn emulated_multiply_add_rounds_once() {
        let mut state = 1u64;
        let mut random = move || {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 32) as u32
        };
        for _ in 0..1_000_000 {
            let sum = (random() as i64 >> (8 + random() % 20)) - (1 << (random() % 24));
            let scale = f32::from_bits(0x3000_0000 + random() % 0x0f80_0000);
            // Near a tie of the product, to a few bits or to many.
            let product = sum as f64 * scale as f64;
            let near = (product as f32 as f64 - product) as f32;
            let offset = [
                near,
                f32::from_bits(near.to_bits() ^ (random() % 4)),
                f32::from_bits(random() % 0x4000_0000),
            ];
            for offset in offset {
                assert_eq!(
                    multiply_add(sum, scale, offset),
                    (sum as f32).mul_add(scale, offset),
                    "{sum} {scale} {offset}"
                );
            }
        }
    }
}

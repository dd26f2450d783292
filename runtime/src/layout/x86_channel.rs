//! How an output channel's sums become outputs in the packed layouts for x86-64.

use super::x86::{WeightSums, clamps_negative};
use crate::operator::Linear;

/// The greatest right shift of a fast channel: the zero point times 2^shift and sums leave room in 32 bits.
const GREATEST_FAST_SHIFT: i32 = 20;

/// A channel's bias and multiplier, or others that give the same outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    /// The bias less the correction for unsigned activations and the input zero point.
    pub bias: i32,
    /// The multiplier: `mantissa × 2^-(31 + shift)`.
    pub mantissa: i64,
    pub shift: i32,
    /// What no sum exceeds in magnitude.
    greatest: i64,
}

impl Channel {
    /// In place of a channel where there is none.
    pub const NONE: Self = Self {
        bias: 0,
        mantissa: 0,
        shift: 1,
        greatest: 0,
    };

    pub fn of(linear: &Linear, channel: usize, sums: WeightSums) -> Self {
        let (bias, multiplier) = (linear.bias(channel), linear.multiplier(channel));
        let unsigned = Self {
            bias: bias.wrapping_sub((128 + linear.input_zero_point).wrapping_mul(sums.sum)),
            mantissa: multiplier.mantissa.to_bits() as i64,
            shift: -(multiplier.shift as i32),
            greatest: sums.magnitude * 255 + (bias as i64).abs(),
        };
        if sums.magnitude == 0 {
            // Dead: always the same output. Quarters of it are within reach of any formula, unlike great biases.
            return Self::constant(multiplier.apply(bias).clamp(-512, 512));
        }
        let never_positive =
            clamps_negative(linear) && unsigned.shift >= 0 && bias as i64 + sums.magnitude * 255 <= 0;
        if unsigned.mantissa == 0 || never_positive || unsigned.is_below_half() {
            return Self {
                bias: unsigned.bias,
                ..Self::NONE
            };
        }
        unsigned
    }

    /// Without weights, and with this output less the zero point.
    fn constant(output: i32) -> Self {
        Self {
            bias: 4 * output,
            mantissa: if output == 0 { 0 } else { 1 << 30 },
            shift: 1,
            greatest: 4 * (output as i64).abs(),
        }
    }

    /// Whether no sum reaches a half, so that all are rounded to 0, by both roundings.
    fn is_below_half(&self) -> bool {
        self.greatest < 1 << 30
            && (1..=31).contains(&self.shift)
            && self.greatest * self.mantissa < (1 << (30 + self.shift)) - (1 << 30)
    }

    /// See [`GroupConstants`](super::x86::GroupConstants).
    pub fn is_fast(&self) -> bool {
        (1..=GREATEST_FAST_SHIFT).contains(&self.shift) && self.greatest < 1 << 30
    }

    /// What rounds the product with the mantissa, in both steps.
    pub fn rounding(&self) -> i64 {
        (1 << 30) + if self.shift > 0 { 1 << (30 + self.shift) } else { 0 }
    }
}

/// A multiplier as floats, for sums whose outputs below 0 are cut off.
///
/// Its first 24 bits and its other 7 are floats, so that only the inner sum of the formula is rounded: the outer one is
/// rounded down, which neither loses nor gains an integer. It rises with the accumulator, as the specification's output does;
/// so both are equal everywhere if they are wherever the output changes, at a sum and at the one before it.
#[derive(Clone, Copy, Default)]
pub(super) struct Floor {
    pub factor_high: f32,
    pub factor_low: f32,
    pub offset: f32,
}

impl Floor {
    /// For outputs from 0 (the zero point) to `greatest`; `None` if some would be wrong.
    pub fn of(channel: &Channel, greatest: i64) -> Option<Self> {
        let mantissa = channel.mantissa;
        // Numbers are multiples of 2^-(31 + shift). A sum gives an output of k if it is at least k − half.
        let one = 1i64 << (31 + channel.shift);
        let half = channel.rounding();
        // How far the least sum with an output exceeds what that needs, at least and at most; below the mantissa, or the
        // sum would not be the least.
        let (mut least, mut most) = (mantissa, 0);
        let mut offset = half;
        if mantissa > 0 {
            let mut sum = (one - half + mantissa - 1) / mantissa;
            let mut excess = sum * mantissa - (one - half);
            // From one output to the next.
            let step = (one + mantissa - 1) / mantissa;
            let more = step * mantissa - one;
            for _ in 0..greatest {
                if sum - 1 > channel.greatest {
                    break;
                }
                if sum >= 1 << 24 {
                    return None;
                }
                (least, most) = (least.min(excess), most.max(excess));
                (sum, excess) = (sum + step, excess + more);
                if excess >= mantissa {
                    (sum, excess) = (sum - 1, excess - mantissa);
                }
            }
        }
        if least <= most {
            // In the middle of what is possible. The offset, at most 1, is rounded to a multiple of 2^-24; the inner sum,
            // below 2, is rounded by 2^-24 at most.
            let unit = 1i64 << (channel.shift + 7);
            offset = (half + (mantissa - most - least) / 2 + unit / 2) / unit * unit;
            let moved = offset - half;
            if least + moved < unit || most + moved > mantissa - unit || offset > one {
                return None;
            }
        }
        let power = |exponent: i32| f32::from_bits(((127 + exponent) as u32) << 23);
        Some(Self {
            factor_high: (mantissa >> 7) as i32 as f32 * power(-24 - channel.shift),
            factor_low: (mantissa & 0x7f) as i32 as f32 * power(-31 - channel.shift),
            offset: (offset >> (channel.shift + 7)) as i32 as f32 * power(-24),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Channel, Floor};
    use crate::fixed_point::Multiplier;

    impl Floor {
        /// The formula, in integers: multiples of 2^-64.
        fn apply(&self, sum: i32) -> i64 {
            let fixed = |float: f64| (float * 2f64.powi(64)) as i128;
            // A product of 24 and 7 bits and a multiple of 2^-24 below 1: exact until it is rounded to a float.
            let inner = (sum as f64 * self.factor_low as f64 + self.offset as f64) as f32;
            ((sum as i128 * fixed(self.factor_high as f64) + fixed(inner as f64)) >> 64) as i64
        }
    }

    #[test]
    fn floors_give_the_specifications_outputs() {
        let mut random = 1u64;
        let mut next = move || {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
            (random >> 33) as i64
        };
        let mut refused = 0;
        for _ in 0..2000 {
            let channel = Channel {
                bias: 0,
                mantissa: (1 << 30) + next() % (1 << 30),
                shift: 1 + (next() % 14) as i32,
                greatest: 1 << (10 + next() % 20),
            };
            let Some(floor) = Floor::of(&channel, 255) else {
                refused += 1;
                continue;
            };
            let multiplier = Multiplier::from_bits(channel.mantissa as i32, -channel.shift as i8);
            let compare = |sum: i64| {
                if sum.abs() <= channel.greatest {
                    let (sum, clamp) = (sum as i32, |output: i64| output.clamp(0, 255));
                    let expected = clamp(multiplier.apply(sum).into());
                    assert_eq!(clamp(floor.apply(sum)), expected, "{sum} of {channel:?}");
                }
            };
            let step = 2f64.powi(31 + channel.shift) / channel.mantissa as f64;
            for output in -2..258 {
                // About where the output changes, which neither rounding moves by more than one sum.
                let change = (output as f64 + 0.5) * step;
                (-3..=3).for_each(|near| compare(change as i64 + near));
                compare(next() % (256.0 * step) as i64);
            }
            compare(channel.greatest);
            compare(-channel.greatest);
        }
        assert!(refused < 400, "{refused}");
    }

    #[test]
    fn constants_are_what_they_say() {
        for output in -512..=512 {
            let channel = Channel::constant(output);
            let multiplier = Multiplier::from_bits(channel.mantissa as i32, -channel.shift as i8);
            assert_eq!(multiplier.apply(channel.bias), output);
            assert!(channel.is_fast());
        }
    }
}

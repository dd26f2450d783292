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
    /// The sums are this much greater than the bias, or more: by up to `span`.
    pub lowest: i64,
    pub span: i64,
}

impl Channel {
    /// In place of a channel where there is none.
    pub const NONE: Self = Self {
        bias: 0,
        mantissa: 0,
        shift: 1,
        greatest: 0,
        lowest: 0,
        span: 0,
    };

    pub fn of(linear: &Linear, channel: usize, sums: WeightSums) -> Self {
        let (bias, multiplier) = (linear.bias(channel), linear.multiplier(channel));
        let unsigned = Self {
            bias: bias.wrapping_sub((128 + linear.input_zero_point).wrapping_mul(sums.sum)),
            mantissa: multiplier.mantissa.to_bits() as i64,
            shift: -(multiplier.shift as i32),
            greatest: sums.magnitude * 255 + (bias as i64).abs(),
            lowest: sums.negative * 255,
            span: sums.magnitude * 255,
        };
        if sums.magnitude == 0 {
            // Dead: always the same output. Quarters of it are within reach of any formula, unlike great biases.
            return Self::constant(multiplier.apply(bias).clamp(-512, 512));
        }
        let never_positive =
            clamps_negative(linear) && unsigned.shift >= 0 && bias as i64 + sums.magnitude * 255 <= 0;
        if unsigned.mantissa == 0 || never_positive || unsigned.is_below_half() {
            return Self {
                mantissa: 0,
                shift: 1,
                greatest: 0,
                ..unsigned
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
            lowest: 0,
            span: 0,
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

#[cfg(test)]
mod tests {
    use super::Channel;
    use crate::fixed_point::Multiplier;

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

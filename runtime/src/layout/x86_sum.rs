//! Elementwise sums of two int8 tensors in few instructions, for x86-64 vectors.
//!
//! The specification rounds three times. But a sum has only 65,536 pairs of inputs, and for nearly all scales one linear
//! formula gives every one of them its output: `(a × factor_a + b × factor_b + offset) >> shift`, clamped, with `a` and `b`
//! made unsigned by adding 128. Whether there is an offset for which it does is decided pair by pair when a model is packed;
//! sums for which there is none stay plain.
//!
//! Factors have 30 bits, which 16-bit products give as two digits of 15: with `factor = high × 2^15 + low`, the kernel
//! computes `high` digits' products plus the `low` digits' shifted down by 15, whose floor is that of the whole.

#[cfg(feature = "alloc")]
use crate::fixed_point::Multiplier;
#[cfg(feature = "alloc")]
use crate::kernels::reference::elementwise::sum;
#[cfg(feature = "alloc")]
use crate::operator::Binary;
#[cfg(feature = "alloc")]
use alloc::vec::Vec;

/// Bits of a low digit.
pub(crate) const DIGIT: u32 = 15;

/// A packed sum's constants, as a kernel reads them (native byte order: x86 is little-endian).
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct SumConstants {
    /// The high digits of the factors of `a` and `b`.
    pub high: [i16; 2],
    /// The low digits, which are not negative.
    pub low: [i16; 2],
    /// The high digit of the offset.
    pub offset_high: i32,
    /// The low digit of the offset.
    pub offset_low: i32,
    /// How far sums of high digits go right.
    pub shift: i32,
}

impl SumConstants {
    /// Bytes in a packed model.
    pub const SIZE: usize = size_of::<Self>();
    /// Whether this build packs sums (feature `alloc`) or is for a processor that uses what is packed. Others refuse it.
    pub const KNOWN: bool = cfg!(any(feature = "alloc", target_arch = "x86_64"));
}

/// The block of constants of a sum of two tensors of the same shape, or `None` if it stays plain.
#[cfg(feature = "alloc")]
pub(crate) fn pack(binary: &Binary) -> Option<Vec<u8>> {
    let constants = SumConstants::of(binary)?;
    let mut block = Vec::with_capacity(SumConstants::SIZE);
    for digits in [constants.high, constants.low] {
        block.extend(digits.iter().flat_map(|digit| digit.to_le_bytes()));
    }
    for word in [constants.offset_high, constants.offset_low, constants.shift] {
        block.extend(word.to_le_bytes());
    }
    Some(block)
}

/// How far the factors searched are from the nearest to the real ones: up to what the specification's own rounding hides.
#[cfg(feature = "alloc")]
const CHANGES: [i64; 9] = [0, 1, -1, 4, -4, 16, -16, 64, -64];
/// The greatest of them.
#[cfg(feature = "alloc")]
const GREATEST_CHANGE: i64 = 64;

#[cfg(feature = "alloc")]
impl SumConstants {
    /// Factors near the real ones, and an offset in the middle of those that give all outputs.
    fn of(binary: &Binary) -> Option<Self> {
        let real = |multiplier: Multiplier| {
            let output = binary.output_multiplier;
            let mantissa = multiplier.mantissa.to_bits() as i64 * output.mantissa.to_bits() as i64;
            let exponent = binary.left_shift as i32 + multiplier.shift as i32 + output.shift as i32 - 62;
            (mantissa, exponent)
        };
        let (a, b) = (real(binary.a_multiplier), real(binary.b_multiplier));
        // The most bits below the binary point for which both factors, and those near them, have two digits.
        let bits = (DIGIT as i32..=DIGIT as i32 + 31).rev().find(|bits| {
            [a, b].iter().all(|(mantissa, exponent)| {
                let right = -(exponent + bits);
                (1..63).contains(&right) && mantissa >> right < (1 << (2 * DIGIT)) - 2 * GREATEST_CHANGE
            })
        })?;
        let nearest = |(mantissa, exponent): (i64, i32)| ((mantissa >> (-(exponent + bits) - 1)) + 1) >> 1;
        let (a, b) = (nearest(a), nearest(b));
        let outputs: Vec<i32> = pairs().map(|(a, b)| sum(binary, a - 128, b - 128)).collect();
        let near = |factor: i64| CHANGES.iter().map(move |change| (factor + change).max(0));
        let (a, b, offset) = near(a)
            .flat_map(|a| near(b).map(move |b| (a, b)))
            .find_map(|(a, b)| {
                let offset = offset(binary, &outputs, bits as u32, a, b)?;
                Some((a, b, offset))
            })?;
        let low_digit = |number: i64| number & ((1 << DIGIT) - 1);
        Some(Self {
            high: [(a >> DIGIT) as i16, (b >> DIGIT) as i16],
            low: [low_digit(a) as i16, low_digit(b) as i16],
            offset_high: i32::try_from(offset >> DIGIT).ok()?,
            offset_low: low_digit(offset) as i32,
            shift: bits - DIGIT as i32,
        })
    }
}

/// All pairs of inputs, made unsigned.
#[cfg(feature = "alloc")]
fn pairs() -> impl Iterator<Item = (i32, i32)> {
    (0..256).flat_map(|a| (0..256).map(move |b| (a, b)))
}

/// An offset with which these factors give all outputs, which are those of [`pairs`].
#[cfg(feature = "alloc")]
fn offset(binary: &Binary, outputs: &[i32], bits: u32, a_factor: i64, b_factor: i64) -> Option<i64> {
    let (mut from, mut to) = (i64::MIN, i64::MAX);
    for ((a, b), output) in pairs().zip(outputs) {
        let product = a as i64 * a_factor + b as i64 * b_factor;
        let reached = (*output as i64) << bits;
        if *output > binary.activation_min {
            from = from.max(reached - product);
        }
        if *output < binary.activation_max {
            to = to.min(reached + (1 << bits) - 1 - product);
        }
    }
    match (from, to) {
        // A single output, which any offset far from all others gives; not worth a case.
        (i64::MIN, _) | (_, i64::MAX) => None,
        (from, to) => (from <= to).then_some(from + (to - from) / 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum of inputs with these scales and zero points.
    fn binary(scales: [f64; 3], zero_points: [i32; 3], activation: [i32; 2]) -> Binary<'static> {
        let [a, b, output] = scales;
        let common = 2.0 * a.max(b);
        let multiplier = |real: f64| Multiplier::from_real(real).unwrap();
        Binary {
            constant: &[],
            packed: &[],
            a_zero_point: zero_points[0],
            b_zero_point: zero_points[1],
            output_zero_point: zero_points[2],
            left_shift: 20,
            a_multiplier: multiplier(a / common),
            b_multiplier: multiplier(b / common),
            output_multiplier: multiplier(common / (output * f64::from(1 << 20))),
            activation_min: activation[0],
            activation_max: activation[1],
        }
    }

    /// Whether the sum has constants; if it has, they give every output of the specification.
    fn is_packed(binary: &Binary) -> bool {
        let Some(constants) = SumConstants::of(binary) else {
            return false;
        };
        let dot = |a: i32, b: i32, digits: [i16; 2]| a * digits[0] as i32 + b * digits[1] as i32;
        for (a, b) in pairs() {
            let carry = (constants.offset_low + dot(a, b, constants.low)) >> DIGIT;
            let scaled = (constants.offset_high + dot(a, b, constants.high) + carry) >> constants.shift;
            let output = scaled.clamp(binary.activation_min, binary.activation_max);
            assert_eq!(output, sum(binary, a - 128, b - 128), "{a} + {b} of {binary:?}");
        }
        true
    }

    #[test]
    fn constants_give_every_output() {
        let mut packed = 0;
        for step in 0..60 {
            let ratio = 0.03 * 1.123f64.powi(step);
            let scales = [0.0471, 0.0471 * ratio, 0.05 * (1.0 + ratio)];
            let zero_points = [step * 4 - 120, 127 - step * 3, step - 128];
            let activation = if step % 2 == 0 {
                [-128, 127]
            } else {
                [step - 128, 127 - step]
            };
            packed += is_packed(&binary(scales, zero_points, activation)) as i32;
        }
        assert!(packed > 50, "{packed} of 60 sums are packed");
    }

    #[test]
    fn ties_go_away_from_zero() {
        assert!(is_packed(&binary([0.1; 3], [3, -7, 11], [-128, 127])));
        // Factors a little greater than a half.
        assert!(is_packed(&binary([0.1, 0.1, 0.2], [0; 3], [-128, 127])));
    }

    #[test]
    fn what_no_formula_gives_stays_plain() {
        assert!(!is_packed(&binary([0.1; 3], [0; 3], [5, 5])));
        assert!(!is_packed(&binary([1.0, 1.0, 1e-6], [0; 3], [-128, 127])));
    }
}

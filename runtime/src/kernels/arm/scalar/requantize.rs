//! From sums to outputs, for the words of a channel that [`cortex_m3`](crate::layout::cortex_m3) describes.

use crate::fixed_point::Multiplier;
use crate::layout::cortex_m3::CHANNEL;
use crate::operator::Linear;

/// Requantizes sums of one channel whose rounding is [`Rounding::Wide`](crate::layout::cortex_m3::Rounding::Wide).
#[inline(always)]
pub fn requantize<'o>(
    linear: &Linear,
    words: &[u8; CHANNEL],
    sums: &[i32],
    outputs: impl Iterator<Item = &'o mut i8>,
) {
    let [bias, multiplier, shift, _] = self::words(words);
    for (sum, output) in sums.iter().zip(outputs) {
        *output = wide(linear, sum.wrapping_add(bias), multiplier, shift);
    }
}

/// A channel's four words.
#[inline(always)]
pub fn words(bytes: &[u8; CHANNEL]) -> [i32; 4] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *bytes;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]].map(i32::from_le_bytes)
}

/// The output of twice a sum, ties away from zero.
#[cfg(sepconv_arm = "armv7m")]
#[inline(always)]
pub fn signed(doubled: i32, multiplier: i32, addend: i32, shift: i32) -> i8 {
    let ties = doubled >> 31;
    saturated(
        high(doubled, multiplier).wrapping_add(ties).wrapping_add(addend),
        shift,
    )
}

/// The output of twice a sum where sums below zero give the least.
#[cfg(sepconv_arm = "armv7m")]
#[inline(always)]
pub fn rectified(doubled: i32, multiplier: i32, addend: i32, shift: i32) -> i8 {
    if doubled <= 0 {
        return i8::MIN;
    }
    saturated(high(doubled, multiplier).wrapping_add(addend), shift)
}

/// As the specification computes it.
#[inline(never)]
pub fn wide(linear: &Linear, sum: i32, multiplier: i32, shift: i32) -> i8 {
    Multiplier::from_bits(multiplier, shift as i8)
        .apply(sum)
        .saturating_add(linear.output_zero_point)
        .max(linear.activation_min)
        .min(linear.activation_max) as i8
}

#[cfg(sepconv_arm = "armv7m")]
#[inline(always)]
fn saturated(value: i32, shift: i32) -> i8 {
    (value >> (shift & 31)).clamp(-128, 127) as i8
}

/// The high word of `a × b + 2^31`; b is not negative.
#[cfg(sepconv_arm = "armv7m")]
#[inline(always)]
fn high(a: i32, b: i32) -> i32 {
    ((a as i64 * b as i64 + (1 << 31)) >> 32) as i32
}

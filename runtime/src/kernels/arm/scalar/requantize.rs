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

/// As the specification computes it.
#[inline(never)]
pub fn wide(linear: &Linear, sum: i32, multiplier: i32, shift: i32) -> i8 {
    Multiplier::from_bits(multiplier, shift as i8)
        .apply(sum)
        .saturating_add(linear.output_zero_point)
        .max(linear.activation_min)
        .min(linear.activation_max) as i8
}

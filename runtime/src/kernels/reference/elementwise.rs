//! Elementwise sum and product of two tensors. `N` is the bytes of a value.

use super::{set_value, value};
use crate::operator::Binary;
use crate::{Band, Rows};

/// `a + b`, see [`sum`].
pub fn add<const N: usize>(binary: &Binary, a: &Rows, b: &Rows, output: &mut Band) {
    combine::<N>(binary, a, b, output, |a, b| sum(binary, a, b));
}

/// `a × b`.
pub fn mul<const N: usize>(binary: &Binary, a: &Rows, b: &Rows, output: &mut Band) {
    combine::<N>(binary, a, b, output, |a, b| {
        finish(
            binary,
            (a - binary.a_zero_point).wrapping_mul(b - binary.b_zero_point),
        )
    });
}

/// `a + b`, each brought to a common scale with [`Binary::left_shift`] more bits, then to the output's.
#[inline(always)]
pub fn sum(binary: &Binary, a: i32, b: i32) -> i32 {
    let shift = binary.left_shift as u32;
    let a = binary
        .a_multiplier
        .apply((a - binary.a_zero_point).wrapping_shl(shift));
    let b = binary
        .b_multiplier
        .apply((b - binary.b_zero_point).wrapping_shl(shift));
    finish(binary, a.wrapping_add(b))
}

#[inline(always)]
fn finish(binary: &Binary, accumulator: i32) -> i32 {
    binary
        .output_multiplier
        .apply(accumulator)
        .saturating_add(binary.output_zero_point)
        .max(binary.activation_min)
        .min(binary.activation_max)
}

#[inline(always)]
fn combine<const N: usize>(
    binary: &Binary,
    a: &Rows,
    b: &Rows,
    output: &mut Band,
    value_of: impl Fn(i32, i32) -> i32,
) {
    for (y, row) in output.rows_mut() {
        let row_bytes = row.len();
        let pairs = row.chunks_exact_mut(N).zip(a.row(y).chunks_exact(N));
        // What is shorter than a row repeats: a vector for each pixel, a single value for each value.
        if binary.constant.is_empty() {
            let y = if b.shape.height == 1 { 0 } else { y };
            let second = b.row(y).chunks_exact(N).cycle();
            for ((to, a), b) in pairs.zip(second) {
                set_value(to, value_of(value(a), value(b)));
            }
        } else {
            // A constant as large as the tensor has its own row; others are used up by the first.
            let own = binary.constant.get(y * row_bytes..).filter(|own| !own.is_empty());
            let second = own.unwrap_or(binary.constant).chunks_exact(N).cycle();
            for ((to, a), b) in pairs.zip(second) {
                set_value(to, value_of(value(a), value(b)));
            }
        }
    }
}

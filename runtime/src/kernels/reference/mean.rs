//! Mean over height and width. `N` is the bytes of a value.

use crate::operator::Mean;
use crate::{Band, Rows};

/// Channels that are summed at a time, so that the input is walked once for all of them.
const BLOCK: usize = 32;

/// The sum of a channel's values less their zero points, times a multiplier that includes the division.
pub fn run<const N: usize>(mean: &Mean, input: &Rows, output: &mut Band) {
    let pixel_bytes = input.shape.channels as usize * N;
    // A product of a 31-bit size and a 16-bit value: wraps as the sum does, and the two cancel.
    let zero = mean.input_zero_point.wrapping_mul(input.shape.pixels() as i32);
    for (block, values) in output.data.chunks_mut(BLOCK * N).enumerate() {
        let mut sums = [0i32; BLOCK];
        let sums = sums.get_mut(..values.len() / N).unwrap_or_default();
        for y in 0..input.shape.height as usize {
            for pixel in input.row(y).chunks_exact(pixel_bytes.max(1)) {
                super::add_values::<N>(sums, pixel.get(block * BLOCK * N..).unwrap_or(&[]));
            }
        }
        for sum in sums.iter_mut() {
            *sum = rescaled(mean, sum.wrapping_sub(zero));
        }
        super::set_values::<N>(values, sums, mean.activation_min, mean.activation_max);
    }
}

/// The output value of a sum, not clamped. (A function of its own, so that unrolling the loop around it takes no flash.)
#[inline(never)]
fn rescaled(mean: &Mean, sum: i32) -> i32 {
    mean.multiplier.apply(sum).saturating_add(mean.output_zero_point)
}

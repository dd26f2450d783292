//! Depthwise convolution.

use super::arithmetic::Arithmetic;
use super::set_value;
use crate::operator::Linear;
use crate::{Band, Rows};

/// Channels whose sums are kept at a time, so that the window is walked once for all of them.
const BLOCK: usize = 32;

/// Output channel o reads input channel `o / multiplier`; padding contributes nothing.
pub fn run<A: Arithmetic>(linear: &Linear, input: &Rows, output: &mut Band, _scratch: &mut [i8]) {
    let window = &linear.window;
    let depth = input.shape.channels as usize;
    let channels = output.shape.channels as usize;
    let multiplier = channels.checked_div(depth).unwrap_or(1).max(1);
    for (y, row) in output.rows_mut() {
        for (x, pixel) in row
            .chunks_exact_mut((channels * A::OUTPUT_BYTES).max(1))
            .enumerate()
        {
            let columns = window.kernel_columns(x, input.shape.width);
            for (block, values) in pixel.chunks_mut(BLOCK * A::OUTPUT_BYTES).enumerate() {
                let first = block * BLOCK;
                let mut sums = [A::ZERO; BLOCK];
                let sums = sums.get_mut(..values.len() / A::OUTPUT_BYTES).unwrap_or_default();
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = A::bias(linear, first + i);
                }
                for ky in window.kernel_rows(y, input.shape.height) {
                    let source = input.row(window.input_row(y, ky));
                    for kx in columns.clone() {
                        let start = window.input_column(x, kx) * depth * A::BYTES;
                        let source = source.get(start..start + depth * A::BYTES).unwrap_or(&[]);
                        let tap = (ky * window.kernel_width + kx) * channels + first;
                        if multiplier == 1 {
                            let source = source.get(first * A::BYTES..).unwrap_or(&[]);
                            A::add_each(sums, linear, source, tap);
                        } else {
                            add_multiplied::<A>(sums, linear, source, first, multiplier, tap);
                        }
                    }
                }
                for (i, (value, sum)) in values.chunks_exact_mut(A::OUTPUT_BYTES).zip(sums).enumerate() {
                    set_value(value, A::requantize(linear, *sum, first + i));
                }
            }
        }
    }
}

/// Adds one tap of the window to the sums of output channels `first` and after it, several of which read the same channel
/// of `source`, the tap's input pixel. `tap` is the number of the weight of channel `first`.
#[inline(never)]
fn add_multiplied<A: Arithmetic>(
    sums: &mut [A::Sum],
    linear: &Linear,
    source: &[i8],
    first: usize,
    multiplier: usize,
    tap: usize,
) {
    for (i, sum) in sums.iter_mut().enumerate() {
        let start = (first + i).checked_div(multiplier).unwrap_or(0) * A::BYTES;
        let value = source.get(start..start + A::BYTES).unwrap_or(&[]);
        *sum = A::add_product(*sum, linear, value, tap + i);
    }
}

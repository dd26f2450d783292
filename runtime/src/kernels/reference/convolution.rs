//! Convolution.

use super::arithmetic::Arithmetic;
use super::set_value;
use crate::operator::Linear;
use crate::{Band, Rows};

/// Output (y, x, o) is the requantized sum of the bias and of `(input − input_zero_point) × weight` over the window and
/// all input channels; padding contributes nothing.
pub fn run<A: Arithmetic>(linear: &Linear, input: &Rows, output: &mut Band, _scratch: &mut [i8]) {
    let window = &linear.window;
    let depth = input.shape.channels as usize;
    let filter_len = window.kernel_height * window.kernel_width * depth;
    let channels = output.shape.channels as usize;
    for (y, row) in output.rows_mut() {
        for (x, pixel) in row
            .chunks_exact_mut((channels * A::OUTPUT_BYTES).max(1))
            .enumerate()
        {
            let columns = window.kernel_columns(x, input.shape.width);
            for (channel, value) in pixel.chunks_exact_mut(A::OUTPUT_BYTES).enumerate() {
                let mut sum = A::bias(linear, channel);
                for ky in window.kernel_rows(y, input.shape.height) {
                    let source = input.row(window.input_row(y, ky));
                    for kx in columns.clone() {
                        let start = window.input_column(x, kx) * depth * A::BYTES;
                        let values = source.get(start..start + depth * A::BYTES).unwrap_or(&[]);
                        let tap = channel * filter_len + (ky * window.kernel_width + kx) * depth;
                        sum = A::add_products(sum, linear, values, tap);
                    }
                }
                set_value(value, A::requantize(linear, sum, channel));
            }
        }
    }
}

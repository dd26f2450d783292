//! Convolution.

use super::dot;
use crate::operator::Linear;
use crate::{Band, Rows};

/// int8 activations and weights: output (y, x, o) is the requantized sum of the bias and of
/// `(input − input_zero_point) × weight` over the window and all input channels; padding contributes nothing.
pub fn int8(linear: &Linear, input: &Rows, output: &mut Band, _scratch: &mut [i8]) {
    let window = &linear.window;
    let (shape, channels) = (input.shape, output.shape.channels as usize);
    let depth = shape.channels as usize;
    let filter_len = (window.kernel_height * window.kernel_width * depth).max(1);
    for (y, row) in output.rows_mut() {
        for (x, pixel) in row.chunks_exact_mut(channels.max(1)).enumerate() {
            for (channel, (value, filter)) in pixel
                .iter_mut()
                .zip(linear.weights.chunks_exact(filter_len))
                .enumerate()
            {
                let mut sum = linear.bias(channel);
                let mut taps = filter.chunks_exact(depth.max(1));
                for ky in 0..window.kernel_height {
                    let source = window
                        .input_row(y, ky, shape.height)
                        .map_or(&[][..], |iy| input.row(iy));
                    for kx in 0..window.kernel_width {
                        let Some(weights) = taps.next() else { break };
                        let Some(ix) = window.input_column(x, kx, shape.width) else {
                            continue;
                        };
                        let values = source.get(ix * depth..).unwrap_or(&[]);
                        sum = sum.wrapping_add(dot(values, weights, linear.input_zero_point));
                    }
                }
                *value = linear.requantize(sum, channel) as i8;
            }
        }
    }
}

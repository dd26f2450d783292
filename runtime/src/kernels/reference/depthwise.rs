//! Depthwise convolution.

use crate::operator::Linear;
use crate::{Band, Rows};

/// int8 activations and weights: output channel o reads input channel `o / multiplier`; padding contributes nothing.
pub fn int8(linear: &Linear, input: &Rows, output: &mut Band, _scratch: &mut [i8]) {
    let window = &linear.window;
    let (shape, channels) = (input.shape, output.shape.channels as usize);
    let depth = shape.channels as usize;
    let multiplier = channels.checked_div(depth).unwrap_or(1);
    for (y, row) in output.rows_mut() {
        for (x, pixel) in row.chunks_exact_mut(channels.max(1)).enumerate() {
            for (channel, value) in pixel.iter_mut().enumerate() {
                let source_channel = channel.checked_div(multiplier).unwrap_or(0);
                let mut sum = linear.bias(channel);
                for ky in 0..window.kernel_height {
                    let source = window
                        .input_row(y, ky, shape.height)
                        .map_or(&[][..], |iy| input.row(iy));
                    for kx in 0..window.kernel_width {
                        let Some(ix) = window.input_column(x, kx, shape.width) else {
                            continue;
                        };
                        let Some(&element) = source.get(ix * depth + source_channel) else {
                            continue;
                        };
                        let tap = (ky * window.kernel_width + kx) * channels + channel;
                        let weight = linear.weights.get(tap).map_or(0, |weight| *weight as i8 as i32);
                        sum =
                            sum.wrapping_add((element as i32 - linear.input_zero_point).wrapping_mul(weight));
                    }
                }
                *value = linear.requantize(sum, channel) as i8;
            }
        }
    }
}

//! Pointwise convolution.

use super::dot;
use crate::operator::Linear;
use crate::{Band, Rows};

/// int8 activations and weights: each output pixel is a matrix of weights times the input pixel.
pub fn int8(linear: &Linear, input: &Rows, output: &mut Band, _scratch: &mut [i8]) {
    let depth = (input.shape.channels as usize).max(1);
    let channels = (output.shape.channels as usize).max(1);
    for (y, row) in output.rows_mut() {
        for (values, pixel) in input
            .row(y)
            .chunks_exact(depth)
            .zip(row.chunks_exact_mut(channels))
        {
            for (channel, (value, weights)) in pixel
                .iter_mut()
                .zip(linear.weights.chunks_exact(depth))
                .enumerate()
            {
                let sum = linear
                    .bias(channel)
                    .wrapping_add(dot(values, weights, linear.input_zero_point));
                *value = linear.requantize(sum, channel) as i8;
            }
        }
    }
}

//! Fully connected.

use super::dot;
use crate::operator::Linear;
use crate::{Band, Rows};

/// int8 activations and weights: a matrix of weights times all values of the input, row after row.
pub fn int8(linear: &Linear, input: &Rows, output: &mut Band, _scratch: &mut [i8]) {
    let row_len = input.shape.row_values().max(1);
    let depth = input.shape.values().max(1);
    for (channel, (value, weights)) in output
        .data
        .iter_mut()
        .zip(linear.weights.chunks_exact(depth))
        .enumerate()
    {
        let mut sum = linear.bias(channel);
        for (y, weights) in weights.chunks_exact(row_len).enumerate() {
            sum = sum.wrapping_add(dot(input.row(y), weights, linear.input_zero_point));
        }
        *value = linear.requantize(sum, channel) as i8;
    }
}

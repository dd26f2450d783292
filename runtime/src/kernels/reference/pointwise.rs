//! Pointwise convolution.

use super::arithmetic::Arithmetic;
use super::set_value;
use crate::operator::Linear;
use crate::{Band, Rows};

/// Each output pixel is a matrix of weights times the input pixel.
pub fn run<A: Arithmetic>(linear: &Linear, input: &Rows, output: &mut Band, _scratch: &mut [i8]) {
    let depth = input.shape.channels as usize;
    let channels = output.shape.channels as usize;
    for (y, row) in output.rows_mut() {
        let sources = input.row(y).chunks_exact((depth * A::BYTES).max(1));
        for (values, pixel) in sources.zip(row.chunks_exact_mut((channels * A::OUTPUT_BYTES).max(1))) {
            for (channel, value) in pixel.chunks_exact_mut(A::OUTPUT_BYTES).enumerate() {
                let sum = A::add_products(A::bias(linear, channel), linear, values, channel * depth);
                set_value(value, A::requantize(linear, sum, channel));
            }
        }
    }
}

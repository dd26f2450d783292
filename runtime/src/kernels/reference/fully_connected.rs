//! Fully connected.

use super::arithmetic::Arithmetic;
use super::set_value;
use crate::operator::Linear;
use crate::{Band, Rows};

/// A matrix of weights times all values of the input, row after row.
pub fn run<A: Arithmetic>(linear: &Linear, input: &Rows, output: &mut Band, _scratch: &mut [i8]) {
    let row_len = input.shape.row_values();
    let depth = input.shape.values();
    for (channel, value) in output.data.chunks_exact_mut(A::OUTPUT_BYTES).enumerate() {
        let mut sum = A::bias(linear, channel);
        for y in 0..input.shape.height as usize {
            sum = A::add_products(sum, linear, input.row(y), channel * depth + y * row_len);
        }
        set_value(value, A::requantize(linear, sum, channel));
    }
}

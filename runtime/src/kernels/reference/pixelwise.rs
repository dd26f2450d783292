//! Operators that treat each value or each pixel by itself: table lookup, requantization, argmax.

use super::{set_value, value};
use crate::operator::{Lookup, Requantize};
use crate::{Band, Element, Rows};

/// Each value's entry of the table.
pub fn lookup(lookup: &Lookup, input: &Rows, output: &mut Band) {
    for (y, row) in output.rows_mut() {
        for (to, from) in row.iter_mut().zip(input.row(y)) {
            let entry = (*from as i32 + 128) as usize;
            *to = lookup.table.get(entry).map_or(0, |entry| *entry as i8);
        }
    }
}

/// Between any two elements.
pub fn requantize(requantize: &Requantize, input: &Rows, output: &mut Band) {
    let from_bytes = input.element.bytes();
    let to_bytes = output.element.bytes();
    for (y, row) in output.rows_mut() {
        let values = input.row(y).chunks_exact(from_bytes);
        for (to, from) in row.chunks_exact_mut(to_bytes).zip(values) {
            let scaled = requantize
                .multiplier
                .apply(value(from) - requantize.input_zero_point);
            let shifted = scaled.saturating_add(requantize.output_zero_point);
            set_value(
                to,
                shifted
                    .max(requantize.activation_min)
                    .min(requantize.activation_max),
            );
        }
    }
}

/// The number of the greatest channel, the first of equals.
pub fn arg_max(_: &(), input: &Rows, output: &mut Band) {
    let channels = (input.shape.channels as usize).max(1);
    for (y, row) in output.rows_mut() {
        let pixels = input.row(y).chunks_exact(channels);
        for (to, pixel) in row.chunks_exact_mut(Element::Int16.bytes()).zip(pixels) {
            let mut greatest = (0, i8::MIN);
            for (channel, value) in pixel.iter().enumerate() {
                if *value > greatest.1 {
                    greatest = (channel, *value);
                }
            }
            set_value(to, greatest.0 as i32);
        }
    }
}

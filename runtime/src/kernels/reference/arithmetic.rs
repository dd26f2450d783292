//! What the linear operators do alike, for each combination of element types.

use super::value;
use crate::operator::Linear;

/// The arithmetic of a linear operator: sums of products of activations and weights, and their requantization.
pub trait Arithmetic {
    /// What sums are held in.
    type Sum: Copy;
    /// Bytes of an activation.
    const BYTES: usize;

    /// The sum that an output channel starts with.
    fn bias(linear: &Linear, channel: usize) -> Self::Sum;

    /// The sum plus `(value − input_zero_point) × weight` for each of `values` (bytes of activations); the weights are
    /// number `first_weight` and those after it.
    fn add_products(sum: Self::Sum, linear: &Linear, values: &[i8], first_weight: usize) -> Self::Sum;

    /// The output value of a sum.
    fn requantize(linear: &Linear, sum: Self::Sum, channel: usize) -> i32;
}

/// int8 activations and weights, 32-bit sums.
pub struct Int8;

impl Arithmetic for Int8 {
    type Sum = i32;
    const BYTES: usize = 1;

    #[inline(always)]
    fn bias(linear: &Linear, channel: usize) -> i32 {
        linear.bias(channel)
    }

    #[inline(always)]
    fn add_products(sum: i32, linear: &Linear, values: &[i8], first_weight: usize) -> i32 {
        let weights = linear.weights.get(first_weight..).unwrap_or(&[]);
        sum.wrapping_add(super::dot(values, weights, linear.input_zero_point))
    }

    #[inline(always)]
    fn requantize(linear: &Linear, sum: i32, channel: usize) -> i32 {
        linear.requantize(sum, channel)
    }
}

/// int8 activations and int4 weights, two a byte, the first in the low half; 32-bit sums.
pub struct Int4;

impl Arithmetic for Int4 {
    type Sum = i32;
    const BYTES: usize = 1;

    #[inline(always)]
    fn bias(linear: &Linear, channel: usize) -> i32 {
        linear.bias(channel)
    }

    #[inline(always)]
    fn add_products(sum: i32, linear: &Linear, values: &[i8], first_weight: usize) -> i32 {
        let weights = (first_weight..).map(|number| {
            let pair = linear.weights.get(number / 2).map_or(0, |pair| *pair as i8);
            let low = pair << 4 >> 4;
            let high = pair >> 4;
            (if number % 2 == 0 { low } else { high }) as i32
        });
        values.iter().zip(weights).fold(sum, |sum, (value, weight)| {
            sum.wrapping_add((*value as i32 - linear.input_zero_point).wrapping_mul(weight))
        })
    }

    #[inline(always)]
    fn requantize(linear: &Linear, sum: i32, channel: usize) -> i32 {
        linear.requantize(sum, channel)
    }
}

/// int16 activations (zero point 0) and int8 weights, 64-bit sums.
pub struct Int16;

impl Arithmetic for Int16 {
    type Sum = i64;
    const BYTES: usize = 2;

    #[inline(always)]
    fn bias(linear: &Linear, channel: usize) -> i64 {
        linear.wide_bias(channel)
    }

    #[inline(always)]
    fn add_products(sum: i64, linear: &Linear, values: &[i8], first_weight: usize) -> i64 {
        let weights = linear.weights.get(first_weight..).unwrap_or(&[]);
        let values = values.as_chunks::<2>().0;
        values.iter().zip(weights).fold(sum, |sum, (raw, weight)| {
            // At most 2^15 × 2^7 in magnitude.
            sum.wrapping_add((value(raw) * (*weight as i8 as i32)) as i64)
        })
    }

    #[inline(always)]
    fn requantize(linear: &Linear, sum: i64, channel: usize) -> i32 {
        linear.requantize_wide(sum, channel)
    }
}

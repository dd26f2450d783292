//! What the linear operators do alike, for each combination of element types.
//!
//! Sums of products and requantization are functions of their own, so that flash holds them once for all operators.

use crate::operator::Linear;

/// The arithmetic of a linear operator: sums of products of activations and weights, and their requantization.
pub trait Arithmetic {
    /// What sums are held in.
    type Sum: Copy;
    /// The sum of nothing.
    const ZERO: Self::Sum;
    /// Bytes of an input value.
    const BYTES: usize;
    /// Bytes of an output value.
    const OUTPUT_BYTES: usize = Self::BYTES;

    /// The sum that an output channel starts with.
    fn bias(linear: &Linear, channel: usize) -> Self::Sum;

    /// The sum plus `(value − input_zero_point) × weight` for each of `values` (bytes of activations); the weights are
    /// number `first_weight` and those after it.
    fn add_products(sum: Self::Sum, linear: &Linear, values: &[i8], first_weight: usize) -> Self::Sum;

    /// The sum plus one product.
    fn add_product(sum: Self::Sum, linear: &Linear, value: &[i8], weight: usize) -> Self::Sum;

    /// Each sum plus a product of its own: of the value and the weight of the same number, weights from `first_weight` on.
    #[inline(never)]
    fn add_each(sums: &mut [Self::Sum], linear: &Linear, values: &[i8], first_weight: usize) {
        let values = values.chunks_exact(Self::BYTES);
        for ((sum, value), weight) in sums.iter_mut().zip(values).zip(first_weight..) {
            *sum = Self::add_product(*sum, linear, value, weight);
        }
    }

    /// The output value of a sum.
    fn requantize(linear: &Linear, sum: Self::Sum, channel: usize) -> i32;
}

/// int8 input and weights, 32-bit sums, and outputs of so many bytes: int8 or int16.
pub struct Int8<const OUTPUT_BYTES: usize = 1>;

impl<const OUTPUT_BYTES: usize> Arithmetic for Int8<OUTPUT_BYTES> {
    type Sum = i32;
    const ZERO: i32 = 0;
    const BYTES: usize = 1;
    const OUTPUT_BYTES: usize = OUTPUT_BYTES;

    #[inline(always)]
    fn bias(linear: &Linear, channel: usize) -> i32 {
        linear.bias(channel)
    }

    #[inline(never)]
    fn add_products(sum: i32, linear: &Linear, values: &[i8], first_weight: usize) -> i32 {
        let weights = linear.weights.get(first_weight..).unwrap_or(&[]);
        sum.wrapping_add(super::dot(values, weights, linear.input_zero_point))
    }

    #[inline(always)]
    fn add_product(sum: i32, linear: &Linear, value: &[i8], weight: usize) -> i32 {
        let weight = linear
            .weights
            .get(weight)
            .map_or(0, |weight| *weight as i8 as i32);
        sum.wrapping_add((super::value(value) - linear.input_zero_point).wrapping_mul(weight))
    }

    #[inline(never)]
    fn add_each(sums: &mut [i32], linear: &Linear, values: &[i8], first_weight: usize) {
        let weights = linear.weights.get(first_weight..).unwrap_or(&[]);
        for ((sum, value), weight) in sums.iter_mut().zip(values).zip(weights) {
            let difference = *value as i32 - linear.input_zero_point;
            *sum = sum.wrapping_add(difference.wrapping_mul(*weight as i8 as i32));
        }
    }

    #[inline(never)]
    fn requantize(linear: &Linear, sum: i32, channel: usize) -> i32 {
        linear.requantize(sum, channel)
    }
}

/// int8 activations and int4 weights, two a byte, the first in the low half; 32-bit sums.
pub struct Int4;

impl Arithmetic for Int4 {
    type Sum = i32;
    const ZERO: i32 = 0;
    const BYTES: usize = 1;

    #[inline(always)]
    fn bias(linear: &Linear, channel: usize) -> i32 {
        linear.bias(channel)
    }

    #[inline(never)]
    fn add_products(sum: i32, linear: &Linear, values: &[i8], first_weight: usize) -> i32 {
        values
            .chunks_exact(1)
            .zip(first_weight..)
            .fold(sum, |sum, (value, weight)| {
                Self::add_product(sum, linear, value, weight)
            })
    }

    #[inline(always)]
    fn add_product(sum: i32, linear: &Linear, value: &[i8], weight: usize) -> i32 {
        let pair = linear.weights.get(weight / 2).map_or(0, |pair| *pair as i8);
        let (low, high) = (pair << 4 >> 4, pair >> 4);
        let weight = (if weight.is_multiple_of(2) { low } else { high }) as i32;
        sum.wrapping_add((super::value(value) - linear.input_zero_point).wrapping_mul(weight))
    }

    #[inline(never)]
    fn requantize(linear: &Linear, sum: i32, channel: usize) -> i32 {
        linear.requantize(sum, channel)
    }
}

/// int16 activations (zero point 0) and int8 weights, 64-bit sums.
pub struct Int16;

impl Arithmetic for Int16 {
    type Sum = i64;
    const ZERO: i64 = 0;
    const BYTES: usize = 2;

    #[inline(always)]
    fn bias(linear: &Linear, channel: usize) -> i64 {
        linear.wide_bias(channel)
    }

    #[inline(never)]
    fn add_products(sum: i64, linear: &Linear, values: &[i8], first_weight: usize) -> i64 {
        values
            .chunks_exact(2)
            .zip(first_weight..)
            .fold(sum, |sum, (value, weight)| {
                Self::add_product(sum, linear, value, weight)
            })
    }

    #[inline(always)]
    fn add_product(sum: i64, linear: &Linear, value: &[i8], weight: usize) -> i64 {
        let weight = linear
            .weights
            .get(weight)
            .map_or(0, |weight| *weight as i8 as i32);
        // At most 2^15 × 2^7 in magnitude.
        sum.wrapping_add((super::value(value) * weight) as i64)
    }

    #[inline(never)]
    fn requantize(linear: &Linear, sum: i64, channel: usize) -> i32 {
        linear.requantize_wide(sum, channel)
    }
}

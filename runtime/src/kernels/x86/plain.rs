//! Arithmetic for the reference kernels on operators that 16 bits go into or come out of: sums of products that the compiler
//! turns into vectors of 256 bits.
//!
//! Few layers of a network have 16 bits, so they stay in the plain layout.

use crate::kernels::reference::arithmetic::{self, Arithmetic, Int8};
use crate::kernels::reference::value;
use crate::operator::Linear;

/// int8 into int16, as [`Int8<2>`].
pub(super) struct Widening;

impl Arithmetic for Widening {
    type Sum = i32;
    const ZERO: i32 = Int8::<2>::ZERO;
    const BYTES: usize = Int8::<2>::BYTES;
    const OUTPUT_BYTES: usize = Int8::<2>::OUTPUT_BYTES;

    fn bias(linear: &Linear, channel: usize) -> i32 {
        Int8::<2>::bias(linear, channel)
    }

    fn add_products(sum: i32, linear: &Linear, values: &[i8], first_weight: usize) -> i32 {
        if !(super::AVX2.available)() {
            return Int8::<2>::add_products(sum, linear, values, first_weight);
        }
        let weights = linear.weights.get(first_weight..).unwrap_or(&[]);
        // SAFETY: the machine has AVX2.
        sum.wrapping_add(unsafe { dot8(values, weights, linear.input_zero_point) })
    }

    fn add_product(sum: i32, linear: &Linear, value: &[i8], weight: usize) -> i32 {
        Int8::<2>::add_product(sum, linear, value, weight)
    }

    fn add_each(sums: &mut [i32], linear: &Linear, values: &[i8], first_weight: usize) {
        Int8::<2>::add_each(sums, linear, values, first_weight);
    }

    fn requantize(linear: &Linear, sum: i32, channel: usize) -> i32 {
        Int8::<2>::requantize(linear, sum, channel)
    }
}

/// `Σ (value − zero_point) × weight` up to the end of the shorter.
#[target_feature(enable = "avx2")]
fn dot8(values: &[i8], weights: &[u8], zero_point: i32) -> i32 {
    // Within 9 bits and a sign, since zero points are values too.
    let zero_point = zero_point as i16;
    values.iter().zip(weights).fold(0i32, |sum, (value, weight)| {
        let difference = i16::from(*value).wrapping_sub(zero_point);
        sum.wrapping_add(i32::from(difference) * i32::from(*weight as i8))
    })
}

/// int16 into int16, as [`arithmetic::Int16`].
pub(super) struct Int16;

impl Arithmetic for Int16 {
    type Sum = i64;
    const ZERO: i64 = arithmetic::Int16::ZERO;
    const BYTES: usize = arithmetic::Int16::BYTES;

    fn bias(linear: &Linear, channel: usize) -> i64 {
        arithmetic::Int16::bias(linear, channel)
    }

    fn add_products(sum: i64, linear: &Linear, values: &[i8], first_weight: usize) -> i64 {
        if !(super::AVX2.available)() {
            return arithmetic::Int16::add_products(sum, linear, values, first_weight);
        }
        let weights = linear.weights.get(first_weight..).unwrap_or(&[]);
        // SAFETY: the machine has AVX2.
        sum.wrapping_add(unsafe { dot16(values, weights) })
    }

    fn add_product(sum: i64, linear: &Linear, value: &[i8], weight: usize) -> i64 {
        arithmetic::Int16::add_product(sum, linear, value, weight)
    }

    fn add_each(sums: &mut [i64], linear: &Linear, values: &[i8], first_weight: usize) {
        if !(super::AVX2.available)() {
            return arithmetic::Int16::add_each(sums, linear, values, first_weight);
        }
        let weights = linear.weights.get(first_weight..).unwrap_or(&[]);
        // SAFETY: the machine has AVX2.
        unsafe { add_each16(sums, values, weights) }
    }

    fn requantize(linear: &Linear, sum: i64, channel: usize) -> i32 {
        arithmetic::Int16::requantize(linear, sum, channel)
    }
}

/// Sums of so many products, of 2^22 at most, fit 32 bits.
const SUMMED: usize = 256;

/// `Σ value × weight` up to the end of the shorter.
#[target_feature(enable = "avx2")]
fn dot16(values: &[i8], weights: &[u8]) -> i64 {
    let values = values.as_chunks::<2>().0.chunks(SUMMED);
    let mut sum = 0i64;
    for (values, weights) in values.zip(weights.chunks(SUMMED)) {
        let mut part = 0i32;
        for (raw, weight) in values.iter().zip(weights) {
            part = part.wrapping_add(value(raw) * i32::from(*weight as i8));
        }
        sum = sum.wrapping_add(part.into());
    }
    sum
}

/// Each sum plus the product of the value and the weight of the same number.
#[target_feature(enable = "avx2")]
fn add_each16(sums: &mut [i64], values: &[i8], weights: &[u8]) {
    let values = values.as_chunks::<2>().0;
    for ((sum, raw), weight) in sums.iter_mut().zip(values).zip(weights) {
        *sum = sum.wrapping_add((value(raw) * i32::from(*weight as i8)).into());
    }
}

//! Arithmetic with int16 activations for the reference kernels: products that the compiler turns into vectors of 256 bits.
//!
//! Few layers of a network have 16 bits, so nothing is packed for them.

use crate::kernels::reference::arithmetic::{Arithmetic, Int16};
use crate::kernels::reference::value;
use crate::operator::Linear;

/// As [`Int16`].
pub(super) struct Vectors;

impl Arithmetic for Vectors {
    type Sum = i64;
    const ZERO: i64 = Int16::ZERO;
    const BYTES: usize = Int16::BYTES;

    fn bias(linear: &Linear, channel: usize) -> i64 {
        Int16::bias(linear, channel)
    }

    fn add_products(sum: i64, linear: &Linear, values: &[i8], first_weight: usize) -> i64 {
        if !(super::AVX2.available)() {
            return Int16::add_products(sum, linear, values, first_weight);
        }
        let weights = linear.weights.get(first_weight..).unwrap_or(&[]);
        // SAFETY: the machine has AVX2.
        sum.wrapping_add(unsafe { dot(values, weights) })
    }

    fn add_product(sum: i64, linear: &Linear, value: &[i8], weight: usize) -> i64 {
        Int16::add_product(sum, linear, value, weight)
    }

    fn add_each(sums: &mut [i64], linear: &Linear, values: &[i8], first_weight: usize) {
        if !(super::AVX2.available)() {
            return Int16::add_each(sums, linear, values, first_weight);
        }
        let weights = linear.weights.get(first_weight..).unwrap_or(&[]);
        // SAFETY: the machine has AVX2.
        unsafe { add_each(sums, values, weights) }
    }

    fn requantize(linear: &Linear, sum: i64, channel: usize) -> i32 {
        Int16::requantize(linear, sum, channel)
    }
}

/// Sums of so many products, of 2^22 at most, fit 32 bits.
const SUMMED: usize = 256;

/// `Σ value × weight` up to the end of the shorter.
#[target_feature(enable = "avx2")]
fn dot(values: &[i8], weights: &[u8]) -> i64 {
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
fn add_each(sums: &mut [i64], values: &[i8], weights: &[u8]) {
    let values = values.as_chunks::<2>().0;
    for ((sum, raw), weight) in sums.iter_mut().zip(values).zip(weights) {
        *sum = sum.wrapping_add((value(raw) * i32::from(*weight as i8)).into());
    }
}

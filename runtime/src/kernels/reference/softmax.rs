//! Softmax over the channels of a pixel, in integers.
//!
//! The fixed-point exponential and reciprocal are gemmlowp's (`fixedpoint.h`), which TensorFlow Lite Micro uses: the
//! constants are the rounded values of the expressions named beside them, and every product is a saturating rounding
//! doubling high multiply.

use super::{set_value, value};
use crate::fixed_point::{doubling_high_multiply, rounding_right_shift};
use crate::operator::Softmax;
use crate::{Band, Rows};
use fixed::types::{I1F31, I3F29, I6F26, I13F19};

/// Values of `N` bytes into int8 (scale 1/256, zero point −128) or int16 (scale 1/65536, zero point −32768).
pub fn run<const N: usize>(softmax: &Softmax, input: &Rows, output: &mut Band) {
    let channels = (input.shape.channels as usize).max(1);
    let bytes = output.element.bytes();
    for (y, row) in output.rows_mut() {
        let pixels = input.row(y).chunks_exact((channels * N).max(1));
        for (to, from) in row.chunks_exact_mut((channels * bytes).max(1)).zip(pixels) {
            pixel::<N>(softmax, from, to, bytes);
        }
    }
}

/// One pixel into values of `bytes` bytes.
fn pixel<const N: usize>(softmax: &Softmax, input: &[i8], output: &mut [i8], bytes: usize) {
    let mut greatest = i32::MIN;
    for_each::<N>(input, &mut |value| greatest = greatest.max(value));
    let mut sum = I13F19::ZERO;
    for_each::<N>(input, &mut |value| {
        if let Some(term) = exponential(softmax, value, greatest) {
            sum = sum.saturating_add(summand(term));
        }
    });
    let share = Share::of(sum, bytes);
    let mut outputs = output.chunks_exact_mut(bytes.max(1));
    for_each::<N>(input, &mut |value| {
        if let Some(to) = outputs.next() {
            set_value(to, share.quantized(exponential(softmax, value, greatest)));
        }
    });
}

/// Visits values. (A loop of its own, so that the compiler unrolls none of those above into hundreds of bytes of flash.)
#[inline(never)]
fn for_each<const N: usize>(input: &[i8], visit: &mut dyn FnMut(i32)) {
    input.chunks_exact(N).for_each(|raw| visit(value(raw)));
}

/// e^(value − greatest), `None` where that is negligible.
#[inline(never)]
pub(crate) fn exponential(softmax: &Softmax, value: i32, greatest: i32) -> Option<I1F31> {
    let difference = value - greatest;
    (difference >= softmax.difference_min).then(|| {
        let scaled = softmax.multiplier.apply(difference);
        exponential_of_negative(I6F26::from_bits(scaled))
    })
}

/// An exponential as it goes into the sum, which saturates.
pub(crate) fn summand(term: I1F31) -> I13F19 {
    I13F19::from_bits(rounding_right_shift(term.to_bits(), 12))
}

/// What makes outputs of exponentials: the sum's reciprocal, and the output's type.
pub(crate) struct Share {
    reciprocal: I1F31,
    shift: u32,
    least: i32,
    greatest: i32,
}

impl Share {
    /// `sum` is 1 or more: the greatest value contributes e^0. Outputs have `bytes` bytes.
    pub(crate) fn of(sum: I13F19, bytes: usize) -> Self {
        // The sum is `(1 + fraction) × 2^power`.
        let headroom = sum.to_bits().leading_zeros();
        let fraction = I1F31::from_bits((sum.to_bits().wrapping_shl(headroom)).wrapping_sub(i32::MIN));
        let power = 12u32.saturating_sub(headroom);
        // Of 31 fraction bits, the output keeps as many as it has bits.
        let (shift, least, greatest) = if bytes == 1 {
            (power + 23, i8::MIN as i32, i8::MAX as i32)
        } else {
            (power + 15, i16::MIN as i32, i16::MAX as i32)
        };
        Self {
            reciprocal: reciprocal_of_one_plus(fraction),
            shift,
            least,
            greatest,
        }
    }

    /// The output for an exponential.
    pub(crate) fn quantized(&self, term: Option<I1F31>) -> i32 {
        let quotient = term.map_or(0, |term| {
            // A shift beyond the width leaves nothing (TensorFlow Lite Micro stops the program there).
            if self.shift > 31 {
                0
            } else {
                rounding_right_shift(
                    doubling_high_multiply(term.to_bits(), self.reciprocal),
                    self.shift,
                )
            }
        });
        quotient
            .saturating_add(self.least)
            .max(self.least)
            .min(self.greatest)
    }
}

// The functions below stay apart: inlined into each other at each use, they would fill several kilobytes of flash.

/// `e^x` for x in (−32, 0]: a Taylor polynomial on [−1/4, 0), times `e^(−2^k)` for each bit k of the rest.
#[inline(never)]
fn exponential_of_negative(x: I6F26) -> I1F31 {
    if x == I6F26::ZERO {
        return I1F31::MAX;
    }
    const QUARTER: i32 = 1 << 24;
    let within_quarter = (x.to_bits() & (QUARTER - 1)) - QUARTER;
    let mut result = exponential_within_quarter(I1F31::from_bits(within_quarter << 5));
    let rest = within_quarter.wrapping_sub(x.to_bits());
    // e^(−1/4), e^(−1/2), e^(−1), ... e^(−16).
    const FACTORS: [i32; 7] = [
        1_672_461_947,
        1_302_514_674,
        790_015_084,
        290_630_308,
        39_332_535,
        720_401,
        242,
    ];
    for (k, factor) in FACTORS.into_iter().enumerate() {
        if rest & (QUARTER << k) != 0 {
            result = multiply(result, I1F31::from_bits(factor));
        }
    }
    result
}

/// `e^x` for x in [−1/4, 0): the Taylor polynomial of degree four around −1/8.
fn exponential_within_quarter(x: I1F31) -> I1F31 {
    /// e^(−1/8).
    const AT_CENTER: I1F31 = I1F31::from_bits(1_895_147_668);
    const THIRD: I1F31 = I1F31::from_bits(715_827_883);
    const EIGHTH: I1F31 = I1F31::from_bits(1 << 28);
    let x = x.wrapping_add(EIGHTH);
    let x2 = multiply(x, x);
    let x3 = multiply(x2, x);
    let x4 = multiply(x2, x2);
    let quarter_x4 = I1F31::from_bits(rounding_right_shift(x4.to_bits(), 2));
    // (x^4/4 + x^3)/3 + x^2, halved: x^4/24 + x^3/6 + x^2/2.
    let twice = multiply(quarter_x4.wrapping_add(x3), THIRD).wrapping_add(x2);
    let higher = I1F31::from_bits(rounding_right_shift(twice.to_bits(), 1));
    AT_CENTER.wrapping_add(multiply(AT_CENTER, x.wrapping_add(higher)))
}

/// `1 / (1 + x)` for x in [0, 1): three Newton-Raphson steps on half the denominator, from `48/17 − 32/17 × d`.
#[inline(never)]
fn reciprocal_of_one_plus(x: I1F31) -> I1F31 {
    const START: I3F29 = I3F29::from_bits(1_515_870_810);
    const SLOPE: I3F29 = I3F29::from_bits(-1_010_580_540);
    // (x + 1) / 2, rounded away from zero; x is not negative.
    let half = I1F31::from_bits(((x.to_bits() as i64 + i32::MAX as i64 + 1) / 2) as i32);
    let times_half = |value: I3F29| I3F29::from_bits(doubling_high_multiply(value.to_bits(), half));
    let mut result = START.wrapping_add(times_half(SLOPE));
    for _ in 0..3 {
        let error = I3F29::ONE.wrapping_sub(times_half(result));
        let product = doubling_high_multiply(result.to_bits(), I1F31::from_bits(error.to_bits()));
        // Two numbers of 2 integer bits multiply to one of 4.
        result = result.wrapping_add(I3F29::from_bits(saturating_shl(product, 2)));
    }
    // Half of the result has one integer bit; the last shift drops it.
    I1F31::from_bits(saturating_shl(result.to_bits(), 1))
}

#[inline(never)]
fn multiply(a: I1F31, b: I1F31) -> I1F31 {
    I1F31::from_bits(doubling_high_multiply(a.to_bits(), b))
}

fn saturating_shl(value: i32, shift: u32) -> i32 {
    value.saturating_mul(1 << shift)
}

//! Exponential, logistic function and hyperbolic tangent in 32-bit fixed point, as gemmlowp's `fixedpoint.h` defines
//! them: the constants and the order of rounding decide bits, so both are gemmlowp's.
//!
//! A number with k integer bits is an i32 that stands for `raw / 2^(31 - k)`, "Q k.(31 − k)".

use sepconv::fixed_point::{Multiplier, rounding_right_shift};

/// The largest Q0.31 number, which stands for 1.
const ONE: i32 = i32::MAX;

/// `a × b / 2^31`, rounded half up.
fn multiply(a: i32, b: i32) -> i32 {
    Multiplier::from_bits(b, 0).apply(a)
}

/// `a × 2^bits`, saturated.
fn saturating_left_shift(a: i32, bits: u32) -> i32 {
    ((a as i64) << bits).clamp(i32::MIN as i64, i32::MAX as i64) as i32
}

/// exp(a) in Q0.31 for a in [-1/4, 0), in Q0.31: a Taylor series of four terms around -1/8.
fn exp_of_last_quarter(a: i32) -> i32 {
    const EXP_OF_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = a + (1 << 28);
    let x2 = multiply(x, x);
    let x3 = multiply(x2, x);
    let x4 = multiply(x2, x2);
    let cubic_and_quartic = multiply(rounding_right_shift(x4, 2) + x3, THIRD);
    let beyond_linear = rounding_right_shift(cubic_and_quartic + x2, 1);
    EXP_OF_MINUS_EIGHTH + multiply(EXP_OF_MINUS_EIGHTH, x + beyond_linear)
}

/// exp(a) in Q0.31 for a ≤ 0 with `integer_bits` (at most 5) integer bits.
fn exp_of_negative(a: i32, integer_bits: u32) -> i32 {
    /// exp(-2^n) in Q0.31, for n from -2.
    const EXP_OF_MINUS_POWER: [i32; 7] = [
        1_672_461_947,
        1_302_514_674,
        790_015_084,
        290_630_308,
        39_332_535,
        720_401,
        242,
    ];
    if a == 0 {
        return ONE;
    }
    let fraction_bits = 31 - integer_bits;
    let quarter = 1 << (fraction_bits - 2);
    let last_quarter = (a & (quarter - 1)) - quarter;
    let mut result = exp_of_last_quarter(saturating_left_shift(last_quarter, integer_bits));
    let remainder = last_quarter - a;
    for (bit, factor) in (fraction_bits - 2..31).zip(EXP_OF_MINUS_POWER) {
        if remainder & (1 << bit) != 0 {
            result = multiply(result, factor);
        }
    }
    result
}

/// 2 / (1 + a) in Q2.29 for a in (0, 1) in Q0.31: three steps of Newton and Raphson.
fn two_over_one_plus(a: i32) -> i32 {
    const FORTY_EIGHT_OVER_17: i32 = 1_515_870_810;
    const MINUS_32_OVER_17: i32 = -1_010_580_540;
    let half_denominator = ((a as i64 + ONE as i64 + 1) / 2) as i32;
    let mut x = FORTY_EIGHT_OVER_17 + multiply(half_denominator, MINUS_32_OVER_17);
    for _ in 0..3 {
        let error = (1 << 29) - multiply(half_denominator, x);
        x += saturating_left_shift(multiply(x, error), 2);
    }
    x
}

/// The logistic function 1 / (1 + exp(-a)) in Q0.31, of a number with four integer bits.
pub(super) fn logistic(a: i32) -> i32 {
    if a == 0 {
        return 1 << 30;
    }
    let of_magnitude = saturating_left_shift(two_over_one_plus(exp_of_negative(-a.abs(), 4)), 1);
    if a > 0 { of_magnitude } else { ONE - of_magnitude }
}

/// The hyperbolic tangent in Q0.31, of a number with four integer bits.
pub(super) fn tanh(a: i32) -> i32 {
    if a == 0 {
        return 0;
    }
    // (1 − e) / (1 + e) = 2 / (1 + e) − 1 with e = exp(−2|a|): twice a number is the same bits with one more integer bit.
    let exp = exp_of_negative(-a.abs(), 5);
    let of_magnitude = saturating_left_shift(two_over_one_plus(exp) - (1 << 29), 2);
    if a > 0 { of_magnitude } else { -of_magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_near_the_real_ones() {
        for raw in (-2_000_000_000..2_000_000_000).step_by(1_234_567) {
            let x = raw as f64 / f64::from(1 << 27);
            let near = |fixed: i32, real: f64| (fixed as f64 / 2f64.powi(31) - real).abs() < 2e-7;
            assert!(near(logistic(raw), 1.0 / (1.0 + (-x).exp())), "logistic({x})");
            assert!(near(tanh(raw), x.tanh()), "tanh({x})");
        }
    }
}

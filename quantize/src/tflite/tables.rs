//! Functions of one int8 value as tables of 256 entries, computed as TensorFlow Lite Micro computes each value.
//!
//! Entry `q + 128` is the output for input q.

use super::arithmetic::{Affine, multiplier, quantized};
use super::fixed_functions::{logistic as fixed_logistic, tanh as fixed_tanh};
use sepconv::fixed_point::{Multiplier, rounding_right_shift};

/// The output for every int8 value.
pub(super) type Table = [i8; 256];

/// The table of `function`, whose results are clamped to int8.
fn table(function: impl Fn(i32) -> i32) -> Table {
    std::array::from_fn(|index| function(index as i32 - 128).clamp(-128, 127) as i8)
}

/// Another scale and zero point, then a clamp to `least..=greatest`.
pub(super) fn requantize(input: Affine, output: Affine, least: i32, greatest: i32) -> Option<Table> {
    let factor = multiplier(input.scale as f64 / output.scale as f64)?;
    Some(table(|q| {
        let value = factor.apply(q - input.zero_point) + output.zero_point;
        value.max(least).min(greatest)
    }))
}

/// ReLU6, which does not look at the output's quantization: a clamp between the input's values of 0 and 6.
pub(super) fn relu6(input: Affine) -> Table {
    let six = quantized(6.0, input);
    table(|q| q.max(input.zero_point).min(six))
}

/// Leaky ReLU with slope `alpha` for negative numbers. The scales' ratios are rounded to f32.
pub(super) fn leaky_relu(input: Affine, output: Affine, alpha: f32) -> Option<Table> {
    let identity = multiplier((input.scale / output.scale) as f64)?;
    let slope = (input.scale * alpha / output.scale) as f64;
    let magnitude = multiplier(slope.abs())?;
    let slope = Multiplier::from_bits(
        magnitude.mantissa.to_bits() * slope.signum() as i32,
        magnitude.shift,
    );
    Some(table(|q| {
        let value = q - input.zero_point;
        let factor = if value >= 0 { identity } else { slope };
        factor.apply(value) + output.zero_point
    }))
}

/// ELU, in f32.
pub(super) fn elu(input: Affine, output: Affine) -> Table {
    let inverse = 1.0 / output.scale;
    table(|q| {
        let real = input.scale * (q - input.zero_point) as f32;
        let real = if real < 0.0 { real.exp() - 1.0 } else { real };
        ((real * inverse).round() + output.zero_point as f32) as i32
    })
}

/// A sigmoid-shaped function of fixed-point numbers with four integer bits, and the ends where it is flat.
fn sigmoid_like(input: Affine, result: impl Fn(i32) -> i32) -> Option<Table> {
    const INTEGER_BITS: i32 = 4;
    let factor = multiplier(input.scale as f64 * f64::from(1 << (31 - INTEGER_BITS)))?;
    // The largest input whose fixed-point form fits, and beyond which the function is its limit.
    let largest = f64::from((1 << INTEGER_BITS) - 1) * f64::from(1 << (31 - INTEGER_BITS));
    let radius = (largest / 2f64.powi(factor.shift.into())).floor() as i32;
    Some(table(|q| {
        let value = q - input.zero_point;
        match value {
            _ if value <= -radius => -128,
            _ if value >= radius => 127,
            _ => result(factor.apply(value)),
        }
    }))
}

/// The logistic function; the output's scale is 1/256 and its zero point -128.
pub(super) fn logistic(input: Affine) -> Option<Table> {
    sigmoid_like(input, |fixed| {
        rounding_right_shift(fixed_logistic(fixed), 23) - 128
    })
}

/// The hyperbolic tangent; the output's scale is 1/128 and its zero point 0.
pub(super) fn tanh(input: Affine) -> Option<Table> {
    sigmoid_like(input, |fixed| rounding_right_shift(fixed_tanh(fixed), 24))
}

/// Hard swish, x × ReLU6(x + 3) / 6, in 16-bit fixed point. `None` if the output's scale is too small for the input's.
pub(super) fn hard_swish(input: Affine, output: Affine) -> Option<Table> {
    let fine_scale = (1.0f32 / 128.0) * input.scale;
    let output_factor = multiplier((fine_scale / output.scale) as f64).filter(|factor| factor.shift <= 0)?;
    let ramp_factor = multiplier((fine_scale / (3.0f32 / 32768.0)) as f64)?;
    Some(table(|q| {
        let fine = saturate((q - input.zero_point) as i64 * 128);
        let unshifted = high_multiply(fine, high_half(output_factor));
        // The ramp from 0 at x = -3 to 1 at x = 3, in Q0.15. A left shift saturates in its last step only.
        let shift = ramp_factor.shift as i32;
        let mut ramp = if shift > 0 {
            saturate((fine as i64) << (shift - 1))
        } else {
            fine
        };
        ramp = high_multiply(ramp, high_half(ramp_factor));
        if shift > 0 {
            ramp = saturate(ramp as i64 * 2);
        } else if shift < 0 {
            ramp = rounding_right_shift(ramp, (-shift) as u32);
        }
        let ramp = (ramp + (1 << 15)) >> 1;
        // Truncated rather than rounded.
        let product = ramp * unshifted / (1 << 15);
        rounding_right_shift(product, (-(output_factor.shift as i32)) as u32) + output.zero_point
    }))
}

/// `value` limited to 16 bits.
fn saturate(value: i64) -> i32 {
    value.clamp(i16::MIN as i64, i16::MAX as i64) as i32
}

/// The mantissa of a multiplier rounded to 16 bits.
fn high_half(multiplier: Multiplier) -> i32 {
    let mantissa = multiplier.mantissa.to_bits();
    if mantissa >= i32::MAX - (1 << 15) {
        i16::MAX as i32
    } else {
        (mantissa + (1 << 15)) >> 16
    }
}

/// `a × b / 2^15`, rounded half up: the saturating rounding doubling high multiply of 16-bit numbers.
fn high_multiply(a: i32, b: i32) -> i32 {
    saturate((a as i64 * b as i64 + (1 << 14)) >> 15)
}

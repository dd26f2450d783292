//! Kernels for Arm processors.

#[cfg(sepconv_arm = "armv7m")]
pub mod armv7m;
#[cfg(any(sepconv_arm = "armv7m", sepconv_arm = "dsp", sepconv_arm = "helium"))]
mod depthwise;
#[cfg(sepconv_arm = "dsp")]
pub mod dsp;
#[cfg(sepconv_arm = "helium")]
pub mod helium;
#[cfg(any(sepconv_arm = "armv7m", sepconv_arm = "dsp", sepconv_arm = "helium"))]
mod linear;

use crate::fixed_point::Multiplier;
use crate::operator::Linear;

/// The output value of a channel's sum, as the specification has it: of constants that are the bias, to which the input's
/// zero point has been added, the multiplier's mantissa and its shift.
#[cfg(any(sepconv_arm = "armv7m", sepconv_arm = "dsp"))]
fn requantize(linear: &Linear, constants: &[u8; 12], sum: i32) -> i8 {
    let [b0, b1, b2, b3, m0, m1, m2, m3, s0, _, _, _] = *constants;
    let bias = i32::from_le_bytes([b0, b1, b2, b3]);
    output(
        linear,
        sum.wrapping_add(bias),
        i32::from_le_bytes([m0, m1, m2, m3]),
        s0 as i8,
    )
}

#[cfg(any(sepconv_arm = "armv7m", sepconv_arm = "dsp", sepconv_arm = "helium"))]
fn output(linear: &Linear, sum: i32, mantissa: i32, shift: i8) -> i8 {
    Multiplier::from_bits(mantissa, shift)
        .apply(sum)
        .saturating_add(linear.output_zero_point)
        .max(linear.activation_min)
        .min(linear.activation_max) as i8
}

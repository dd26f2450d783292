//! From scales to the integers that kernels use, in the floating-point arithmetic of TensorFlow Lite's preparation:
//! where it rounds to f32, so does this.

use sepconv::fixed_point::Multiplier;
use tract_tflite::tflite::ActivationFunctionType;

/// The quantization of an activation: `real = scale × (q − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Affine {
    pub scale: f32,
    pub zero_point: i32,
}

/// The multiplier of a real factor; `None` if it is negative or too large.
pub(super) fn multiplier(real: f64) -> Option<Multiplier> {
    Multiplier::from_real(real)
}

/// The quantized form of a real number, not clamped to any range.
pub(super) fn quantized(real: f32, affine: Affine) -> i32 {
    affine
        .zero_point
        .saturating_add((real / affine.scale).round() as i32)
}

/// The least and greatest output value under a fused activation function, within `least..=greatest`. `None` for
/// functions that are not clamps.
pub(super) fn activation_range(
    function: ActivationFunctionType,
    output: Affine,
    (least, greatest): (i32, i32),
) -> Option<(i32, i32)> {
    match function {
        ActivationFunctionType::NONE => Some((least, greatest)),
        ActivationFunctionType::RELU => Some((least.max(quantized(0.0, output)), greatest)),
        ActivationFunctionType::RELU6 => Some((
            least.max(quantized(0.0, output)),
            greatest.min(quantized(6.0, output)),
        )),
        ActivationFunctionType::RELU_N1_TO_1 => Some((
            least.max(quantized(-1.0, output)),
            greatest.min(quantized(1.0, output)),
        )),
        _ => None,
    }
}

/// The multiplier of a mean over `count` values.
pub(super) fn mean_multiplier(input: Affine, output: Affine, count: usize) -> Option<Multiplier> {
    crate::arithmetic::mean_multiplier(input.scale, output.scale, count)
}

//! From scales to the integers that kernels use, in the floating-point arithmetic of TensorFlow Lite's preparation: where
//! it rounds to f32, so does this.

use crate::network::Operation;
use sepconv::fixed_point::Multiplier;

/// The quantization of an activation: `real = scale × (q − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// The real size of one step.
    pub scale: f32,
    /// The quantized value of the real number zero.
    pub zero_point: i32,
}

impl Quantization {
    /// The int8 value nearest to a real number.
    pub fn quantize(self, real: f32) -> i32 {
        self.zero_point
            .saturating_add((real / self.scale).round() as i32)
            .clamp(-128, 127)
    }

    /// The real number that a quantized value stands for.
    pub fn real(self, quantized: i32) -> f32 {
        (quantized - self.zero_point) as f32 * self.scale
    }
}

/// The multiplier of a real factor; `None` if it is negative, too large or not a number.
pub fn multiplier(real: f64) -> Option<Multiplier> {
    Multiplier::from_real(real)
}

/// Addition of int8 (or, if `wide`, int16) tensors of the given scales: both are brought to twice the larger scale, with
/// 20 (15) bits to spare, before they are added.
pub fn add(a: f32, b: f32, output: f32, wide: bool) -> Option<Operation> {
    let left_shift = if wide { 15 } else { 20 };
    let larger = 2.0 * a.max(b) as f64;
    Some(Operation::Add {
        a: multiplier(a as f64 / larger)?,
        b: multiplier(b as f64 / larger)?,
        output: multiplier(larger / (f64::from(1 << left_shift) * output as f64))?,
        left_shift,
        constant: None,
    })
}

/// Softmax of values of the given scale.
pub fn softmax(beta: f32, scale: f32) -> Option<Operation> {
    /// Integer bits of the fixed-point exponent.
    const INTEGER_BITS: i32 = 5;
    let one = f64::from(1 << (31 - INTEGER_BITS));
    let multiplier = multiplier((beta as f64 * scale as f64 * one).min(f64::from(i32::MAX)))?;
    let largest = f64::from((1 << INTEGER_BITS) - 1) * one;
    let difference_min = -((largest / 2f64.powi(multiplier.shift.into())).floor() as i32);
    Some(Operation::Softmax {
        multiplier,
        difference_min,
    })
}

/// The multiplier of a mean over `count` values.
pub fn mean_multiplier(input: f32, output: f32, count: usize) -> Option<Multiplier> {
    Some(multiplier(input as f64 / output as f64)?.divided_by(count as u32))
}

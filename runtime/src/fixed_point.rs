//! The integer arithmetic of the TFLite 8-bit quantization specification, rounded as TensorFlow Lite Micro rounds.
//!
//! A real factor is stored as a [`Multiplier`]: `mantissa × 2^shift` with a mantissa in [0.5, 1) held as a Q31 number.
//! Multiplying rounds twice: a saturating rounding doubling high multiply (round half up), then a rounding right shift
//! (ties away from zero).

use fixed::types::I1F31;

/// A real factor `mantissa × 2^shift`.
///
/// ```
/// use sepconv::fixed_point::Multiplier;
/// let third = Multiplier::from_real(1.0 / 3.0).unwrap();
/// assert_eq!((third.shift, third.apply(300)), (-1, 100));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplier {
    /// The mantissa: 0 for the factor zero, else in [0.5, 1), or in [0.25, 1) after [`divided_by`](Self::divided_by).
    pub mantissa: I1F31,
    /// The power of two, in [-31, 30].
    pub shift: i8,
}

impl Multiplier {
    /// A multiplier from the bits of its mantissa and its shift.
    ///
    /// ```
    /// use sepconv::fixed_point::Multiplier;
    /// assert_eq!(Multiplier::from_bits(1 << 30, 1), Multiplier::from_real(1.0).unwrap());
    /// ```
    pub const fn from_bits(mantissa: i32, shift: i8) -> Self {
        Self {
            mantissa: I1F31::from_bits(mantissa),
            shift,
        }
    }

    /// The multiplier nearest to `real`, as TensorFlow Lite's `QuantizeMultiplier` finds it. `None` if `real` is
    /// negative, not finite, or 2^30 and above; what is below 2^-32 becomes zero.
    ///
    /// ```
    /// use sepconv::fixed_point::Multiplier;
    /// let half = Multiplier::from_real(0.5).unwrap();
    /// assert_eq!(half.apply(7), 4); // 3.5 rounds up
    /// assert_eq!(half.apply(-7), -3); // -3.5 is rounded half up by the multiply
    /// assert!(Multiplier::from_real(f64::NAN).is_none());
    /// ```
    pub fn from_real(real: f64) -> Option<Self> {
        if !(0.0..=1_073_741_824.0).contains(&real) {
            return None;
        }
        if real == 0.0 {
            return Some(Self::from_bits(0, 0));
        }
        // frexp: real = fraction × 2^exponent with the fraction in [0.5, 1). Subnormal doubles are far below 2^-32.
        let bits = real.to_bits();
        let mut exponent = ((bits >> 52) & 0x7ff) as i32 - 1022;
        let fraction = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | (1022 << 52));
        // The fraction is positive, so adding a half and truncating rounds half away from zero.
        let mut mantissa = (fraction * 2_147_483_648.0 + 0.5) as i64;
        if mantissa == 1 << 31 {
            mantissa /= 2;
            exponent += 1;
        }
        if exponent < -31 {
            return Some(Self::from_bits(0, 0));
        }
        if exponent > 30 {
            return None;
        }
        Some(Self::from_bits(mantissa as i32, exponent as i8))
    }

    /// `value × self`, rounded twice.
    ///
    /// ```
    /// use sepconv::fixed_point::Multiplier;
    /// let tenth = Multiplier::from_real(0.1).unwrap();
    /// assert_eq!([44, 46, -44, -46].map(|value| tenth.apply(value)), [4, 5, -4, -5]);
    /// ```
    #[inline]
    pub fn apply(self, value: i32) -> i32 {
        let left = self.shift.max(0) as u32;
        let right = (-(self.shift as i32)).max(0) as u32;
        rounding_right_shift(
            doubling_high_multiply(value.wrapping_shl(left), self.mantissa),
            right,
        )
    }

    /// `value × self` for the 64-bit sums of int16 activations, rounded once, half up: the mantissa is first rounded to
    /// 16 bits. Needs a shift of 7 or less; sums within 48 bits cannot overflow. (TensorFlow Lite: the 64-bit
    /// `MultiplyByQuantizedMultiplier`.)
    ///
    /// ```
    /// use sepconv::fixed_point::Multiplier;
    /// let half = Multiplier::from_real(0.5).unwrap();
    /// assert_eq!(half.apply_wide(1 << 32), i32::MIN); // only the low 32 bits of a result are kept
    /// assert_eq!(half.apply_wide(-7), -3);
    /// ```
    #[inline]
    pub fn apply_wide(self, value: i64) -> i32 {
        let mantissa = self.mantissa.to_bits();
        let reduced = if mantissa < 0x7fff_0000 {
            (mantissa + (1 << 15)) >> 16
        } else {
            0x7fff
        };
        let shift = (15 - self.shift as i32).clamp(1, 46) as u32;
        let rounded = value.wrapping_mul(reduced as i64).wrapping_add(1 << (shift - 1));
        (rounded >> shift) as i32
    }

    /// The multiplier of a mean: this one, which rescales, with the division by `count` values worked in; the mantissa is
    /// rounded down. (TensorFlow Lite: `QuantizedMeanOrSum`.) A count of 0 leaves the multiplier as it is.
    ///
    /// ```
    /// use sepconv::fixed_point::Multiplier;
    /// let mean = Multiplier::from_real(1.0).unwrap().divided_by(49);
    /// assert_eq!(mean.apply(49 * 20), 20);
    /// ```
    pub fn divided_by(self, count: u32) -> Self {
        if count == 0 {
            return self;
        }
        let shift = (31 - count.leading_zeros() as i32)
            .min(31 + self.shift as i32)
            .max(0);
        let mantissa = ((self.mantissa.to_bits() as i64) << shift) / count as i64;
        Self::from_bits(mantissa as i32, (self.shift as i32 - shift) as i8)
    }

    /// The factor as a real number, for reports.
    ///
    /// ```
    /// use sepconv::fixed_point::Multiplier;
    /// let tenth = Multiplier::from_real(0.1).unwrap();
    /// assert!((tenth.to_real() - 0.1).abs() < 1e-10);
    /// ```
    pub fn to_real(self) -> f64 {
        let mut real = self.mantissa.to_bits() as f64 / 2_147_483_648.0;
        for _ in 0..self.shift.unsigned_abs() {
            real *= if self.shift > 0 { 2.0 } else { 0.5 };
        }
        real
    }
}

/// `value × factor`, rounded half up, saturated: gemmlowp's saturating rounding doubling high multiply.
///
/// ```
/// use fixed::types::I1F31;
/// use sepconv::fixed_point::doubling_high_multiply;
/// assert_eq!(doubling_high_multiply(100, I1F31::from_num(-0.25)), -25);
/// assert_eq!(doubling_high_multiply(i32::MIN, I1F31::MIN), i32::MAX);
/// ```
#[inline]
pub fn doubling_high_multiply(value: i32, factor: I1F31) -> i32 {
    let factor = factor.to_bits();
    if value == i32::MIN && factor == i32::MIN {
        return i32::MAX;
    }
    ((value as i64 * factor as i64 + (1 << 30)) >> 31) as i32
}

/// `value / 2^shift`, ties away from zero; `shift` is in [0, 31].
///
/// ```
/// use sepconv::fixed_point::rounding_right_shift;
/// assert_eq!(rounding_right_shift(5, 1), 3);
/// assert_eq!(rounding_right_shift(-5, 1), -3);
/// ```
#[inline]
pub fn rounding_right_shift(value: i32, shift: u32) -> i32 {
    let shift = shift & 31;
    let mask = ((1i64 << shift) - 1) as i32;
    let threshold = (mask >> 1) + (value < 0) as i32;
    (value >> shift) + ((value & mask) > threshold) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_shift_rounds_ties_away_from_zero() {
        for value in -64..=64 {
            for shift in 0..6 {
                let exact = value as f64 / (1 << shift) as f64;
                assert_eq!(
                    rounding_right_shift(value, shift),
                    exact.round() as i32,
                    "{value} >> {shift}"
                );
            }
        }
        assert_eq!(rounding_right_shift(i32::MIN, 31), -1);
        assert_eq!(rounding_right_shift(i32::MAX, 31), 1);
    }

    #[test]
    fn high_multiply_rounds_half_up() {
        let half = I1F31::from_bits(1 << 30);
        for value in -9..=9 {
            assert_eq!(
                doubling_high_multiply(value, half),
                (value as f64 / 2.0 + 0.5).floor() as i32
            );
        }
    }

    #[test]
    fn multiplier_from_real_is_the_nearest() {
        for real in [1.0, 0.75, 1e-3, 3.7e-9, 123456.789, 0.999_999_999_9] {
            let multiplier = Multiplier::from_real(real).unwrap();
            assert!((multiplier.to_real() / real - 1.0).abs() < 1e-9, "{real}");
            assert!(multiplier.mantissa.to_bits() >= 1 << 30);
        }
        assert_eq!(Multiplier::from_real(1e-12), Some(Multiplier::from_bits(0, 0)));
        assert_eq!(Multiplier::from_real(-1.0), None);
        assert_eq!(Multiplier::from_real(f64::INFINITY), None);
        assert_eq!(Multiplier::from_real(4e9), None);
    }
}

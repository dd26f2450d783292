//! From sums to output values.

use super::vector::{LaneConstants, Vector};
use crate::fixed_point::Multiplier;
use crate::layout::x86::{FLOAT_GROUP, GroupConstants, clamps_negative};
use crate::operator::Linear;
use core::mem::offset_of;

/// What all channels of an operator's output have in common.
#[derive(Clone, Copy)]
pub(super) struct Output<V: Vector> {
    /// See [`Vector::Orders`].
    pub orders: V::Orders,
    pub zero_point: V,
    least: V,
    greatest: V,
    /// Whether the activation cuts off negative numbers.
    clamped: bool,
}

impl<V: Vector> Output<V> {
    /// # Safety
    ///
    /// The processor has `V`'s instruction set.
    #[inline(always)]
    pub unsafe fn of(linear: &Linear) -> Self {
        // SAFETY: the contract.
        unsafe {
            Self {
                clamped: clamps_negative(linear),
                ..Self::new(
                    linear.output_zero_point,
                    linear.activation_min,
                    linear.activation_max,
                )
            }
        }
    }

    /// An output with a zero point, clamped to a range.
    ///
    /// # Safety
    ///
    /// The processor has `V`'s instruction set.
    #[inline(always)]
    pub unsafe fn new(zero_point: i32, least: i32, greatest: i32) -> Self {
        // SAFETY: the contract.
        unsafe {
            Self {
                orders: V::orders(),
                zero_point: V::splat_32(zero_point),
                least: V::splat_8(least as i8),
                greatest: V::splat_8(greatest as i8),
                clamped: false,
            }
        }
    }

    /// Bytes from 32-bit numbers that include the zero point, clamped: in parts of 128 bits, those of `a`, `b`, `c`, `d`.
    ///
    /// # Safety
    ///
    /// The processor has `V`'s instruction set.
    #[inline(always)]
    pub unsafe fn pack(&self, [a, b, c, d]: [V; 4]) -> V {
        // SAFETY: the contract. Saturation on the way keeps what the clamp would cut off outside its range.
        unsafe {
            let (low, high) = (a.pack_32(b), c.pack_32(d));
            low.pack_16(high).max_8(self.least).min_8(self.greatest)
        }
    }

    /// As [`pack`](Self::pack), of numbers scaled by a formula.
    ///
    /// # Safety
    ///
    /// The processor has `V`'s instruction set, and the formula holds.
    #[inline(always)]
    pub unsafe fn pack_scaled<const FORMULA: u8>(&self, [a, b, c, d]: [V; 4]) -> V {
        // SAFETY: the contract.
        unsafe {
            let (low, high) = (a.pack_32(b), c.pack_32(d));
            match FORMULA {
                FLOAT_CLAMPED => low.pack_16(high),
                FLOAT_SIGNED => {
                    let zero_point = self.zero_point.pack_32(self.zero_point);
                    low.add_saturating_16(zero_point)
                        .pack_16(high.add_saturating_16(zero_point))
                }
                _ => self.pack([a, b, c, d]),
            }
        }
    }

    /// By which formula to [`scale`](Self::scale) with all of these.
    #[inline(always)]
    pub fn formula<const COUNT: usize>(&self, scales: [&Scales<V>; COUNT]) -> u8 {
        let float = scales.iter().all(|scales| scales.float);
        let fast = scales.iter().all(|scales| scales.fast);
        match (float, fast, self.clamped) {
            (true, _, true) => FLOAT_CLAMPED,
            (true, _, false) => FLOAT_SIGNED,
            (_, true, true) => CLAMPED,
            (_, true, false) => SIGNED,
            (_, false, _) => ANY,
        }
    }

    /// Sums times their channels' multipliers.
    ///
    /// # Safety
    ///
    /// The processor has `V`'s instruction set, the formula holds, and the constants that `scales` were read from are
    /// still there.
    #[inline(always)]
    pub unsafe fn scale<const FORMULA: u8>(&self, sums: V, scales: &Scales<V>) -> V {
        // SAFETY: the contract.
        unsafe {
            if FORMULA == FLOAT_CLAMPED {
                return sums.scale_float(scales.scale, scales.offset);
            }
            if FORMULA == FLOAT_SIGNED {
                let sign = sums.and(V::splat_32(i32::MIN));
                return sums.scale_float(scales.scale, scales.offset.xor(sign));
            }
            if FORMULA == ANY && !scales.fast {
                return scales.any(sums, self.orders).add_32(self.zero_point);
            }
            if FORMULA == CLAMPED || FORMULA == ANY && self.clamped {
                return sums
                    .scale(scales.constants(), self.orders)
                    .shift_right_32(scales.shift);
            }
            let high = sums.add_32(sums).scale(scales.constants(), self.orders);
            high.add_32(sums.sign_32()).shift_right_32(scales.shift)
        }
    }
}

/// All groups are fast, and the activation cuts off negative values, so that it does not matter how they are rounded.
pub(super) const CLAMPED: u8 = 0;
/// All groups are fast.
pub(super) const SIGNED: u8 = 1;
/// Whatever the multipliers and the sums.
pub(super) const ANY: u8 = 2;
/// All groups are [float groups](crate::layout::x86_float), and the activation cuts off negative values.
pub(super) const FLOAT_CLAMPED: u8 = 3;
/// All groups are float groups.
pub(super) const FLOAT_SIGNED: u8 = 4;

/// The multipliers of a vector of channels: a group's, or half a group's.
#[derive(Clone, Copy)]
pub(super) struct Scales<V: Vector> {
    mantissa_even: V,
    mantissa_odd: V,
    rounding_even: V,
    rounding_odd: V,
    shift: V,
    /// The scale and the offset of a float group.
    scale: V,
    offset: V,
    fast: bool,
    float: bool,
    /// Where the group's constants of these channels' lanes begin.
    lanes: *const u8,
}

impl<V: Vector> Scales<V> {
    /// `constants` is where the [`GroupConstants`] of the channels' group lie; half the vector length is half a group, of
    /// which `half` says which.
    ///
    /// # Safety
    ///
    /// The processor has `V`'s instruction set, and `constants` is valid.
    #[inline(always)]
    pub unsafe fn load(constants: *const u8, half: usize) -> Self {
        // SAFETY: all reads lie within the constants.
        unsafe {
            let lanes = constants.add(half * V::BYTES);
            let fast = constants.add(offset_of!(GroupConstants, fast));
            let fast = fast.cast::<i32>().read_unaligned();
            Self {
                mantissa_even: V::load(lanes.add(offset_of!(GroupConstants, mantissa_even))),
                mantissa_odd: V::load(lanes.add(offset_of!(GroupConstants, mantissa_odd))),
                rounding_even: V::load(lanes.add(offset_of!(GroupConstants, rounding_even))),
                rounding_odd: V::load(lanes.add(offset_of!(GroupConstants, rounding_odd))),
                shift: V::load(lanes.add(offset_of!(GroupConstants, shift))),
                scale: V::load(lanes.add(offset_of!(GroupConstants, left))),
                offset: V::load(lanes.add(offset_of!(GroupConstants, tie))),
                fast: fast != 0,
                float: fast == FLOAT_GROUP,
                lanes,
            }
        }
    }

    /// Whether the formulas but [`ANY`] hold.
    #[inline(always)]
    pub fn is_fast(&self) -> bool {
        self.fast
    }

    #[inline(always)]
    fn constants(&self) -> LaneConstants<V> {
        LaneConstants {
            mantissa_even: self.mantissa_even,
            mantissa_odd: self.mantissa_odd,
            rounding_even: self.rounding_even,
            rounding_odd: self.rounding_odd,
        }
    }

    /// As [`Output::scale`], for groups that are not fast.
    #[inline(always)]
    unsafe fn any(&self, sums: V, orders: V::Orders) -> V {
        // SAFETY: the caller's contract; all reads lie within the constants.
        unsafe {
            let left = V::load(self.lanes.add(offset_of!(GroupConstants, left)));
            let tie = V::load(self.lanes.add(offset_of!(GroupConstants, tie)));
            let sums = sums.shift_left_32(left);
            // 1 where a negative number is shifted right; times −2^31.
            let ties = sums.sign_32().and(tie);
            let down = V::splat_32(i32::MIN);
            let even = sums
                .multiply_low_halves(self.mantissa_even)
                .add_64(self.rounding_even)
                .add_64(ties.multiply_low_halves(down))
                .shift_right_64(self.shift.and(V::splat_64(0xff)));
            let odd = sums
                .high_halves()
                .multiply_low_halves(self.mantissa_odd)
                .add_64(self.rounding_odd)
                .add_64(ties.high_halves().multiply_low_halves(down))
                .shift_right_64(self.shift.high_halves());
            even.low_halves_up()
                .merge_high_halves(odd.low_halves_up(), orders)
        }
    }
}

/// One multiplier for all lanes.
#[derive(Clone, Copy)]
pub(super) struct Scale<V: Vector> {
    orders: V::Orders,
    mantissa: V,
    rounding: V,
    shift: V,
    formula: ScaleFormula,
}

/// What a [`Scale`] does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ScaleFormula {
    /// Multiplies by a half, where nothing needs rounding.
    Halve,
    /// Rounds once.
    Multiply,
    /// Rounds twice, ties away from zero the second time.
    MultiplyAndShift,
}

impl<V: Vector> Scale<V> {
    /// `None` for a multiplier that shifts left. `even` says that the numbers to scale are.
    ///
    /// # Safety
    ///
    /// The processor has `V`'s instruction set.
    #[inline(always)]
    pub unsafe fn of(multiplier: Multiplier, even: bool) -> Option<Self> {
        let shift = -(multiplier.shift as i32);
        if !(0..=31).contains(&shift) {
            return None;
        }
        let mantissa = multiplier.mantissa.to_bits();
        let half = if shift > 0 { 1i64 << (shift - 1) } else { 0 };
        let formula = match shift {
            0 if even && mantissa == 1 << 30 => ScaleFormula::Halve,
            0 => ScaleFormula::Multiply,
            _ => ScaleFormula::MultiplyAndShift,
        };
        // SAFETY: the contract.
        unsafe {
            Some(Self {
                orders: V::orders(),
                mantissa: V::splat_64(mantissa as i64),
                rounding: V::splat_64((1 << 31) + (half << 32)),
                shift: V::splat_32(if formula == ScaleFormula::Halve { 2 } else { shift }),
                formula,
            })
        }
    }

    /// `numbers × self`, rounded twice, as [`GroupConstants`] explains. `doubled` holds the numbers twice as great, which are
    /// below 2^30 in magnitude.
    ///
    /// # Safety
    ///
    /// The processor has `V`'s instruction set.
    #[inline(always)]
    pub unsafe fn apply(&self, doubled: V) -> V {
        // SAFETY: the contract.
        unsafe {
            if self.formula == ScaleFormula::Halve {
                return doubled.shift_right_32(self.shift);
            }
            let even = doubled.multiply_low_halves(self.mantissa).add_64(self.rounding);
            let odd = doubled
                .high_halves()
                .multiply_low_halves(self.mantissa)
                .add_64(self.rounding);
            let high = even.merge_high_halves(odd, self.orders);
            if self.formula == ScaleFormula::MultiplyAndShift {
                high.add_32(doubled.sign_32()).shift_right_32(self.shift)
            } else {
                high
            }
        }
    }
}

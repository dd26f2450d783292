//! From sums to output values.

use super::vector::Vector;
use crate::fixed_point::Multiplier;
use crate::layout::x86::{GROUP, GroupConstants};
use crate::operator::Linear;
use core::mem::offset_of;

/// What all channels of an operator's output have in common.
#[derive(Clone, Copy)]
pub(super) struct Output<V: Vector> {
    /// See [`Vector::Orders`].
    pub orders: V::Orders,
    zero_point: V,
    least: V,
    greatest: V,
    /// Whether it matters how negative numbers are rounded. Where the activation cuts them off, it does not.
    negative: bool,
}

impl<V: Vector> Output<V> {
    /// # Safety
    ///
    /// The processor has `V`'s instruction set.
    #[inline(always)]
    pub unsafe fn of(linear: &Linear) -> Self {
        // SAFETY: the contract.
        unsafe {
            Self::new(
                linear.output_zero_point,
                linear.activation_min,
                linear.activation_max,
            )
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
                zero_point: V::splat_16(zero_point as i16),
                least: V::splat_8(least as i8),
                greatest: V::splat_8(greatest as i8),
                negative: least < zero_point,
            }
        }
    }

    /// Bytes from 32-bit numbers, in parts of 128 bits: those of `a`, `b`, `c`, `d`; zero point added and clamped.
    ///
    /// # Safety
    ///
    /// The processor has `V`'s instruction set.
    #[inline(always)]
    pub unsafe fn pack(&self, [a, b, c, d]: [V; 4]) -> V {
        // SAFETY: the contract. Saturation on the way keeps what the clamp would cut off outside its range.
        unsafe {
            let low = a.pack_32(b).add_saturating_16(self.zero_point);
            let high = c.pack_32(d).add_saturating_16(self.zero_point);
            low.pack_16(high).max_8(self.least).min_8(self.greatest)
        }
    }

    /// Sums times their channels' multipliers.
    ///
    /// # Safety
    ///
    /// The processor has `V`'s instruction set, and the constants that `scales` were read from are still there.
    #[inline(always)]
    pub unsafe fn scale(&self, sums: V, scales: &Scales<V>) -> V {
        // SAFETY: the contract.
        unsafe {
            match scales.formula {
                GroupConstants::FAST => {
                    let high = scales.high(sums, self.orders);
                    let high = if self.negative {
                        high.add_32(sums.sign_32())
                    } else {
                        high
                    };
                    high.shift_right_32(scales.shift)
                }
                GroupConstants::LEFT => {
                    let left = V::load(scales.lanes.add(offset_of!(GroupConstants, left)));
                    let tie = V::load(scales.lanes.add(offset_of!(GroupConstants, tie)));
                    let high = scales.high(sums.shift_left_32(left), self.orders);
                    high.add_32(sums.sign_32().and(tie)).shift_right_32(scales.shift)
                }
                _ => scale_any(sums, scales),
            }
        }
    }
}

/// The multipliers of a vector of channels: a group's, or half a group's.
#[derive(Clone, Copy)]
pub(super) struct Scales<V: Vector> {
    mantissa_even: V,
    mantissa_odd: V,
    rounding_even: V,
    rounding_odd: V,
    shift: V,
    formula: i32,
    /// Where the group's constants of these channels' lanes begin.
    lanes: *const u8,
    half: usize,
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
            Self {
                mantissa_even: V::load(lanes.add(offset_of!(GroupConstants, mantissa_even))),
                mantissa_odd: V::load(lanes.add(offset_of!(GroupConstants, mantissa_odd))),
                rounding_even: V::load(lanes.add(offset_of!(GroupConstants, rounding_even))),
                rounding_odd: V::load(lanes.add(offset_of!(GroupConstants, rounding_odd))),
                shift: V::load(lanes.add(offset_of!(GroupConstants, shift))),
                formula: constants
                    .add(offset_of!(GroupConstants, formula))
                    .cast::<i32>()
                    .read_unaligned(),
                lanes,
                half,
            }
        }
    }

    /// The high half of `2 × sums × mantissa + rounding`.
    #[inline(always)]
    unsafe fn high(&self, sums: V, orders: V::Orders) -> V {
        // SAFETY: the caller's contract.
        unsafe {
            let doubled = sums.add_32(sums);
            let even = doubled
                .multiply_low_halves(self.mantissa_even)
                .add_64(self.rounding_even);
            let odd = doubled
                .high_halves()
                .multiply_low_halves(self.mantissa_odd)
                .add_64(self.rounding_odd);
            even.merge_high_halves(odd, orders)
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
    /// Whether there is a right shift, whose ties go away from zero.
    shifts: bool,
}

impl<V: Vector> Scale<V> {
    /// `None` for a multiplier that shifts left.
    ///
    /// # Safety
    ///
    /// The processor has `V`'s instruction set.
    #[inline(always)]
    pub unsafe fn of(multiplier: Multiplier) -> Option<Self> {
        let shift = -(multiplier.shift as i32);
        if !(0..=31).contains(&shift) {
            return None;
        }
        let half = if shift > 0 { 1i64 << (shift - 1) } else { 0 };
        // SAFETY: the contract.
        unsafe {
            Some(Self {
                orders: V::orders(),
                mantissa: V::splat_64(multiplier.mantissa.to_bits() as i64),
                rounding: V::splat_64((1 << 31) + (half << 32)),
                shift: V::splat_32(shift),
                shifts: shift > 0,
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
            let even = doubled.multiply_low_halves(self.mantissa).add_64(self.rounding);
            let odd = doubled
                .high_halves()
                .multiply_low_halves(self.mantissa)
                .add_64(self.rounding);
            let high = even.merge_high_halves(odd, self.orders);
            if self.shifts {
                high.add_32(doubled.sign_32()).shift_right_32(self.shift)
            } else {
                high
            }
        }
    }
}

/// As [`Output::scale`], for sums that may be too great for vectors: lane by lane.
///
/// # Safety
///
/// `constants` are a group's.
#[cold]
#[inline(never)]
unsafe fn scale_lanes(sums: &mut [i32], constants: *const u8, half: usize) {
    for (lane, sum) in sums.iter_mut().enumerate() {
        let lane = half * (GROUP / 2) + lane;
        let mantissas = if lane.is_multiple_of(2) {
            offset_of!(GroupConstants, mantissa_even)
        } else {
            offset_of!(GroupConstants, mantissa_odd)
        };
        // SAFETY: all lie within the constants.
        let (mantissa, right, left) = unsafe {
            let word = |array: usize| constants.add(array + lane * 4).cast::<i32>().read_unaligned();
            (
                constants
                    .add(mantissas + lane / 2 * 8)
                    .cast::<i64>()
                    .read_unaligned(),
                word(offset_of!(GroupConstants, shift)),
                word(offset_of!(GroupConstants, left)),
            )
        };
        *sum = Multiplier::from_bits(mantissa as i32, (left - right) as i8).apply(*sum);
    }
}

#[inline(always)]
unsafe fn scale_any<V: Vector>(sums: V, scales: &Scales<V>) -> V {
    let mut lanes = [0i32; GROUP];
    // SAFETY: a vector has at most GROUP lanes; the rest is the caller's contract.
    unsafe {
        sums.store(lanes.as_mut_ptr().cast());
        let constants = scales.lanes.sub(scales.half * V::BYTES);
        scale_lanes(&mut lanes[..V::BYTES / 4], constants, scales.half);
        V::load(lanes.as_ptr().cast())
    }
}

//! Requantization of four sums at a time.

use crate::operator::Linear;
use core::arch::aarch64::{
    int8x8_t, int32x4_t, vandq_s32, vcombine_s16, vdup_n_s8, vdupq_n_s32, vld1q_s32, vmax_s8, vmaxq_s32,
    vmin_s8, vminq_s32, vqaddq_s32, vqmovn_s16, vqmovn_s32, vqrdmulhq_s32, vrshlq_s32, vshlq_s32,
    vshrq_n_s32,
};

/// The constants of an operator's output, in vectors.
#[derive(Clone, Copy)]
pub struct Output {
    zero_point: int32x4_t,
    least: int8x8_t,
    greatest: int8x8_t,
}

/// Four channels' multipliers and shifts.
#[derive(Clone, Copy)]
pub struct Multipliers {
    mantissas: int32x4_t,
    left: int32x4_t,
    right: int32x4_t,
}

impl Output {
    pub fn new(linear: &Linear) -> Self {
        // SAFETY: instructions on registers.
        unsafe {
            Self {
                zero_point: vdupq_n_s32(linear.output_zero_point),
                least: vdup_n_s8(linear.activation_min as i8),
                greatest: vdup_n_s8(linear.activation_max as i8),
            }
        }
    }

    /// The outputs of eight sums. SQRDMULH is the specification's doubling high multiply; SRSHL by a negative shift rounds
    /// half up, to which adding −1 to negative values gives ties away from zero, except where nothing is shifted.
    #[inline(always)]
    pub fn of(&self, sums: [int32x4_t; 2], multipliers: &[Multipliers; 2]) -> int8x8_t {
        // SAFETY: instructions on registers.
        unsafe {
            let [a, b] = [(sums[0], multipliers[0]), (sums[1], multipliers[1])].map(|(sum, by)| {
                let high = vqrdmulhq_s32(vshlq_s32(sum, by.left), by.mantissas);
                let ties = vshrq_n_s32::<31>(vandq_s32(high, by.right));
                let shifted = vrshlq_s32(vqaddq_s32(high, ties), by.right);
                vqmovn_s32(vqaddq_s32(shifted, self.zero_point))
            });
            vmin_s8(vmax_s8(vqmovn_s16(vcombine_s16(a, b)), self.least), self.greatest)
        }
    }
}

impl Multipliers {
    /// Four channels' multipliers and shifts, as they lie in memory.
    ///
    /// # Safety
    ///
    /// Both are pointers to four numbers, of any alignment.
    #[inline(always)]
    pub unsafe fn load(mantissas: *const i32, shifts: *const i32) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            let (shifts, zero) = (vld1q_s32(shifts), vdupq_n_s32(0));
            Self {
                mantissas: vld1q_s32(mantissas),
                left: vmaxq_s32(shifts, zero),
                right: vminq_s32(shifts, zero),
            }
        }
    }
}

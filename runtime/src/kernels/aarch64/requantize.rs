//! Requantization of vectors of sums.

use crate::operator::Linear;
use core::arch::aarch64::{
    int8x16_t, int32x4_t, vandq_s32, vdupq_n_s8, vdupq_n_s16, vdupq_n_s32, vld1q_s32, vmaxq_s8, vmaxq_s32,
    vminq_s8, vminq_s32, vqaddq_s16, vqmovn_high_s16, vqmovn_high_s32, vqmovn_s16, vqmovn_s32, vqrdmulhq_s32,
    vrshlq_s32, vshlq_s32, vsraq_n_s32,
};

/// An operator's constants for its outputs.
#[derive(Clone, Copy)]
pub struct Output {
    zero_point: i16,
    least: i8,
    greatest: i8,
    /// Whether any sum is shifted left before it is multiplied.
    left: bool,
}

/// Multipliers and shifts of 16 channels.
#[derive(Clone, Copy)]
pub struct Multipliers {
    mantissas: [int32x4_t; 4],
    shifts: [int32x4_t; 4],
}

impl Multipliers {
    /// Those of 16 channels, as they lie in memory.
    ///
    /// # Safety
    ///
    /// Both are pointers to 16 numbers, of any alignment.
    #[inline(always)]
    pub unsafe fn load(mantissas: *const i32, shifts: *const i32) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                mantissas: load(mantissas),
                shifts: load(shifts),
            }
        }
    }
}

/// Four vectors of four numbers.
///
/// # Safety
///
/// There are 16 numbers, of any alignment.
#[inline(always)]
pub unsafe fn load(from: *const i32) -> [int32x4_t; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        [
            vld1q_s32(from),
            vld1q_s32(from.add(4)),
            vld1q_s32(from.add(8)),
            vld1q_s32(from.add(12)),
        ]
    }
}

impl Output {
    /// Of an operator in one of this family's layouts.
    pub fn new(linear: &Linear) -> Self {
        Self {
            zero_point: linear.output_zero_point as i16,
            least: linear.activation_min as i8,
            greatest: linear.activation_max as i8,
            left: linear.weights.first() != Some(&0),
        }
    }

    /// The outputs of 16 sums. SQRDMULH is the specification's doubling high multiply; SRSHL by a negative shift rounds half
    /// up, to which adding −1 to negative values gives ties away from zero, except where nothing is shifted.
    #[inline(always)]
    pub fn of(&self, sums: [int32x4_t; 4], multipliers: &Multipliers) -> int8x16_t {
        // SAFETY: instructions on registers that every AArch64 processor has.
        unsafe {
            let zero = vdupq_n_s32(0);
            let scale = |number: usize| {
                let (mut sum, mut shift) = (sums[number], multipliers.shifts[number]);
                if self.left {
                    sum = vshlq_s32(sum, vmaxq_s32(shift, zero));
                    shift = vminq_s32(shift, zero);
                }
                let high = vqrdmulhq_s32(sum, multipliers.mantissas[number]);
                vrshlq_s32(vsraq_n_s32::<31>(high, vandq_s32(high, shift)), shift)
            };
            let zero_point = vdupq_n_s16(self.zero_point);
            let first = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(scale(0)), scale(1)), zero_point);
            let second = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(scale(2)), scale(3)), zero_point);
            let narrow = vqmovn_high_s16(vqmovn_s16(first), second);
            vminq_s8(
                vmaxq_s8(narrow, vdupq_n_s8(self.least)),
                vdupq_n_s8(self.greatest),
            )
        }
    }
}

//! Elementwise sum.

use crate::fixed_point::Multiplier;
use crate::kernels::reference;
use crate::operator::Binary;
use crate::{Band, Rows};
use core::arch::aarch64::{
    int8x16_t, int16x8_t, int32x4_t, vaddq_s32, vandq_s32, vdup_n_s8, vdupq_n_s8, vdupq_n_s16, vdupq_n_s32,
    vget_high_s8, vget_low_s8, vget_low_s16, vld1q_s8, vmaxq_s8, vminq_s8, vmovl_high_s16, vmovl_s16,
    vqaddq_s16, vqmovn_high_s16, vqmovn_high_s32, vqmovn_s16, vqmovn_s32, vqrdmulhq_s32, vrshlq_s32,
    vshlq_s32, vsraq_n_s32, vst1q_s8, vsubl_s8,
};

/// int8, of two tensors of one shape; others are the specification's.
pub fn add(binary: &Binary, a: &Rows, b: &Rows, output: &mut Band) {
    let zero_points = i8::try_from(binary.a_zero_point)
        .ok()
        .zip(i8::try_from(binary.b_zero_point).ok());
    let (Some(zero_points), true) = (zero_points, binary.constant.is_empty() && a.shape == b.shape) else {
        return (reference::KERNELS.add.int8.unwrap_or(|_, _, _, _| ()))(binary, a, b, output);
    };
    let left = binary.left_shift as i32;
    let sum = Sum {
        zero_points,
        a: Scale::new(binary.a_multiplier, left),
        b: Scale::new(binary.b_multiplier, left),
        output: Scale::new(binary.output_multiplier, 0),
        zero_point: binary.output_zero_point as i16,
        least: binary.activation_min as i8,
        greatest: binary.activation_max as i8,
    };
    for (y, row) in output.rows_mut() {
        let (a, b) = (a.row(y), b.row(y));
        let (whole, rest) = row.as_chunks_mut::<16>();
        let (a, b) = (a.as_chunks::<16>(), b.as_chunks::<16>());
        for ((to, a), b) in whole.iter_mut().zip(a.0).zip(b.0) {
            *to = sum.of(a, b);
        }
        if !rest.is_empty() {
            let pad = |values: &[i8]| {
                let mut all = [0; 16];
                crate::exec::copy(&mut all, values);
                all
            };
            crate::exec::copy(rest, &sum.of(&pad(a.1), &pad(b.1)));
        }
    }
}

/// The parameters of a sum.
struct Sum {
    zero_points: (i8, i8),
    a: Scale,
    b: Scale,
    output: Scale,
    zero_point: i16,
    least: i8,
    greatest: i8,
}

/// A multiplier, with what is shifted left before it.
#[derive(Clone, Copy)]
struct Scale {
    left: i32,
    mantissa: i32,
    right: i32,
}

impl Scale {
    fn new(multiplier: Multiplier, left: i32) -> Self {
        Self {
            left: left + multiplier.shift.max(0) as i32,
            mantissa: multiplier.mantissa.to_bits(),
            right: multiplier.shift.min(0) as i32,
        }
    }

    /// As [`Multiplier::apply`]; see `requantize` for the rounding.
    #[inline(always)]
    fn apply(self, values: int32x4_t) -> int32x4_t {
        // SAFETY: instructions on registers.
        unsafe {
            let right = vdupq_n_s32(self.right);
            let high = vqrdmulhq_s32(
                vshlq_s32(values, vdupq_n_s32(self.left)),
                vdupq_n_s32(self.mantissa),
            );
            vrshlq_s32(vsraq_n_s32::<31>(high, vandq_s32(high, right)), right)
        }
    }
}

impl Sum {
    #[inline(always)]
    fn of(&self, a: &[i8; 16], b: &[i8; 16]) -> [i8; 16] {
        let mut to = [0; 16];
        // SAFETY: there are 16 values each.
        unsafe {
            let (a, b) = (vld1q_s8(a.as_ptr()), vld1q_s8(b.as_ptr()));
            let (a, b) = (less(a, self.zero_points.0), less(b, self.zero_points.1));
            let zero_point = vdupq_n_s16(self.zero_point);
            let [low, high] = [0, 1].map(|half| {
                let low = self.four(vmovl_s16(vget_low_s16(a[half])), vmovl_s16(vget_low_s16(b[half])));
                let high = self.four(vmovl_high_s16(a[half]), vmovl_high_s16(b[half]));
                vqaddq_s16(vqmovn_high_s32(vqmovn_s32(low), high), zero_point)
            });
            let narrow = vqmovn_high_s16(vqmovn_s16(low), high);
            let clamped = vminq_s8(
                vmaxq_s8(narrow, vdupq_n_s8(self.least)),
                vdupq_n_s8(self.greatest),
            );
            vst1q_s8(to.as_mut_ptr(), clamped);
        }
        to
    }

    #[inline(always)]
    fn four(&self, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: an instruction on registers.
        let sum = unsafe { vaddq_s32(self.a.apply(a), self.b.apply(b)) };
        self.output.apply(sum)
    }
}

/// Values less their zero point.
#[inline(always)]
fn less(values: int8x16_t, zero_point: i8) -> [int16x8_t; 2] {
    // SAFETY: instructions on registers.
    unsafe {
        let zero_point = vdup_n_s8(zero_point);
        [
            vsubl_s8(vget_low_s8(values), zero_point),
            vsubl_s8(vget_high_s8(values), zero_point),
        ]
    }
}

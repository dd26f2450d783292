//! Products by SDOT, the dot product instruction.

use super::Product;
use core::arch::aarch64::{int8x16_t, int32x4_t, vld1q_dup_s32, vld1q_s8, vreinterpretq_s8_s32};
use core::arch::asm;

/// Products by SDOT.
pub struct Dot;

/// Adds to each lane of `$sum` the products of its four weights and the four values in lane `$lane` of `$values`.
macro_rules! sdot {
    ($sum:expr, $weights:expr, $values:expr, $lane:literal) => {
        // SAFETY: an instruction on registers, which the caller has made sure that the processor has.
        unsafe {
            asm!(
                concat!("sdot {0:v}.4s, {1:v}.16b, {2:v}.4b[", $lane, "]"),
                inout(vreg) $sum, in(vreg) $weights, in(vreg) $values,
                options(pure, nomem, nostack, preserves_flags)
            )
        }
    };
}

/// Four inputs of all pixels times 16 channels.
macro_rules! quadruple {
    ($sums:ident, $weights:expr, $values:ident, $lane:literal) => {
        for part in 0..4 {
            let weights: int8x16_t = unsafe { vld1q_s8($weights.add(part * 16).cast()) };
            for (sums, values) in $sums.iter_mut().zip($values) {
                sdot!(sums[part], weights, values, $lane);
            }
        }
    };
}

impl Product for Dot {
    const DOT: bool = true;

    #[inline(always)]
    unsafe fn multiply(
        pixels: [*const i8; 4],
        weights: *const u8,
        depth: usize,
        sums: &mut [[int32x4_t; 4]; 4],
    ) {
        // SAFETY: the caller's promises are this function's.
        unsafe { multiply(pixels, weights, depth, sums) }
    }
}

#[target_feature(enable = "neon,dotprod")]
unsafe fn multiply(
    pixels: [*const i8; 4],
    mut weights: *const u8,
    depth: usize,
    sums: &mut [[int32x4_t; 4]; 4],
) {
    let mut local = *sums;
    let mut pixels = pixels;
    for _ in 0..depth / 16 {
        // SAFETY: 16 values are left in each pixel, and their weights.
        let values = pixels.map(|pixel| unsafe { vld1q_s8(pixel) });
        quadruple!(local, weights, values, 0);
        quadruple!(local, weights.wrapping_add(64), values, 1);
        quadruple!(local, weights.wrapping_add(128), values, 2);
        quadruple!(local, weights.wrapping_add(192), values, 3);
        weights = weights.wrapping_add(256);
        pixels = pixels.map(|pixel| pixel.wrapping_add(16));
    }
    for _ in 0..depth % 16 / 4 {
        // SAFETY: four values are left in each pixel, and their weights. The load is of any alignment.
        let values = pixels.map(|pixel| unsafe { vreinterpretq_s8_s32(vld1q_dup_s32(pixel.cast())) });
        quadruple!(local, weights, values, 0);
        weights = weights.wrapping_add(64);
        pixels = pixels.map(|pixel| pixel.wrapping_add(4));
    }
    *sums = local;
}

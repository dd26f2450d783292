//! Products by SMULL and SMLAL: pairs of products in 16 bits, which hold them as no weight is −128, added up in 32.

use super::Product;
use core::arch::aarch64::{
    int32x4_t, vaddq_s32, vdupq_n_s32, vget_low_s8, vld1q_s8, vmlal_high_s8, vmull_s8, vpadalq_s16,
    vpaddq_s32,
};

/// Products by SMULL and SMLAL.
pub struct Neon;

impl Product for Neon {
    const DOT: bool = false;

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

unsafe fn multiply(
    pixels: [*const i8; 4],
    mut weights: *const u8,
    depth: usize,
    sums: &mut [[int32x4_t; 4]; 4],
) {
    let zero = unsafe { vdupq_n_s32(0) };
    for four in 0..4 {
        // For each pixel and channel four sums, of every fourth pair of inputs.
        let mut parts = [[zero; 4]; 4];
        for k in (0..depth).step_by(16) {
            // SAFETY: 16 values are left in each pixel.
            let values = pixels.map(|pixel| unsafe { vld1q_s8(pixel.add(k)) });
            for channel in 0..4 {
                // SAFETY: weights of 16 inputs are left for each of the four channels.
                let weights = unsafe { vld1q_s8(weights.add(channel * 16).cast()) };
                for (parts, values) in parts.iter_mut().zip(values) {
                    // SAFETY: instructions on registers.
                    parts[channel] = unsafe {
                        let products = vmull_s8(vget_low_s8(values), vget_low_s8(weights));
                        vpadalq_s16(parts[channel], vmlal_high_s8(products, values, weights))
                    };
                }
            }
            weights = weights.wrapping_add(64);
        }
        for (sums, [a, b, c, d]) in sums.iter_mut().zip(parts) {
            // SAFETY: instructions on registers.
            sums[four] = unsafe { vaddq_s32(sums[four], vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d))) };
        }
    }
}

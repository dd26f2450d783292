//! Products by SMULL and SMLAL: pairs of products in 16 bits, which hold them as no weight is −128, added up in 32.

use super::linear::{Chunk, Product, chunk};
use crate::layout::aarch64::Product as Order;
use core::arch::aarch64::{
    int32x4_t, vaddq_s32, vdupq_n_s32, vget_low_s8, vld1_s8, vld1q_s8, vmlal_high_s8, vmull_s8, vpadalq_s16,
    vpaddq_s32,
};

/// Products by SMULL and SMLAL.
pub struct Neon;

impl Product for Neon {
    const ORDER: Order = Order::Neon;

    chunk!("neon", multiply);
}

/// The sums of four pixels of `depth` values, a multiple of 8, times the weights of a group of 16 channels, biases added.
///
/// # Safety
///
/// Each pixel has `depth` values, and there are as many weights of each channel.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn multiply(
    pixels: [*const i8; 4],
    mut weights: *const u8,
    depth: usize,
    bias: [int32x4_t; 4],
) -> [[int32x4_t; 4]; 4] {
    let zero = vdupq_n_s32(0);
    let mut sums = [[zero; 4]; 4];
    for four in 0..4 {
        // For each pixel and channel four sums, each of every fourth pair of inputs.
        let mut parts = [[zero; 4]; 4];
        for k in (0..depth / 16 * 16).step_by(16) {
            // SAFETY: 16 values are left in each pixel.
            let values = pixels.map(|pixel| unsafe { vld1q_s8(pixel.add(k)) });
            for channel in 0..4 {
                // SAFETY: weights of 16 inputs are left for each of the four channels.
                let weights = unsafe { vld1q_s8(weights.add(channel * 16).cast()) };
                for (parts, values) in parts.iter_mut().zip(values) {
                    let products = vmull_s8(vget_low_s8(values), vget_low_s8(weights));
                    parts[channel] = vpadalq_s16(parts[channel], vmlal_high_s8(products, values, weights));
                }
            }
            weights = weights.wrapping_add(64);
        }
        if !depth.is_multiple_of(16) {
            // SAFETY: 8 values are left in each pixel.
            let values = pixels.map(|pixel| unsafe { vld1_s8(pixel.add(depth / 16 * 16)) });
            for channel in 0..4 {
                // SAFETY: weights of 8 inputs are left for each of the four channels.
                let weights = unsafe { vld1_s8(weights.add(channel * 8).cast()) };
                for (parts, values) in parts.iter_mut().zip(values) {
                    parts[channel] = vpadalq_s16(parts[channel], vmull_s8(values, weights));
                }
            }
            weights = weights.wrapping_add(32);
        }
        for (sums, [a, b, c, d]) in sums.iter_mut().zip(parts) {
            sums[four] = vaddq_s32(bias[four], vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)));
        }
    }
    sums
}

//! Products by SMMLA, which multiplies two pixels by two channels, eight inputs each.

use super::linear::{Chunk, Product, chunk};
use crate::layout::aarch64::Product as Order;
use core::arch::aarch64::{
    int32x4_t, vaddq_s32, vdupq_n_s32, vreinterpretq_s32_s64, vreinterpretq_s64_s32, vtrn1q_s64, vtrn2q_s64,
};
use core::arch::asm;

/// Products by SMMLA.
pub struct Matrix;

impl Product for Matrix {
    const ORDER: Order = Order::Matrix;

    chunk!("neon,i8mm", multiply);
}

/// Eight inputs of four pixels (v0 and v1, two each) times 16 channels, two by two: v16–v23 are the first two pixels' sums,
/// v24–v31 those of the others.
macro_rules! eight_inputs {
    () => {
        concat!(
            "ldp q4, q5, [{weights}], #32\n",
            "ldp q6, q7, [{weights}], #32\n",
            four_channels!("v16", "v17", "v24", "v25", "v4", "v5"),
            "ldp q4, q5, [{weights}], #32\n",
            four_channels!("v18", "v19", "v26", "v27", "v6", "v7"),
            "ldp q6, q7, [{weights}], #32\n",
            four_channels!("v20", "v21", "v28", "v29", "v4", "v5"),
            four_channels!("v22", "v23", "v30", "v31", "v6", "v7"),
        )
    };
}

macro_rules! four_channels {
    ($a:literal, $b:literal, $c:literal, $d:literal, $first:literal, $second:literal) => {
        concat!(
            "smmla ",
            $a,
            ".4s, v0.16b, ",
            $first,
            ".16b\n",
            "smmla ",
            $b,
            ".4s, v0.16b, ",
            $second,
            ".16b\n",
            "smmla ",
            $c,
            ".4s, v1.16b, ",
            $first,
            ".16b\n",
            "smmla ",
            $d,
            ".4s, v1.16b, ",
            $second,
            ".16b\n",
        )
    };
}

/// The sums of four pixels of `depth` values, a multiple of 8, times the weights of a group of 16 channels, biases added.
///
/// # Safety
///
/// Each pixel has `depth` values, and there are as many weights of each channel.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn multiply(
    pixels: [*const i8; 4],
    weights: *const u8,
    depth: usize,
    bias: [int32x4_t; 4],
) -> [[int32x4_t; 4]; 4] {
    // Of two pixels: the first one's sums of two channels, then the second one's.
    let mut pairs = [[vdupq_n_s32(0); 8]; 2];
    let [[a0, a1, a2, a3, a4, a5, a6, a7], [c0, c1, c2, c3, c4, c5, c6, c7]] = &mut pairs;
    // SAFETY: of each pixel `depth` values are read, and of the weights 16 times as many.
    unsafe {
        asm!(
            "2:",
            "ldr d0, [{a}], #8",
            "ldr d1, [{c}], #8",
            "ld1 {{v0.d}}[1], [{b}], #8",
            "ld1 {{v1.d}}[1], [{d}], #8",
            "subs {eights}, {eights}, #1",
            eight_inputs!(),
            "b.ne 2b",
            eights = inout(reg) depth / 8 => _,
            a = inout(reg) pixels[0] => _,
            b = inout(reg) pixels[1] => _,
            c = inout(reg) pixels[2] => _,
            d = inout(reg) pixels[3] => _,
            weights = inout(reg) weights => _,
            out("v0") _, out("v1") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            inout("v16") *a0, inout("v17") *a1, inout("v18") *a2, inout("v19") *a3,
            inout("v20") *a4, inout("v21") *a5, inout("v22") *a6, inout("v23") *a7,
            inout("v24") *c0, inout("v25") *c1, inout("v26") *c2, inout("v27") *c3,
            inout("v28") *c4, inout("v29") *c5, inout("v30") *c6, inout("v31") *c7,
            options(readonly, nostack)
        );
    }
    let half = |pairs: &[int32x4_t; 8], second: bool| {
        core::array::from_fn(|i| {
            let (x, y) = (
                vreinterpretq_s64_s32(pairs[2 * i]),
                vreinterpretq_s64_s32(pairs[2 * i + 1]),
            );
            let sums = if second {
                vtrn2q_s64(x, y)
            } else {
                vtrn1q_s64(x, y)
            };
            vaddq_s32(bias[i], vreinterpretq_s32_s64(sums))
        })
    };
    [
        half(&pairs[0], false),
        half(&pairs[0], true),
        half(&pairs[1], false),
        half(&pairs[1], true),
    ]
}

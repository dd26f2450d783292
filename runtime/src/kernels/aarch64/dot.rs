//! Products by SDOT, the dot product instruction.

use super::linear::{Chunk, Product, chunk};
use crate::layout::aarch64::Product as Order;
use core::arch::aarch64::int32x4_t;
use core::arch::asm;

/// Products by SDOT.
pub struct Dot;

impl Product for Dot {
    const ORDER: Order = Order::Dot;

    chunk!("neon,dotprod", multiply);
}

/// Four inputs of four pixels (lane `$lane` of v0–v3) times 16 channels: v16–v19 are the first pixel's sums, and so on.
macro_rules! four_inputs {
    ($lane:literal) => {
        concat!(
            "ldp q4, q5, [{weights}], #32\n",
            "ldp q6, q7, [{weights}], #32\n",
            four_channels!("v16", "v20", "v24", "v28", "v4", $lane),
            four_channels!("v17", "v21", "v25", "v29", "v5", $lane),
            four_channels!("v18", "v22", "v26", "v30", "v6", $lane),
            four_channels!("v19", "v23", "v27", "v31", "v7", $lane),
        )
    };
}

macro_rules! four_channels {
    ($a:literal, $b:literal, $c:literal, $d:literal, $weights:literal, $lane:literal) => {
        concat!(
            "sdot ",
            $a,
            ".4s, ",
            $weights,
            ".16b, v0.4b[",
            $lane,
            "]\n",
            "sdot ",
            $b,
            ".4s, ",
            $weights,
            ".16b, v1.4b[",
            $lane,
            "]\n",
            "sdot ",
            $c,
            ".4s, ",
            $weights,
            ".16b, v2.4b[",
            $lane,
            "]\n",
            "sdot ",
            $d,
            ".4s, ",
            $weights,
            ".16b, v3.4b[",
            $lane,
            "]\n",
        )
    };
}

/// The sums of four pixels of `depth` values, a multiple of 4, times the weights of a group of 16 channels, biases added.
///
/// # Safety
///
/// Each pixel has `depth` values, and there are as many weights of each channel.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn multiply(
    pixels: [*const i8; 4],
    weights: *const u8,
    depth: usize,
    bias: [int32x4_t; 4],
) -> [[int32x4_t; 4]; 4] {
    let mut sums = [bias; 4];
    let [
        [a0, a1, a2, a3],
        [b0, b1, b2, b3],
        [c0, c1, c2, c3],
        [d0, d1, d2, d3],
    ] = &mut sums;
    // SAFETY: of each pixel `depth` values are read, and of the weights 16 times as many.
    unsafe {
        asm!(
            "cbz {sixteens}, 3f",
            "2:",
            "ldr q0, [{a}], #16",
            "ldr q1, [{b}], #16",
            "ldr q2, [{c}], #16",
            "ldr q3, [{d}], #16",
            "subs {sixteens}, {sixteens}, #1",
            four_inputs!("0"),
            four_inputs!("1"),
            four_inputs!("2"),
            four_inputs!("3"),
            "b.ne 2b",
            "3:",
            "cbz {fours}, 5f",
            "4:",
            "ldr s0, [{a}], #4",
            "ldr s1, [{b}], #4",
            "ldr s2, [{c}], #4",
            "ldr s3, [{d}], #4",
            "subs {fours}, {fours}, #1",
            four_inputs!("0"),
            "b.ne 4b",
            "5:",
            sixteens = inout(reg) depth / 16 => _,
            fours = inout(reg) depth % 16 / 4 => _,
            a = inout(reg) pixels[0] => _,
            b = inout(reg) pixels[1] => _,
            c = inout(reg) pixels[2] => _,
            d = inout(reg) pixels[3] => _,
            weights = inout(reg) weights => _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _,
            out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            inout("v16") *a0, inout("v17") *a1, inout("v18") *a2, inout("v19") *a3,
            inout("v20") *b0, inout("v21") *b1, inout("v22") *b2, inout("v23") *b3,
            inout("v24") *c0, inout("v25") *c1, inout("v26") *c2, inout("v27") *c3,
            inout("v28") *d0, inout("v29") *d1, inout("v30") *d2, inout("v31") *d3,
            options(readonly, nostack)
        );
    }
    sums
}

//! The inner loop of matrix kernels on Armv6-M: four pixels times a pair of output channels.
//!
//! MULS of two pixels, `first + 2^16 × second`, and a weight gives two products; two such are added, with 2^15 so that the low
//! half is not negative. The high half is then the second pixel's part. Per pair of pixels two sums are kept: that of the
//! words, and that of their high halves, from which the first pixel's sum follows. In assembly, because sums live in the
//! high registers, which the compiler does not use.

use super::matrix::Job;
use crate::layout::cortex_m3::PIXELS;
use core::arch::naked_asm;

/// Two inputs of four pixels: both inputs of pixels 0 and 1, then both of pixels 2 and 3.
pub type PairOfInputs = [u32; 4];

/// Packs two inputs of four pixels.
#[inline(always)]
pub fn pack(first: [i8; PIXELS], second: [i8; PIXELS]) -> PairOfInputs {
    let both = |a: i8, b: i8| (a as i32 + ((b as i32) << 16)) as u32;
    let ([a, b, c, d], [e, f, g, h]) = (first, second);
    [both(a, b), both(e, f), both(c, d), both(g, h)]
}

/// Two inputs of two pixels. r0, r1: weights, r7: inputs.
macro_rules! two_pixels {
    ($words:literal, $halves:literal) => {
        concat!(
            "ldm r7!, {{r2, r3}}
             muls r2, r0, r2
             muls r3, r1, r3
             adds r2, r2, r3
             add r2, r12
             add ",
            $words,
            ", r2
             asrs r2, r2, #16
             add ",
            $halves,
            ", r2
            "
        )
    };
}

/// Two inputs of four pixels. r4: where they are, counted from the end of the weights.
macro_rules! two_inputs {
    () => {
        concat!(
            "ldrsb r0, [r5, r4]
             ldrsb r1, [r6, r4]
            ",
            two_pixels!("r8", "r9"),
            two_pixels!("r10", "r11"),
            "adds r4, r4, #4\n",
        )
    };
}

/// One channel of the pair, its first weight at r5.
macro_rules! channel {
    () => {
        concat!(
            // r8 and r10 start at −2^15 for every two inputs, of which the weights take four bytes.
            "ldr r4, [r1, #28]
             lsls r0, r4, #13
             rsbs r0, r0, #0
             mov r8, r0
             mov r10, r0
             movs r0, #0
             mov r9, r0
             mov r11, r0
             ldr r7, [r1, #20]
             adds r5, r5, r4
             adds r6, r5, #2
             rsbs r4, r4, #0
             1:
            ",
            two_inputs!(),
            two_inputs!(),
            "bne 1b
             ldr r2, [sp]
             ldr r1, [sp, #4]
             mov r4, r9
             lsls r3, r4, #16
             mov r0, r8
             subs r3, r0, r3
             mov r6, r11
             lsls r0, r6, #16
             mov r7, r10
             subs r0, r7, r0
             stm r2!, {{r3, r4}}
             stm r2!, {{r0, r6}}
             str r2, [sp]
            "
        )
    };
}

/// Four pixels, one pair of channels: the sums of each channel's four pixels. Of the job only the inputs count.
///
/// # Safety
///
/// `weights` are those of a pair for as many inputs as there are from `inputs` to `inputs_end`, a positive multiple of four,
/// and as `weights_len` says.
#[unsafe(naked)]
pub unsafe extern "C" fn four_pixels_sums(weights: *const u8, job: &Job, sums: &mut [[i32; PIXELS]; 2]) {
    naked_asm!(concat!(
        "push {{r4-r7, lr}}
         mov r4, r8
         mov r5, r9
         mov r6, r10
         mov r7, r11
         push {{r4-r7}}
         sub sp, sp, #16
         str r2, [sp]
         str r1, [sp, #4]
         str r0, [sp, #8]
         movs r3, #1
         lsls r3, r3, #15
         mov r12, r3
         mov r5, r0
        ",
        channel!(),
        "ldr r5, [sp, #8]
         adds r5, r5, #1
        ",
        channel!(),
        "add sp, sp, #16
         pop {{r4-r7}}
         mov r8, r4
         mov r9, r5
         mov r10, r6
         mov r11, r7
         pop {{r4-r7, pc}}
        "
    ))
}

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

/// Two inputs of pixels 0 and 1 alone.
macro_rules! two_inputs_of_two {
    () => {
        concat!(
            "ldrsb r0, [r5, r4]
             ldrsb r1, [r6, r4]
            ",
            two_pixels!("r8", "r9"),
            "adds r7, r7, #8
             adds r4, r4, #4
            ",
        )
    };
}

/// From the sums of words and of high halves to those of the first and of the second pixel.
macro_rules! take_apart {
    ($words:literal, $halves:literal) => {
        concat!(
            "mov r0, ",
            $words,
            "\nmov r1, ",
            $halves,
            "
             lsls r1, r1, #16
             subs r0, r0, r1
             mov ",
            $words,
            ", r0\n"
        )
    };
}

/// A sum becomes an output of the pixel whose outputs start at the address at `$outputs`. r4, r5: the multiplier's halves,
/// r6: rounding and zero point, r7: right shift, r12: 2^15, lr: the channel's number.
macro_rules! requantize {
    ($sum:literal, $outputs:literal, $ties:tt) => {
        concat!(
            "mov r0, ",
            $sum,
            "\nadds r0, r0, r0\n",
            halves!($ties, "r0", "r1"),
            "mov r2, r4
             muls r2, r1, r2
            ",
            upper_half!($ties, "r2"),
            "muls r1, r5, r1
             adds r1, r1, r2
             mov r2, r4
             muls r2, r0, r2
             adds r1, r1, r2
             add r1, r12
            ",
            upper_half!($ties, "r1"),
            "muls r0, r5, r0
             adds r0, r0, r1
            ",
            ties!($ties, "r0", "r1"),
            "adds r0, r0, r6
             asrs r0, r0, r7
            ",
            saturate!($ties, "r0", "r1"),
            "mov r2, lr
             ldr r3, [sp, #",
            $outputs,
            "]
             strb r0, [r3, r2]
            "
        )
    };
}

macro_rules! requantize_four {
    ($ties:tt) => {
        concat!(
            requantize!("r8", "0", $ties),
            requantize!("r9", "4", $ties),
            requantize!("r10", "8", $ties),
            requantize!("r11", "12", $ties),
        )
    };
}

macro_rules! requantize_two {
    ($ties:tt) => {
        concat!(requantize!("r8", "0", $ties), requantize!("r9", "4", $ties))
    };
}

macro_rules! take_four_apart {
    () => {
        concat!(take_apart!("r8", "r9"), take_apart!("r10", "r11"))
    };
}

macro_rules! take_two_apart {
    () => {
        take_apart!("r8", "r9")
    };
}

/// Channel 0 or 1 of a pair. Sums start from the bias; the words' sum makes up for 2^15 for every two inputs, of which the
/// weights take four bytes.
macro_rules! channel {
    ($channel:literal, $two_inputs:ident, $take_apart:ident, $requantize:ident, $ties:tt) => {
        concat!(
            "ldr r5, [sp, #32]
             ldr r4, [sp, #28]
             adds r5, r5, r4
             ldr r3, [r5, #16 * ",
            $channel,
            "]
             asrs r3, r3, #1
             mov r9, r3
             mov r11, r3
             lsls r0, r4, #13
             lsls r2, r3, #16
             adds r2, r2, r3
             subs r2, r2, r0
             mov r8, r2
             mov r10, r2
             adds r5, r5, #",
            $channel,
            "
             adds r6, r5, #2
             rsbs r4, r4, #0
             ldr r7, [sp, #20]
             1:
            ",
            $two_inputs!(),
            $two_inputs!(),
            "bne 1b\n",
            $take_apart!(),
            "subs r5, r5, #",
            $channel,
            "
             ldr r6, [r5, #16 * ",
            $channel,
            " + 8]
             ldr r7, [r5, #16 * ",
            $channel,
            " + 12]
             ldr r5, [r5, #16 * ",
            $channel,
            " + 4]
             uxth r4, r5
             lsrs r5, r5, #16
            ",
            $requantize!($ties),
            "mov r0, lr
             adds r0, r0, #1
             mov lr, r0
            "
        )
    };
}

macro_rules! pixels_function {
    ($name:ident, $pixels:literal, $two_inputs:ident, $take_apart:ident, $requantize:ident, $ties:tt) => {
        #[doc = $pixels]
        /// of all pairs of channels from `constants` to the job's end.
        ///
        /// # Safety
        ///
        /// `constants` to `constants_end` is a positive whole number of pairs for as many inputs as there are from `inputs`
        /// to `inputs_end`, a positive multiple of four, and as `weights_len` says; each output has room for two values a
        /// pair.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(constants: *const u8, job: &Job) {
            naked_asm!(concat!(
                "push {{r4-r7, lr}}
                 mov r4, r8
                 mov r5, r9
                 mov r6, r10
                 mov r7, r11
                 push {{r4-r7}}
                 sub sp, sp, #36
                 mov r2, sp
                 ldm r1!, {{r3-r6}}
                 stm r2!, {{r3-r6}}
                 ldm r1!, {{r3-r6}}
                 stm r2!, {{r3-r6}}
                 str r0, [sp, #32]
                 movs r3, #1
                 lsls r3, r3, #15
                 mov r12, r3
                 movs r3, #0
                 mov lr, r3
                 4:
                ",
                channel!("0", $two_inputs, $take_apart, $requantize, $ties),
                channel!("1", $two_inputs, $take_apart, $requantize, $ties),
                "ldr r0, [sp, #32]
                 ldr r1, [sp, #28]
                 adds r0, r0, r1
                 adds r0, r0, #32
                 str r0, [sp, #32]
                 ldr r1, [sp, #16]
                 cmp r0, r1
                 beq 5f
                 b 4b
                 5:
                 add sp, sp, #36
                 pop {{r4-r7}}
                 mov r8, r4
                 mov r9, r5
                 mov r10, r6
                 mov r11, r7
                 pop {{r4-r7, pc}}
                "
            ))
        }
    };
}

pixels_function!(
    four_pixels_signed,
    "Four pixels",
    two_inputs,
    take_four_apart,
    requantize_four,
    signed
);
pixels_function!(
    four_pixels_rectified,
    "Four pixels",
    two_inputs,
    take_four_apart,
    requantize_four,
    rectified
);
pixels_function!(
    two_pixels_signed,
    "Pixels 0 and 1",
    two_inputs_of_two,
    take_two_apart,
    requantize_two,
    signed
);
pixels_function!(
    two_pixels_rectified,
    "Pixels 0 and 1",
    two_inputs_of_two,
    take_two_apart,
    requantize_two,
    rectified
);

/// One channel of the pair, its first weight at r5.
macro_rules! sums_of_channel {
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
        sums_of_channel!(),
        "ldr r5, [sp, #8]
         adds r5, r5, #1
        ",
        sums_of_channel!(),
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

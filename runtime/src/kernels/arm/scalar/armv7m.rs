//! The inner loops of matrix kernels on Armv7-M: four pixels times pairs of output channels.
//!
//! SMLAL of two pixels, `first + 2^23 × second`, and a weight adds to two sums at once: those of the first pixel in the low
//! 23 bits of the 64, as a signed number, and those of the second above. They are whole functions in assembly because they
//! need 14 registers, more than the compiler lets go of.

use super::matrix::Job;
use crate::layout::cortex_m3::PIXELS;
use core::arch::naked_asm;

/// Two inputs of four pixels: pixels 0 and 1, then 2 and 3, of the first input, then of the second.
pub type PairOfInputs = [u32; 4];

/// Packs two inputs of four pixels.
#[inline(always)]
pub fn pack(first: [i8; PIXELS], second: [i8; PIXELS]) -> PairOfInputs {
    let both = |a: i8, b: i8| (a as i32 + ((b as i32) << 23)) as u32;
    let ([a, b, c, d], [e, f, g, h]) = (first, second);
    [both(a, b), both(c, d), both(e, f), both(g, h)]
}

/// One input, eight multiply-accumulates. Sums are (r0, r1) and (r2, r3) for the first channel, (r4, r5) and (r6, r7) for
/// the second. r12: weights, lr: inputs.
macro_rules! input {
    ($multiply:literal) => {
        concat!(
            "ldrd r8, r9, [lr], #8
             ldrsb r10, [r12], #1
            ",
            $multiply,
            " r0, r1, r8, r10\n",
            $multiply,
            " r2, r3, r9, r10\n",
            "ldrsb r10, [r12], #1\n",
            $multiply,
            " r4, r5, r8, r10\n",
            $multiply,
            " r6, r7, r9, r10\n",
        )
    };
}

/// The same of pixels 0 and 1 alone: four multiply-accumulates.
macro_rules! input_of_two {
    ($multiply:literal) => {
        concat!(
            "ldr r8, [lr], #8
             ldrsb r10, [r12], #1
            ",
            $multiply,
            " r0, r1, r8, r10\n",
            "ldrsb r10, [r12], #1\n",
            $multiply,
            " r4, r5, r8, r10\n",
        )
    };
}

/// The loop over a multiple of four inputs.
macro_rules! inputs {
    ($input:ident) => {
        concat!(
            "ldrd lr, r11, [sp, #20]\n",
            $input!("smull"),
            $input!("smlal"),
            $input!("smlal"),
            $input!("smlal"),
            "cmp lr, r11
             beq 3f
             2:
            ",
            $input!("smlal"),
            $input!("smlal"),
            $input!("smlal"),
            $input!("smlal"),
            "cmp lr, r11
             bne 2b
             3:
            ",
        )
    };
}

/// Takes two sums apart, doubles them and adds `r8`: `$low` and `$high` become those of the first and of the second pixel.
/// Twice the second sum is the 64 bits without their low 22, less what a negative first sum has borrowed.
macro_rules! take_apart {
    ($low:literal, $high:literal, $bias:literal) => {
        concat!(
            "sbfx lr, ",
            $low,
            ", #0, #23\n",
            "lsr ",
            $low,
            ", ",
            $low,
            ", #22\n",
            "add ",
            $high,
            ", ",
            $low,
            ", ",
            $high,
            ", lsl #10\n",
            "add ",
            $high,
            ", ",
            $high,
            ", lr, lsr #31\n",
            "add ",
            $high,
            ", ",
            $high,
            ", ",
            $bias,
            "\n",
            "add ",
            $low,
            ", ",
            $bias,
            ", lr, lsl #1\n",
        )
    };
}

/// Twice a sum becomes an output. r9: multiplier, r10: rounding and zero point, r11: right shift.
macro_rules! requantize {
    ($sum:literal, $ties:tt) => {
        concat!(
            "smull lr, ",
            $sum,
            ", ",
            $sum,
            ", r9\n",
            ties!($ties, $sum),
            "lsls lr, lr, #1\n",
            "adc ",
            $sum,
            ", ",
            $sum,
            ", r10\n",
            "asr ",
            $sum,
            ", ",
            $sum,
            ", r11\n",
            "ssat ",
            $sum,
            ", #8, ",
            $sum,
            "\n",
        )
    };
}

macro_rules! ties {
    (signed, $sum:literal) => {
        concat!("add ", $sum, ", ", $sum, ", ", $sum, ", asr #31\n")
    };
    (rectified, $sum:literal) => {
        ""
    };
}

macro_rules! four_pixels_function {
    ($name:ident, $ties:tt) => {
        /// Four pixels, all pairs of channels from `constants` to the job's end.
        ///
        /// # Safety
        ///
        /// `constants` to `constants_end` is a positive whole number of pairs for as many inputs as there are from `inputs`
        /// to `inputs_end`, a positive multiple of four; each output has room for two values a pair.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(constants: *const u8, job: &Job) {
            naked_asm!(concat!(
                // The job is copied onto the stack, where one register less addresses it.
                "push {{r4-r11, lr}}
                 mov r12, r0
                 sub sp, sp, #28
                 ldm r1, {{r2-r8}}
                 stm sp, {{r2-r8}}
                 1:
                ",
                inputs!(input),
                "ldm r12!, {{r8-r11}}\n",
                take_apart!("r0", "r1", "r8"),
                take_apart!("r2", "r3", "r8"),
                requantize!("r0", $ties),
                requantize!("r1", $ties),
                requantize!("r2", $ties),
                requantize!("r3", $ties),
                "ldm r12!, {{r8-r11}}\n",
                take_apart!("r4", "r5", "r8"),
                take_apart!("r6", "r7", "r8"),
                requantize!("r4", $ties),
                requantize!("r5", $ties),
                requantize!("r6", $ties),
                requantize!("r7", $ties),
                "ldm sp, {{r8-r11, lr}}
                 strb r0, [r8], #1
                 strb r4, [r8], #1
                 strb r1, [r9], #1
                 strb r5, [r9], #1
                 strb r2, [r10], #1
                 strb r6, [r10], #1
                 strb r3, [r11], #1
                 strb r7, [r11], #1
                 stm sp, {{r8-r11}}
                 cmp r12, lr
                 bne 1b
                 add sp, sp, #28
                 pop {{r4-r11, pc}}
                "
            ))
        }
    };
}

macro_rules! two_pixels_function {
    ($name:ident, $ties:tt) => {
        /// Pixels 0 and 1, all pairs of channels from `constants` to the job's end.
        ///
        /// # Safety
        ///
        /// As of four pixels; only the first two outputs are written.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(constants: *const u8, job: &Job) {
            naked_asm!(concat!(
                "push {{r4-r11, lr}}
                 mov r12, r0
                 sub sp, sp, #28
                 ldm r1, {{r2-r8}}
                 stm sp, {{r2-r8}}
                 1:
                ",
                inputs!(input_of_two),
                "ldm r12!, {{r8-r11}}\n",
                take_apart!("r0", "r1", "r8"),
                requantize!("r0", $ties),
                requantize!("r1", $ties),
                "ldm r12!, {{r8-r11}}\n",
                take_apart!("r4", "r5", "r8"),
                requantize!("r4", $ties),
                requantize!("r5", $ties),
                "ldrd r8, r9, [sp]
                 ldr lr, [sp, #16]
                 strb r0, [r8], #1
                 strb r4, [r8], #1
                 strb r1, [r9], #1
                 strb r5, [r9], #1
                 strd r8, r9, [sp]
                 cmp r12, lr
                 bne 1b
                 add sp, sp, #28
                 pop {{r4-r11, pc}}
                "
            ))
        }
    };
}

two_pixels_function!(two_pixels_signed, signed);
two_pixels_function!(two_pixels_rectified, rectified);
four_pixels_function!(four_pixels_signed, signed);
four_pixels_function!(four_pixels_rectified, rectified);

/// Four pixels, one pair of channels: the sums of each channel's four pixels. Of the job only the inputs count.
///
/// # Safety
///
/// `weights` are those of a pair for as many inputs as there are from `inputs` to `inputs_end`, a positive multiple of four.
#[unsafe(naked)]
pub unsafe extern "C" fn four_pixels_sums(weights: *const u8, job: &Job, sums: &mut [[i32; PIXELS]; 2]) {
    naked_asm!(concat!(
        "push {{r4-r11, lr}}
         mov r12, r0
         mov r0, r2
         sub sp, sp, #28
         ldm r1, {{r2-r8}}
         stm sp, {{r2-r8}}
         str r0, [sp]
        ",
        inputs!(input),
        "mov r8, #0\n",
        take_apart!("r0", "r1", "r8"),
        take_apart!("r2", "r3", "r8"),
        take_apart!("r4", "r5", "r8"),
        take_apart!("r6", "r7", "r8"),
        "asr r0, r0, #1
         asr r1, r1, #1
         asr r2, r2, #1
         asr r3, r3, #1
         asr r4, r4, #1
         asr r5, r5, #1
         asr r6, r6, #1
         asr r7, r7, #1
         ldr r8, [sp]
         stm r8, {{r0-r7}}
         add sp, sp, #28
         pop {{r4-r11, pc}}
        "
    ))
}

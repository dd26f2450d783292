//! The inner loops of matrix kernels: one or two pixels times groups of four output channels.
//!
//! They are whole functions in assembly because they need 14 registers, more than the compiler lets go of.

use core::arch::naked_asm;

/// What the loops read and update. They address its fields by number.
#[repr(C)]
pub struct Job {
    /// The output's zero point.
    pub zero_point: i32,
    /// Where the first pixel's outputs go.
    pub output: *mut i8,
    /// Where the second pixel's outputs go.
    pub second_output: *mut i8,
    /// The end of the last group's constants.
    pub constants_end: *const u8,
    /// The first widened inputs.
    pub inputs: *const u32,
    /// The end of the widened inputs, a multiple of [`ALIGN`](crate::layout::cortex_m4::ALIGN).
    pub inputs_end: *const u32,
}

/// Two pixels, two pairs of inputs: 16 multiply-accumulates into r0–r3 and r4–r7. r12: weights, lr: inputs.
/// `$first` and `$last` open and close the first four accumulations, so that SMUAD can start from nothing.
macro_rules! two_pixels {
    (start) => {
        "ldrd r8, r9, [r12], #8
         ldrd r10, r11, [lr], #8
         smuad r1, r10, r8
         smuad r5, r11, r8
         sxtb16 r8, r8
         smuad r3, r10, r9
         smuad r7, r11, r9
         sxtb16 r9, r9
         smuad r0, r10, r8
         smuad r4, r11, r8
         smuad r2, r10, r9
         smuad r6, r11, r9
        "
    };
    (go_on) => {
        "ldrd r8, r9, [r12], #8
         ldrd r10, r11, [lr], #8
         smlad r1, r10, r8, r1
         smlad r5, r11, r8, r5
         sxtb16 r8, r8
         smlad r3, r10, r9, r3
         smlad r7, r11, r9, r7
         sxtb16 r9, r9
         smlad r0, r10, r8, r0
         smlad r4, r11, r8, r4
         smlad r2, r10, r9, r2
         smlad r6, r11, r9, r6
        "
    };
}

/// One pixel, four inputs: 16 multiply-accumulates into r0–r3.
macro_rules! one_pixel {
    (start) => {
        "ldm r12!, {{r4, r5, r6, r7}}
         ldrd r8, r9, [lr], #8
         smuad r1, r8, r4
         smuad r3, r8, r5
         sxtb16 r4, r4
         sxtb16 r5, r5
         smuad r0, r8, r4
         smuad r2, r8, r5
        "
    };
    (go_on) => {
        "ldm r12!, {{r4, r5, r6, r7}}
         ldrd r8, r9, [lr], #8
         smlad r1, r8, r4, r1
         smlad r3, r8, r5, r3
         sxtb16 r4, r4
         sxtb16 r5, r5
         smlad r0, r8, r4, r0
         smlad r2, r8, r5, r2
        "
    };
    (second_half) => {
        "smlad r1, r9, r6, r1
         smlad r3, r9, r7, r3
         sxtb16 r6, r6
         sxtb16 r7, r7
         smlad r0, r9, r6, r0
         smlad r2, r9, r7, r2
        "
    };
}

/// The loop over inputs of two pixels, eight inputs a turn. The inputs end at a multiple of 256, so whether the number of
/// quadruples left is odd, and whether the end may be reached, shows in the low bits of their address.
macro_rules! two_pixels_loop {
    () => {
        concat!(
            two_pixels!(start),
            two_pixels!(go_on),
            "lsls r8, lr, #27
             bmi 3f
             lsls r8, lr, #24
             beq 4f
             2:
            ",
            two_pixels!(go_on),
            two_pixels!(go_on),
            "3:",
            two_pixels!(go_on),
            two_pixels!(go_on),
            "lsls r8, lr, #24
             bne 2b
             4:
             ldr r8, [sp, #20]
             cmp lr, r8
             bne 2b
            "
        )
    };
}

/// The same of one pixel.
macro_rules! one_pixel_loop {
    () => {
        concat!(
            one_pixel!(start),
            one_pixel!(second_half),
            "lsls r8, lr, #28
             bmi 3f
             lsls r8, lr, #24
             beq 4f
             2:
            ",
            one_pixel!(go_on),
            one_pixel!(second_half),
            "3:",
            one_pixel!(go_on),
            one_pixel!(second_half),
            "lsls r8, lr, #24
             bne 2b
             4:
             ldr r8, [sp, #20]
             cmp lr, r8
             bne 2b
            "
        )
    };
}

/// Adds the bias of an even (`lsl #1`) or odd (`asr #7`, of 256 times the sum) channel to a sum, doubling it, multiplies, rounds twice,
/// adds the zero point and saturates. r8: bias, r9: multiplier, r10: power of two, r11: zero point.
/// SMMULR of twice the sum is the doubling high multiply; SMMLAR by 2^(32 − s) is the right shift that rounds half up, to
/// which `$ties`, one less for negative values, gives ties away from zero.
macro_rules! requantize {
    ($sum:literal, $doubling:literal, $ties:tt) => {
        concat!(
            "add ",
            $sum,
            ", r8, ",
            $sum,
            ", ",
            $doubling,
            "\n",
            "smmulr ",
            $sum,
            ", ",
            $sum,
            ", r9\n",
            ties!($ties, $sum),
            "smmlar ",
            $sum,
            ", ",
            $sum,
            ", r10, r11\n",
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

macro_rules! two_pixels_function {
    ($name:ident, $ties:tt) => {
        /// Two pixels, all groups from `constants` to the job's end.
        ///
        /// # Safety
        ///
        /// `constants` to `constants_end` is a whole number of groups for as many inputs as there are from `inputs` to
        /// `inputs_end` (a positive multiple of 16 bytes); both outputs have room for four values a group.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(constants: *const u8, job: &Job) {
            naked_asm!(concat!(
                ".cpu cortex-m4\n",
                // The job is copied onto the stack, where one register less addresses it.
                "push {{r4-r11, lr}}
                 mov r12, r0
                 sub sp, sp, #28
                 ldm r1, {{r4-r9}}
                 stm sp, {{r4-r9}}
                 mov lr, r8
                 1:
                ",
                two_pixels_loop!(),
                "sub r1, r1, r0
                 sub r5, r5, r4
                 sub r3, r3, r2
                 sub r7, r7, r6
                 ldrd r11, lr, [sp]
                 ldm r12!, {{r8, r9, r10}}
                ",
                requantize!("r0", "lsl #1", $ties),
                "strb r0, [lr], #1\n",
                requantize!("r4", "lsl #1", $ties),
                "ldr r0, [sp, #8]
                 strb r4, [r0], #1
                 ldm r12!, {{r8, r9, r10}}
                ",
                requantize!("r1", "asr #7", $ties),
                "strb r1, [lr], #1\n",
                requantize!("r5", "asr #7", $ties),
                "strb r5, [r0], #1
                 ldm r12!, {{r8, r9, r10}}
                ",
                requantize!("r2", "lsl #1", $ties),
                "strb r2, [lr], #1\n",
                requantize!("r6", "lsl #1", $ties),
                "strb r6, [r0], #1
                 ldm r12!, {{r8, r9, r10}}
                ",
                requantize!("r3", "asr #7", $ties),
                "strb r3, [lr], #1\n",
                requantize!("r7", "asr #7", $ties),
                "strb r7, [r0], #1
                 strd lr, r0, [sp, #4]
                 ldrd r0, lr, [sp, #12]
                 cmp r12, r0
                 bne 1b
                 add sp, sp, #28
                 pop {{r4-r11, pc}}
                "
            ))
        }
    };
}

macro_rules! one_pixel_function {
    ($name:ident, $ties:tt) => {
        /// One pixel, all groups from `constants` to the job's end.
        ///
        /// # Safety
        ///
        /// As of two pixels, with a positive multiple of 8 bytes of inputs and one output.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(constants: *const u8, job: &Job) {
            naked_asm!(concat!(
                ".cpu cortex-m4\n",
                "push {{r4-r11, lr}}
                 mov r12, r0
                 sub sp, sp, #28
                 ldm r1, {{r4-r9}}
                 stm sp, {{r4-r9}}
                 mov lr, r8
                 1:
                ",
                one_pixel_loop!(),
                "sub r1, r1, r0
                 sub r3, r3, r2
                 ldrd r11, lr, [sp]
                 ldm r12!, {{r8, r9, r10}}
                ",
                requantize!("r0", "lsl #1", $ties),
                "strb r0, [lr], #1
                 ldm r12!, {{r8, r9, r10}}
                ",
                requantize!("r1", "asr #7", $ties),
                "strb r1, [lr], #1
                 ldm r12!, {{r8, r9, r10}}
                ",
                requantize!("r2", "lsl #1", $ties),
                "strb r2, [lr], #1
                 ldm r12!, {{r8, r9, r10}}
                ",
                requantize!("r3", "asr #7", $ties),
                "strb r3, [lr], #1
                 str lr, [sp, #4]
                 ldrd r0, lr, [sp, #12]
                 cmp r12, r0
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
one_pixel_function!(one_pixel_signed, signed);
one_pixel_function!(one_pixel_rectified, rectified);

/// Two pixels, one group: the eight sums (first pixel's channels, then the second's) into `sums`. Of the job only the
/// inputs count. Returns the end of the weights.
///
/// # Safety
///
/// `weights` are those of a group for as many inputs as there are from `inputs` to `inputs_end`, a positive multiple of
/// 16 bytes.
#[unsafe(naked)]
pub unsafe extern "C" fn two_pixels_sums(weights: *const u8, job: &Job, sums: &mut [i32; 8]) {
    naked_asm!(concat!(
        ".cpu cortex-m4\n",
        "push {{r4-r11, lr}}
         mov r12, r0
         sub sp, sp, #28
         ldm r1, {{r4-r9}}
         stm sp, {{r4-r9}}
         str r2, [sp]
         mov lr, r8
        ",
        two_pixels_loop!(),
        "sub r1, r1, r0
         asr r1, r1, #8
         sub r5, r5, r4
         asr r5, r5, #8
         sub r3, r3, r2
         asr r3, r3, #8
         sub r7, r7, r6
         asr r7, r7, #8
         ldr r8, [sp]
         stm r8, {{r0-r7}}
         add sp, sp, #28
         pop {{r4-r11, pc}}
        "
    ))
}

/// One pixel, one group: the four sums into the first half of `sums`.
///
/// # Safety
///
/// As of two pixels, with a positive multiple of 8 bytes of inputs.
#[unsafe(naked)]
pub unsafe extern "C" fn one_pixel_sums(weights: *const u8, job: &Job, sums: &mut [i32; 8]) {
    naked_asm!(concat!(
        ".cpu cortex-m4\n",
        "push {{r4-r11, lr}}
         mov r12, r0
         sub sp, sp, #28
         ldm r1, {{r4-r9}}
         stm sp, {{r4-r9}}
         str r2, [sp]
         mov lr, r8
        ",
        one_pixel_loop!(),
        "sub r1, r1, r0
         asr r1, r1, #8
         sub r3, r3, r2
         asr r3, r3, #8
         ldr r8, [sp]
         stm r8, {{r0-r3}}
         add sp, sp, #28
         pop {{r4-r11, pc}}
        "
    ))
}

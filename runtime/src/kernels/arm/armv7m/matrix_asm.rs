//! The inner loop of matrix kernels: two pixels times groups of four output channels.

use core::arch::naked_asm;

/// What the loop reads and updates. It addresses its fields by number.
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
    /// The widened inputs, the two pixels' values in turn.
    pub inputs: *const i32,
    /// The end of the widened inputs.
    pub inputs_end: *const i32,
}

/// One input of two pixels: 8 multiply-accumulates into r0–r3 and r4–r7. r12: weights, lr: inputs.
macro_rules! input {
    () => {
        "ldrd r8, r9, [lr], #8
         ldrsb r10, [r12], #1
         mla r0, r8, r10, r0
         mla r4, r9, r10, r4
         ldrsb r10, [r12], #1
         mla r1, r8, r10, r1
         mla r5, r9, r10, r5
         ldrsb r10, [r12], #1
         mla r2, r8, r10, r2
         mla r6, r9, r10, r6
         ldrsb r10, [r12], #1
         mla r3, r8, r10, r3
         mla r7, r9, r10, r7
        "
    };
}

/// All inputs, of which there is a multiple of four, into the eight sums.
macro_rules! sums {
    () => {
        concat!(
            "ldrd lr, r11, [sp, #16]
             movs r0, #0
             movs r1, #0
             movs r2, #0
             movs r3, #0
             movs r4, #0
             movs r5, #0
             movs r6, #0
             movs r7, #0
             2:
            ",
            input!(),
            input!(),
            input!(),
            input!(),
            "cmp lr, r11
             bne 2b
            "
        )
    };
}

/// One channel of both pixels. A doubled sum times the multiplier, its high word rounded by the highest bit of the low
/// one, is the doubling high multiply; times 2^(32 − s) likewise, it is the right shift that rounds half up, to which
/// `$ties`, one less for negative values, gives ties away from zero.
macro_rules! requantize {
    ($first:literal, $second:literal, $ties:tt) => {
        concat!(
            "ldm r12!, {{r8, r9, r10}}\n",
            "add ",
            $first,
            ", r8, ",
            $first,
            ", lsl #1\n",
            "add ",
            $second,
            ", r8, ",
            $second,
            ", lsl #1\n",
            one!($first, $ties),
            "strb ",
            $first,
            ", [lr], #1\n",
            one!($second, $ties),
        )
    };
}

macro_rules! one {
    ($sum:literal, $ties:tt) => {
        concat!(
            "smull r8, ",
            $sum,
            ", ",
            $sum,
            ", r9\n",
            "add ",
            $sum,
            ", ",
            $sum,
            ", r8, lsr #31\n",
            ties!($ties, $sum),
            "smull r8, ",
            $sum,
            ", ",
            $sum,
            ", r10\n",
            "add ",
            $sum,
            ", ",
            $sum,
            ", r8, lsr #31\n",
            "add ",
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

macro_rules! function {
    ($name:ident, $ties:tt) => {
        /// Two pixels, all groups from `constants` to the job's end.
        ///
        /// # Safety
        ///
        /// `constants` to `constants_end` is a whole number of groups for as many inputs as there are from `inputs` to
        /// `inputs_end` (a positive multiple of 32 bytes); both outputs have room for four values a group.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(constants: *const u8, job: &Job) {
            naked_asm!(concat!(
                "push {{r4-r11, lr}}
                 mov r12, r0
                 sub sp, sp, #28
                 ldm r1, {{r4-r9}}
                 stm sp, {{r4-r9}}
                 1:
                ",
                sums!(),
                "ldrd r11, lr, [sp]\n",
                requantize!("r0", "r4", $ties),
                "ldr r0, [sp, #8]
                 strb r4, [r0], #1
                ",
                requantize!("r1", "r5", $ties),
                "strb r5, [r0], #1\n",
                requantize!("r2", "r6", $ties),
                "strb r6, [r0], #1\n",
                requantize!("r3", "r7", $ties),
                "strb r7, [r0], #1
                 strd lr, r0, [sp, #4]
                 ldr r0, [sp, #12]
                 cmp r12, r0
                 bne 1b
                 add sp, sp, #28
                 pop {{r4-r11, pc}}
                "
            ))
        }
    };
}

function!(two_pixels_signed, signed);
function!(two_pixels_rectified, rectified);

/// Two pixels, one group: the eight sums (first pixel's channels, then the second's) into `sums`. Of the job only the
/// inputs count.
///
/// # Safety
///
/// `weights` are those of a group for as many inputs as there are from `inputs` to `inputs_end`, a positive multiple of
/// 32 bytes.
#[unsafe(naked)]
pub unsafe extern "C" fn two_pixels_sums(weights: *const u8, job: &Job, sums: &mut [i32; 8]) {
    naked_asm!(concat!(
        "push {{r4-r11, lr}}
         mov r12, r0
         sub sp, sp, #28
         ldm r1, {{r4-r9}}
         stm sp, {{r4-r9}}
         str r2, [sp]
        ",
        sums!(),
        "ldr r8, [sp]
         stm r8, {{r0-r7}}
         add sp, sp, #28
         pop {{r4-r11, pc}}
        "
    ))
}

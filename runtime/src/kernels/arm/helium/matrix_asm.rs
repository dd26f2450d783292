//! The loops of matrix kernels: two pixels times four output channels at a time.
//!
//! They are whole functions in assembly because they need all registers but the stack pointer: VMLADAVA adds to registers of
//! even numbers only, of which there are seven and the link register; and stable code cannot name vector registers.

use core::arch::naked_asm;

/// What the loops read. They address its fields by number.
#[repr(C)]
pub struct Job {
    /// The output's zero point.
    pub zero_point: i32,
    /// Bytes from a pair of pixels' outputs to the next pair's.
    pub output_step: usize,
    /// Bytes from the end of a pixel's last vector of inputs to the start of the pixel two further on.
    pub input_step: usize,
    /// Bytes of a group's weights.
    pub weights_len: usize,
    /// Vectors of inputs after the first.
    pub vectors: usize,
    /// The first pixel.
    pub first: *const i8,
    /// The second pixel.
    pub second: *const i8,
    /// The outputs of the first pixel.
    pub output: *mut i8,
    /// Pairs of pixels, not 0.
    pub pairs: usize,
    /// Groups of channels, not 0.
    pub groups: usize,
    /// Bytes from the first pixel's outputs to the second's, below 2¹⁶.
    pub second_output: usize,
    /// Twice as many as the last group has channels.
    pub last_lanes: usize,
    /// The least output value, in all lanes.
    pub least: [i8; 16],
    /// The greatest output value, in all lanes.
    pub greatest: [i8; 16],
}

/// 16 inputs of two pixels times four channels: r0, r4, r8, r12 are the first pixel's sums, r2, r6, r10, lr the second's.
/// Loads and multiplications take turns, since the processor overlaps those.
macro_rules! vector {
    ($add:literal) => {
        concat!(
            "vldrb.u8 q0, [r3], #16
             vldrb.u8 q2, [r1], #16
             vmladav",
            $add,
            ".s8 r0, q0, q2
             vldrb.u8 q1, [r5], #16
             vmladav",
            $add,
            ".s8 r2, q1, q2
             vldrb.u8 q3, [r1], #16
             vmladav",
            $add,
            ".s8 r4, q0, q3
             vldrb.u8 q2, [r1], #16
             vmladav",
            $add,
            ".s8 r6, q1, q3
             vldrb.u8 q3, [r1], #16
             vmladav",
            $add,
            ".s8 r8, q0, q2
             vmladav",
            $add,
            ".s8 r10, q1, q2
             vmladav",
            $add,
            ".s8 r12, q0, q3
             vmladav",
            $add,
            ".s8 lr, q1, q3
            "
        )
    };
}

/// Shifts sums in q0 and q1 left before they are multiplied: by the shifts in q6 that are positive.
macro_rules! left {
    (wide) => {
        "vmov.i32 q2, #0
         vmax.s32 q2, q2, q6
         vshl.s32 q0, q0, q2
         vshl.s32 q1, q1, q2
        "
    };
    ($rounding:ident) => {
        ""
    };
}

/// Shifts right by the shifts in q6 that are negative. VRSHL rounds half up, to which adding −1 to negative values gives ties
/// away from zero, except where nothing is shifted.
macro_rules! right {
    (wide) => {
        concat!(
            "vmov.i32 q2, #0
             vmin.s32 q2, q2, q6
            ",
            ties!("q2"),
            "vrshl.s32 q0, q0, q2
             vrshl.s32 q1, q1, q2
            "
        )
    };
    (signed) => {
        concat!(
            ties!("q6"),
            "vrshl.s32 q0, q0, q6
             vrshl.s32 q1, q1, q6
            "
        )
    };
    (rectified) => {
        "vrshl.s32 q0, q0, q6
         vrshl.s32 q1, q1, q6
        "
    };
}

macro_rules! ties {
    ($shifts:literal) => {
        concat!(
            "vand q3, q0, ",
            $shifts,
            "
             vshr.s32 q3, q3, #31
             vadd.i32 q0, q0, q3
             vand q3, q1, ",
            $shifts,
            "
             vshr.s32 q3, q3, #31
             vadd.i32 q1, q1, q3
            "
        )
    };
}

macro_rules! clamp {
    (rectified) => {
        ""
    };
    ($rounding:ident) => {
        "vldrw.u32 q2, [sp, #48]
         vldrw.u32 q3, [sp, #64]
         vmax.s8 q0, q0, q2
         vmin.s8 q0, q0, q3
        "
    };
}

/// Outputs of two vectors of sums, biases included, in q0 and q1, by multipliers in q5 and shifts in q6: eight of 8 bits in
/// lanes of 16 bits, of q0 and q1 in turn. r0: the output's zero point. VQRDMULH is the specification's doubling high
/// multiply.
macro_rules! requantize {
    ($rounding:ident) => {
        concat!(
            left!($rounding),
            "vqrdmulh.s32 q0, q0, q5
             vqrdmulh.s32 q1, q1, q5
            ",
            right!($rounding),
            narrow!($rounding)
        )
    };
}

macro_rules! narrow {
    ($rounding:ident) => {
        concat!(
            "vqmovnb.s32 q0, q0
             vqmovnt.s32 q0, q1
             vqadd.s16 q0, q0, r0
             vqmovnb.s16 q0, q0
            ",
            clamp!($rounding)
        )
    };
}

/// Takes the job at r0 onto the stack, where all registers but one are left for the loops.
macro_rules! enter {
    () => {
        "push {{r4-r11, lr}}
         vpush {{d8-d15}}
         sub sp, sp, #80
         ldm r0!, {{r2-r7}}
         stm sp, {{r2-r7}}
         add r12, sp, #24
         ldm r0!, {{r2-r7}}
         stm r12!, {{r2-r7}}
         ldm r0, {{r2-r9}}
         stm r12, {{r2-r9}}
        "
    };
}

macro_rules! leave {
    () => {
        "add sp, sp, #80
         vpop {{d8-d15}}
         pop {{r4-r11, pc}}
        "
    };
}

/// Offsets in q7 of outputs in 16-bit lanes, for `r2` between the two: 0, o, 1, o + 1, 2, o + 2, 3, o + 3.
macro_rules! offsets {
    () => {
        "lsls r2, r2, #16
         vdup.32 q7, r2
         movs r2, #0
         vidup.u32 q6, r2, #1
         mov r2, #0x00010001
         vmul.i32 q6, q6, r2
         vadd.i32 q7, q7, q6
        "
    };
}

macro_rules! function {
    ($name:ident, $rounding:ident, $predicate:literal, $store:literal) => {
        /// The outputs of the job's pairs of pixels, group after group of channels.
        ///
        /// # Safety
        ///
        /// `constants` are those of the job's groups, at a multiple of 4. From the start of each pixel whole vectors of inputs
        /// can be read, one more than the job says. The output has room for four values of each pixel and group (or, if
        /// this function ends with a group that is not full, for as many as that has), those of the second pixel as far
        /// from the first's as the job says.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(job: &Job, constants: *const u8) {
            naked_asm!(concat!(
                ".cpu cortex-m55
                ",
                enter!(),
                "ldr r2, [sp, #40]
                ",
                offsets!(),
                "1:
                 vldrw.u32 q4, [r1], #16
                 vldrw.u32 q5, [r1], #16
                 vldrw.u32 q6, [r1], #16
                 ",
                $predicate,
                "ldrd r3, r5, [sp, #20]
                 ldrd r9, r11, [sp, #28]
                 ldr r7, [sp, #16]
                 2:
                 ",
                vector!(""),
                // Two vectors a turn, after an odd one.
                "lsrs r7, r7, #1
                 bcc 5f
                 ",
                vector!("a"),
                "5:
                 cbz r7, 4f
                 3:
                 ",
                vector!("a"),
                vector!("a"),
                "subs r7, #1
                 bne 3b
                 4:
                 vmov q0[2], q0[0], r0, r8
                 vmov q0[3], q0[1], r4, r12
                 vmov q1[2], q1[0], r2, r10
                 vmov q1[3], q1[1], r6, lr
                 ldm sp, {{r0, r2, r4, r6, r7}}
                 vadd.i32 q0, q0, q4
                 vadd.i32 q1, q1, q4
                ",
                requantize!($rounding),
                $store,
                "add r9, r2
                 add r3, r4
                 add r5, r4
                 subs r1, r1, r6
                 subs r11, #1
                 bne 2b
                 add r1, r6
                 ldr r0, [sp, #28]
                 adds r0, #4
                 str r0, [sp, #28]
                 ldr r0, [sp, #36]
                 subs r0, #1
                 str r0, [sp, #36]
                 bne 1b
                ",
                leave!()
            ))
        }
    };
}

/// 16 inputs of one pixel times eight channels: r0, r4, r8, r12 are the sums of a group, r2, r6, r10, lr those of the next.
macro_rules! single_vector {
    ($add:literal) => {
        concat!(
            "vldrb.u8 q0, [r3], #16
            ",
            single_product!($add, "r0", "q1", "r1"),
            single_product!($add, "r4", "q2", "r1"),
            single_product!($add, "r8", "q3", "r1"),
            single_product!($add, "r12", "q1", "r1"),
            single_product!($add, "r2", "q2", "r5"),
            single_product!($add, "r6", "q3", "r5"),
            single_product!($add, "r10", "q1", "r5"),
            single_product!($add, "lr", "q2", "r5"),
        )
    };
}

macro_rules! single_product {
    ($add:literal, $sum:literal, $weights:literal, $from:literal) => {
        concat!(
            "vldrb.u8 ",
            $weights,
            ", [",
            $from,
            "], #16
             vmladav",
            $add,
            ".s8 ",
            $sum,
            ", q0, ",
            $weights,
            "
            "
        )
    };
}

macro_rules! single_function {
    ($name:ident, $rounding:ident) => {
        /// The outputs of the job's first pixel, two groups of channels at a time, of which there are an even number.
        ///
        /// # Safety
        ///
        /// `constants` are those of the job's groups, at a multiple of 4. From the start of the pixel whole vectors of inputs
        /// can be read, one more than the job says. The output has room for four values of each group.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(job: &Job, constants: *const u8) {
            naked_asm!(concat!(
                ".cpu cortex-m55
                ",
                enter!(),
                "movs r2, #4
                ",
                offsets!(),
                "ldrd r9, r11, [sp, #28]
                 ldr r11, [sp, #36]
                 1:
                 ldr r3, [sp, #20]
                 ldr r7, [sp, #16]
                 ldr r5, [sp, #12]
                 adds r1, #48
                 add r5, r1
                 adds r5, #48
                 ",
                single_vector!(""),
                "cmp r7, #0
                 beq 3f
                 2:
                 ",
                single_vector!("a"),
                "subs r7, #1
                 bne 2b
                 3:
                 vmov q0[2], q0[0], r0, r8
                 vmov q0[3], q0[1], r4, r12
                 vmov q1[2], q1[0], r2, r10
                 vmov q1[3], q1[1], r6, lr
                 ldr r0, [sp]
                 ldr r6, [sp, #12]
                 sub r2, r1, r6
                 sub r4, r5, r6
                 vldrw.u32 q2, [r2, #-48]
                 vadd.i32 q0, q0, q2
                 vldrw.u32 q2, [r4, #-48]
                 vadd.i32 q1, q1, q2
                ",
                single_requantize!($rounding),
                "vstrb.16 q0, [r9, q7]
                 adds r9, #8
                 mov r1, r5
                 subs r11, #2
                 bne 1b
                ",
                leave!()
            ))
        }
    };
}

/// As `requantize`, with multipliers and shifts of q0 before r2, of q1 before r4.
macro_rules! single_requantize {
    ($rounding:ident) => {
        concat!(
            single_scale!($rounding, "q0", "r2"),
            single_scale!($rounding, "q1", "r4"),
            narrow!($rounding)
        )
    };
}

macro_rules! single_scale {
    (wide, $sums:literal, $from:literal) => {
        concat!(
            "vldrw.u32 q6, [",
            $from,
            ", #-16]
             vmov.i32 q2, #0
             vmax.s32 q3, q2, q6
             vmin.s32 q6, q2, q6
             vshl.s32 ",
            $sums,
            ", ",
            $sums,
            ", q3
             vldrw.u32 q5, [",
            $from,
            ", #-32]
             vqrdmulh.s32 ",
            $sums,
            ", ",
            $sums,
            ", q5
             vand q3, ",
            $sums,
            ", q6
             vshr.s32 q3, q3, #31
             vadd.i32 ",
            $sums,
            ", ",
            $sums,
            ", q3
             vrshl.s32 ",
            $sums,
            ", ",
            $sums,
            ", q6
            "
        )
    };
    (signed, $sums:literal, $from:literal) => {
        concat!(
            "vldrw.u32 q5, [",
            $from,
            ", #-32]
             vldrw.u32 q6, [",
            $from,
            ", #-16]
             vqrdmulh.s32 ",
            $sums,
            ", ",
            $sums,
            ", q5
             vand q3, ",
            $sums,
            ", q6
             vshr.s32 q3, q3, #31
             vadd.i32 ",
            $sums,
            ", ",
            $sums,
            ", q3
             vrshl.s32 ",
            $sums,
            ", ",
            $sums,
            ", q6
            "
        )
    };
    (rectified, $sums:literal, $from:literal) => {
        concat!(
            "vldrw.u32 q5, [",
            $from,
            ", #-32]
             vldrw.u32 q6, [",
            $from,
            ", #-16]
             vqrdmulh.s32 ",
            $sums,
            ", ",
            $sums,
            ", q5
             vrshl.s32 ",
            $sums,
            ", ",
            $sums,
            ", q6
            "
        )
    };
}

macro_rules! functions {
    ($whole:ident, $last:ident, $single:ident, $rounding:ident) => {
        single_function!($single, $rounding);
        function!($whole, $rounding, "", "vstrb.16 q0, [r9, q7]\n");
        function!(
            $last,
            $rounding,
            "ldr r0, [sp, #44]
             vctp.16 r0
            ",
            "vpst
             vstrbt.16 q0, [r9, q7]
            "
        );
    };
}

functions!(wide, wide_last, wide_single, wide);
functions!(signed, signed_last, signed_single, signed);
functions!(rectified, rectified_last, rectified_single, rectified);

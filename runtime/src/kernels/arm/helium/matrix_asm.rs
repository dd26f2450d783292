//! The loops of matrix kernels. They are in assembly because the compiler neither keeps six sums in registers nor lets
//! stable code name vector registers. Loops are tail-predicated: no input or output beyond the last is touched.

use core::arch::naked_asm;

/// What [`sum`] reads, in the order in which it loads its registers.
#[repr(C)]
pub struct Job {
    /// The first pixel.
    pub first: *const i8,
    /// The second pixel.
    pub second: *const i8,
    /// All weights.
    pub weights: *const u8,
    /// Values of a pixel.
    pub depth: usize,
    /// Room for the sums of the first pixel, three a group.
    pub first_sums: *mut i32,
    /// Room for the sums of the second pixel.
    pub second_sums: *mut i32,
    /// Groups of three channels.
    pub groups: usize,
}

/// Sums of two pixels' values times weights, for all groups of three channels: 96 multiply-accumulates in 12 instructions.
///
/// # Safety
///
/// The job's pointers are to as much memory as it says; depth and groups are not 0.
#[unsafe(naked)]
pub unsafe extern "C" fn sum(job: &Job) {
    // VMLADAVA adds to registers of even numbers only: r0, r4, r8 are the first pixel's sums, r2, r6, r10 the second's.
    naked_asm!(
        ".cpu cortex-m55
         push {{r4-r11, lr}}
         ldm r0, {{r3, r5, r6, r7, r9, r11, r12}}
         mov r1, r6
         push {{r3, r5}}
         1:
         ldrd r3, r5, [sp]
         movs r0, #0
         movs r2, #0
         movs r4, #0
         movs r6, #0
         mov r8, r0
         mov r10, r0
         dlstp.8 lr, r7
         2:
         vldrb.u8 q0, [r3], #16
         vldrb.u8 q1, [r5], #16
         vldrb.u8 q2, [r1], #16
         vmladava.s8 r0, q0, q2
         vmladava.s8 r2, q1, q2
         vldrb.u8 q3, [r1], #16
         vmladava.s8 r4, q0, q3
         vmladava.s8 r6, q1, q3
         vldrb.u8 q2, [r1], #16
         vmladava.s8 r8, q0, q2
         vmladava.s8 r10, q1, q2
         letp lr, 2b
         stm r9!, {{r0, r4, r8}}
         stm r11!, {{r2, r6, r10}}
         subs r12, r12, #1
         bne 1b
         add sp, sp, #8
         pop {{r4-r11, pc}}
        "
    )
}

/// VQRDMULH is the specification's doubling high multiply; VRSHL by a negative shift rounds half up, to which adding −1 to
/// negative values gives ties away from zero.
macro_rules! requantize_function {
    ($name:ident, $ties:literal) => {
        /// Outputs of `count` sums.
        ///
        /// # Safety
        ///
        /// There are `count` sums, room for as many outputs, and constants of as many channels rounded up to fours.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(
            sums: *const i32,
            constants: *const u8,
            outputs: *mut i8,
            count: usize,
            zero_point: i32,
        ) {
            naked_asm!(concat!(
                ".cpu cortex-m55
                 push {{r4, lr}}
                 ldr r4, [sp, #8]
                 dlstp.32 lr, r3
                 1:
                 vldrw.u32 q0, [r0], #16
                 vldrw.u32 q1, [r1], #16
                 vadd.i32 q0, q0, q1
                 vldrw.u32 q1, [r1], #16
                 vqrdmulh.s32 q0, q0, q1
                ",
                $ties,
                "vldrw.u32 q1, [r1], #16
                 vrshl.s32 q0, q0, q1
                 vadd.i32 q0, q0, r4
                 vqmovnb.s32 q0, q0
                 vqmovnb.s16 q0, q0
                 vstrb.32 q0, [r2], #4
                 letp lr, 1b
                 pop {{r4, pc}}
                "
            ))
        }
    };
}

requantize_function!(
    requantize_signed,
    "vshr.s32 q2, q0, #31
     vadd.i32 q0, q0, q2
    "
);
requantize_function!(requantize_rectified, "");

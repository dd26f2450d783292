//! The inner loops of depthwise convolution: four channels of a band of rows.

use core::arch::naked_asm;

/// What the loops read and update: it becomes their stack frame, whose words they address by number.
#[repr(C)]
#[derive(Clone)]
pub struct Job {
    /// Set by the loops.
    pub bias: [i32; 2],
    /// Set by the loops.
    pub power: i32,
    /// The output's zero point.
    pub zero_point: i32,
    /// Bytes from one pair of columns to the next: 4 × the rows of a plane.
    pub pitch: usize,
    /// Set by the loops.
    pub row_end: usize,
    /// Bytes from one output pixel to the next.
    pub pixel_len: usize,
    /// Set by the loops.
    pub row: [usize; 2],
    /// Set by the loops.
    pub rows_left: usize,
    /// Bytes in a plane from the first row of one window to that of the next window below: 4 × the stride.
    pub row_step: usize,
    /// Bytes from one output row to the next.
    pub output_row_len: usize,
    /// Output rows.
    pub rows: usize,
    /// Bytes from one channel's plane to the next.
    pub plane_len: usize,
    /// Bytes in a plane that all pairs of outputs of a row advance: pairs × stride × pitch.
    pub row_span: usize,
    /// Whether the last pair of outputs has its second.
    pub even: u32,
    /// The first channel's constants.
    pub constants: *const u8,
    /// The first channel's plane.
    pub plane: *const u32,
    /// The first channel's first output.
    pub output: *mut i8,
    /// 4.
    pub channels: usize,
}

/// r0–r5: weights, (w0, w1) and (w1, w2) of each row of the window. r6–r8: inputs. r9, r10: two sums. r11: plane.
/// r12: output. lr: multiplier.
macro_rules! sums {
    // Columns x0 … x3 give two outputs.
    (1) => {
        "ldr r9, [sp, #16]
         ldm r11, {{r6, r7, r8}}
         add r11, r11, r9
         ldrd r9, r10, [sp]
         smlad r9, r6, r0, r9
         smlatb r10, r6, r0, r10
         smlad r9, r7, r2, r9
         smlatb r10, r7, r2, r10
         smlad r9, r8, r4, r9
         smlatb r10, r8, r4, r10
         ldm r11, {{r6, r7, r8}}
         smlabt r9, r6, r1, r9
         smlad r10, r6, r1, r10
         smlabt r9, r7, r3, r9
         smlad r10, r7, r3, r10
         smlabt r9, r8, r5, r9
         smlad r10, r8, r5, r10
        "
    };
    // Columns x0 … x4 give two outputs.
    (2) => {
        "ldr r9, [sp, #16]
         ldm r11, {{r6, r7, r8}}
         add r11, r11, r9
         ldrd r9, r10, [sp]
         smlad r9, r6, r0, r9
         smlad r9, r7, r2, r9
         smlad r9, r8, r4, r9
         ldm r11, {{r6, r7, r8}}
         smlabt r9, r6, r1, r9
         smlad r10, r6, r0, r10
         smlabt r9, r7, r3, r9
         smlad r10, r7, r2, r10
         smlabt r9, r8, r5, r9
         smlad r10, r8, r4, r10
         ldr r6, [sp, #16]
         add r11, r11, r6
         ldm r11, {{r6, r7, r8}}
         smlabt r10, r6, r1, r10
         smlabt r10, r7, r3, r10
         smlabt r10, r8, r5, r10
        "
    };
}

/// See `requantize` of the matrix loops; sums are doubled already.
macro_rules! ties {
    (signed) => {
        "add r9, r9, r9, asr #31
         add r10, r10, r10, asr #31
        "
    };
    (rectified) => {
        ""
    };
}

macro_rules! depthwise_function {
    ($name:ident, $stride:tt, $ties:tt) => {
        /// Four channels.
        ///
        /// # Safety
        ///
        /// Constants, planes and outputs are as large as the job says.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(job: &Job) {
            naked_asm!(concat!(
                ".cpu cortex-m4\n",
                "push {{r4-r11, lr}}
                 sub sp, sp, #84
                 ldm r0!, {{r1-r10}}
                 stm sp, {{r1-r10}}
                 add r11, sp, #40
                 ldm r0!, {{r1-r10}}
                 stm r11, {{r1-r10}}

                 1:
                 ldr r12, [sp, #64]
                 ldm r12!, {{r0-r8}}
                 strd r6, r6, [sp]
                 mov lr, r7
                 str r8, [sp, #8]
                 str r12, [sp, #64]
                 ldrd r11, r12, [sp, #68]
                 ldr r8, [sp, #48]
                 str r8, [sp, #36]
                 5:
                 ldr r6, [sp, #56]
                 strd r11, r12, [sp, #28]
                 add r6, r6, r11
                 str r6, [sp, #20]

                 2:
                ",
                sums!($stride),
                "smmulr r9, r9, lr
                 smmulr r10, r10, lr
                 ldrd r6, r7, [sp, #8]
                ",
                ties!($ties),
                "smmlar r9, r9, r6, r7
                 smmlar r10, r10, r6, r7
                 ldrd r6, r7, [sp, #20]
                 ssat r9, #8, r9
                 ssat r10, #8, r10
                 strb r9, [r12]
                 cmp r11, r6
                 beq 3f
                 strb r10, [r12, r7]
                 add r12, r12, r7, lsl #1
                 b 2b

                 3:
                 ldr r8, [sp, #60]
                 cmp r8, #0
                 beq 4f
                 strb r10, [r12, r7]
                 4:
                 ldr r8, [sp, #36]
                 ldrd r11, r12, [sp, #28]
                 subs r8, r8, #1
                 beq 6f
                 str r8, [sp, #36]
                 ldrd r6, r7, [sp, #40]
                 add r11, r11, r6
                 add r12, r12, r7
                 b 5b

                 6:
                 ldr r8, [sp, #76]
                 subs r8, r8, #1
                 beq 7f
                 str r8, [sp, #76]
                 ldrd r6, r7, [sp, #68]
                 ldr r8, [sp, #52]
                 add r6, r6, r8
                 add r7, r7, #1
                 strd r6, r7, [sp, #68]
                 b 1b

                 7:
                 add sp, sp, #84
                 pop {{r4-r11, pc}}
                "
            ))
        }
    };
}

depthwise_function!(stride_1_signed, 1, signed);
depthwise_function!(stride_1_rectified, 1, rectified);
depthwise_function!(stride_2_signed, 2, signed);
depthwise_function!(stride_2_rectified, 2, rectified);

/// What [`widen_rows`] reads and updates. It addresses the fields by number.
#[repr(C)]
pub struct Widening {
    /// For each row of the planes where the four channels of its first pixel are, and the bytes of a pixel: 0 for a row of
    /// padding, all of whose pixels are the same. Those of other rows are moved on to the next four channels.
    pub rows: *mut [usize; 2],
    /// How many rows.
    pub rows_left: usize,
    /// The first word to write.
    pub to: *mut u32,
    /// Bytes from one pair of columns to the next.
    pub pitch: usize,
    /// Bytes of a plane.
    pub plane_len: usize,
    /// Pairs of columns that lie within the input.
    pub inside: usize,
    /// Whether a pair before them has its second column within the input.
    pub left: usize,
    /// Whether a pair after them has its first column within the input.
    pub right: usize,
    /// Four channels of padding.
    pub zero: u32,
}

/// Widens the words r7 and r8, four channels of neighbouring pixels, into a word in each of four planes. r2: where in the
/// first plane, r3: from one pair of columns to the next, r4: bytes of a plane, r6: those of three.
macro_rules! widen_pair {
    () => {
        "sxtb16 r9, r7
         sxtb16 r7, r7, ror #8
         sxtb16 r10, r8
         sxtb16 r8, r8, ror #8
         pkhbt r11, r9, r10, lsl #16
         pkhtb r9, r10, r9, asr #16
         pkhbt r12, r7, r8, lsl #16
         pkhtb r7, r8, r7, asr #16
         str r11, [r2]
         str r12, [r2, r4]
         str r9, [r2, r4, lsl #1]
         str r7, [r2, r6]
         add r2, r2, r3
        "
    };
}

/// Widens four channels of all rows into planes. Pairs of columns that are padding altogether are left alone.
///
/// # Safety
///
/// There is at least one row. Four bytes can be read at each pixel, and as many pairs of columns written as the job says.
#[unsafe(naked)]
pub unsafe extern "C" fn widen_rows(job: &mut Widening) {
    naked_asm!(concat!(
        ".cpu cortex-m4
         push {{r0, r4-r11, lr}}
         ldrd r3, r4, [r0, #12]
         add r6, r4, r4, lsl #1
         mov r12, r0
         1:
         ldr lr, [r12]
         ldrd r0, r1, [lr]
         cmp r1, #0
         it ne
         addne r7, r0, #4
         it ne
         strne r7, [lr]
         add lr, lr, #8
         str lr, [r12]
         ldr r2, [r12, #8]
         add r7, r2, #4
         str r7, [r12, #8]
         ldrd r5, r7, [r12, #20]
         cmp r7, #0
         beq 2f
         ldr r7, [r12, #32]
         ldr r8, [r0]
         add r0, r0, r1
        ",
        widen_pair!(),
        "2:
         cmp r5, #0
         beq 4f
         3:
         ldr r7, [r0]
         ldr r8, [r0, r1]
         add r0, r0, r1, lsl #1
         subs r5, r5, #1
        ",
        widen_pair!(),
        "bne 3b
         4:
         ldr r12, [sp]
         ldr r7, [r12, #28]
         cmp r7, #0
         beq 5f
         ldr r7, [r0]
         ldr r8, [r12, #32]
        ",
        widen_pair!(),
        "ldr r12, [sp]
         5:
         ldr r7, [r12, #4]
         subs r7, r7, #1
         str r7, [r12, #4]
         bne 1b
         pop {{r0, r4-r11, pc}}
        "
    ))
}

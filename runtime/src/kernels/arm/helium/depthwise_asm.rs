//! The loop of depthwise kernels: 16 channels of a pixel at a time.

use core::arch::naked_asm;

/// What the loop reads. It addresses the fields by number.
#[repr(C)]
pub struct Job {
    /// Channels of a pixel.
    pub channels: usize,
    /// Bytes of the constants of all channels.
    pub constants_len: usize,
    /// Bytes from the end of a pixel's last vector of inputs to the start of the next pixel's.
    pub input_step: isize,
    /// Bytes from the end of a pixel's outputs to the end of its last vector of outputs.
    pub output_excess: usize,
    /// The least output value, in all lanes.
    pub least: [i8; 16],
    /// The greatest output value, in all lanes.
    pub greatest: [i8; 16],
    /// The constants of all channels.
    pub constants: *const u8,
    /// The outputs.
    pub output: *mut i8,
    /// The output's zero point.
    pub zero_point: i32,
    /// Outputs to compute, not 0, a multiple of 4: pixels times channels, the last pixel perhaps not whole.
    pub outputs: usize,
}

/// Two taps of 16 channels: their products are summed in 16 bits (no weight is −128, so they fit) before they are widened.
/// q0–q3: sums, by quarters. The second input is read twice, for want of registers.
macro_rules! pair {
    ($first:literal, $second:literal) => {
        concat!(
            "vldrb.u8 q4, [",
            $first,
            "], #16
             vldrb.u8 q5, [r1], #16
             vmullb.s8 q6, q4, q5
             vldrb.u8 q7, [r1], #16
             vmullt.s8 q4, q4, q5
             vldrb.u8 q5, [",
            $second,
            "]
             vmullb.s8 q5, q5, q7
             vadd.i16 q6, q6, q5
             vldrb.u8 q5, [",
            $second,
            "], #16
             vmullt.s8 q5, q5, q7
             vadd.i16 q4, q4, q5
             ",
            widen!()
        )
    };
}

/// Adds 16-bit sums of even (q6) and odd (q4) channels to q0–q3.
macro_rules! widen {
    () => {
        "vmovlb.s16 q5, q6
         vadd.i32 q0, q0, q5
         vmovlt.s16 q6, q6
         vadd.i32 q1, q1, q6
         vmovlb.s16 q5, q4
         vadd.i32 q2, q2, q5
         vmovlt.s16 q4, q4
         vadd.i32 q3, q3, q4
        "
    };
}

/// See the requantization of the matrix loops.
macro_rules! requantize {
    (wide, $sums:literal) => {
        concat!(
            "vldrw.u32 q4, [r1, #16]
             vmov.i32 q6, #0
             vmax.s32 q5, q4, q6
             vshl.s32 ",
            $sums,
            ", ",
            $sums,
            ", q5
             vmin.s32 q4, q4, q6
             vldrw.u32 q5, [r1], #32
             vqrdmulh.s32 ",
            $sums,
            ", ",
            $sums,
            ", q5
            ",
            ties!($sums),
            "vrshl.s32 ",
            $sums,
            ", ",
            $sums,
            ", q4
            "
        )
    };
    (signed, $sums:literal) => {
        concat!(
            "vldrw.u32 q5, [r1], #16
             vqrdmulh.s32 ",
            $sums,
            ", ",
            $sums,
            ", q5
             vldrw.u32 q4, [r1], #16
            ",
            ties!($sums),
            "vrshl.s32 ",
            $sums,
            ", ",
            $sums,
            ", q4
            "
        )
    };
    (rectified, $sums:literal) => {
        concat!(
            "vldrw.u32 q5, [r1], #16
             vqrdmulh.s32 ",
            $sums,
            ", ",
            $sums,
            ", q5
             vldrw.u32 q4, [r1], #16
             vrshl.s32 ",
            $sums,
            ", ",
            $sums,
            ", q4
            "
        )
    };
}

macro_rules! ties {
    ($sums:literal) => {
        concat!(
            "vand q5, ",
            $sums,
            ", q4
             vshr.s32 q5, q5, #31
             vadd.i32 ",
            $sums,
            ", ",
            $sums,
            ", q5
            "
        )
    };
}

macro_rules! clamp {
    (rectified) => {
        ""
    };
    ($rounding:ident) => {
        "vldrw.u32 q1, [sp, #16]
         vldrw.u32 q2, [sp, #32]
         vmax.s8 q0, q0, q1
         vmin.s8 q0, q0, q2
        "
    };
}

macro_rules! function {
    ($name:ident, $rounding:ident) => {
        /// Pixels from where the nine taps are on.
        ///
        /// # Safety
        ///
        /// The constants are those of the job's channels, at a multiple of 4, of which there are a multiple of 4. From each tap
        /// on there are as many values as outputs, in pixels as far apart as the job says.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name(taps: &[*const i8; 9], job: &Job) {
            naked_asm!(concat!(
                ".cpu cortex-m55
                 push {{r4-r11, lr}}
                 vpush {{d8-d15}}
                 sub sp, sp, #48
                 ldm r1!, {{r4-r9}}
                 stm sp, {{r4-r9}}
                 add r12, sp, #24
                 ldm r1!, {{r4-r9}}
                 stm r12, {{r4-r9}}
                 ldm r1, {{r1, r2, r3, r12}}
                 mov lr, r0
                 mov r0, r3
                 ldm lr, {{r3-r11}}
                 1:
                 ldr lr, [sp]
                 cmp lr, r12
                 it hi
                 movhi lr, r12
                 dlstp.8 lr, lr
                 2:
                 vldrw.u32 q0, [r1], #16
                 vldrw.u32 q1, [r1], #16
                 vldrw.u32 q2, [r1], #16
                 vldrw.u32 q3, [r1], #16
                ",
                pair!("r3", "r4"),
                pair!("r5", "r6"),
                pair!("r7", "r8"),
                pair!("r9", "r10"),
                "vldrb.u8 q4, [r11], #16
                 vldrb.u8 q5, [r1], #16
                 vmullb.s8 q6, q4, q5
                 vmullt.s8 q4, q4, q5
                ",
                widen!(),
                requantize!($rounding, "q0"),
                requantize!($rounding, "q1"),
                requantize!($rounding, "q2"),
                requantize!($rounding, "q3"),
                "vqmovnb.s32 q0, q0
                 vqmovnt.s32 q0, q1
                 vqmovnb.s32 q2, q2
                 vqmovnt.s32 q2, q3
                 vqadd.s16 q0, q0, r0
                 vqadd.s16 q2, q2, r0
                 vqmovnb.s16 q0, q0
                 vqmovnt.s16 q0, q2
                ",
                clamp!($rounding),
                "vstrb.8 q0, [r2], #16
                 letp lr, 2b
                 ldr lr, [sp]
                 subs r12, r12, lr
                 bls 4f
                 ldr lr, [sp, #4]
                 subs r1, r1, lr
                 ldr lr, [sp, #12]
                 subs r2, r2, lr
                 ldr lr, [sp, #8]
                 cmp lr, #0
                 beq 1b
                 add r3, lr
                 add r4, lr
                 add r5, lr
                 add r6, lr
                 add r7, lr
                 add r8, lr
                 add r9, lr
                 add r10, lr
                 add r11, lr
                 b 1b
                 4:
                 add sp, sp, #48
                 vpop {{d8-d15}}
                 pop {{r4-r11, pc}}
                "
            ))
        }
    };
}

function!(wide, wide);
function!(signed, signed);
function!(rectified, rectified);

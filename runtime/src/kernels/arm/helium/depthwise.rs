//! Depthwise convolution with a 3 × 3 window, eight channels of a pixel at a time.

use crate::layout::Layout;
use crate::layout::cortex_m55::{DEPTHWISE_CHANNELS, HEADER};
use crate::operator::Linear;
use crate::{Band, Rows};
use core::arch::naked_asm;

/// int8 activations and weights.
pub fn int8(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return crate::kernels::arm::depthwise::plain(linear, input, output, scratch);
    }
    let channels = output.shape.channels as usize;
    let constants = linear.weights.get(HEADER..).unwrap_or(&[]);
    let Some(padding) = scratch.get_mut(..channels) else {
        return;
    };
    if constants.len() != channels / 8 * DEPTHWISE_CHANNELS || !channels.is_multiple_of(8) || channels == 0 {
        return;
    }
    padding.fill(linear.input_zero_point as i8);
    let function = if linear.weights.first() == Some(&2) {
        rectified
    } else {
        signed
    };
    let window = &linear.window;
    for (y, row) in output.rows_mut() {
        let rows = window.kernel_rows(y, input.shape.height);
        let sources: [Option<&[i8]>; 3] =
            core::array::from_fn(|ky| rows.contains(&ky).then(|| input.row(window.input_row(y, ky))));
        for (x, pixel) in row.chunks_exact_mut(channels.max(1)).enumerate() {
            let columns = window.kernel_columns(x, input.shape.width);
            let mut taps = [padding.as_ptr(); 9];
            for (taps, source) in taps.as_chunks_mut::<3>().0.iter_mut().zip(sources) {
                let Some(source) = source else { continue };
                for kx in columns.clone() {
                    let start = window.input_column(x, kx) * channels;
                    if let (Some(tap), Some(values)) = (taps.get_mut(kx), source.get(start..start + channels))
                    {
                        *tap = values.as_ptr();
                    }
                }
            }
            // SAFETY: the nine taps and the output have `channels` values, the constants are those of as many channels.
            unsafe {
                function(
                    &taps,
                    constants.as_ptr(),
                    pixel.as_mut_ptr(),
                    channels / 8,
                    linear.output_zero_point,
                )
            };
        }
    }
}

/// One tap of eight channels: q0, q1 sums of even and odd channels.
macro_rules! tap {
    ($pointer:literal) => {
        concat!(
            "vldrb.s16 q2, [",
            $pointer,
            "], #8
             vldrb.s16 q3, [r1], #8
             vmullb.s16 q4, q2, q3
             vmullt.s16 q2, q2, q3
             vadd.i32 q0, q0, q4
             vadd.i32 q1, q1, q2
            "
        )
    };
}

/// See the requantization of the matrix loops.
macro_rules! requantize {
    ($sums:literal, $ties:literal) => {
        concat!(
            "vldrw.u32 q2, [r1], #16
             vldrw.u32 q3, [r1], #16
             vqrdmulh.s32 ",
            $sums,
            ", ",
            $sums,
            ", q2\n",
            $ties,
            "vrshl.s32 ",
            $sums,
            ", ",
            $sums,
            ", q3
             vadd.i32 ",
            $sums,
            ", ",
            $sums,
            ", r12\n",
        )
    };
}

macro_rules! depthwise_function {
    ($name:ident, $even_ties:literal, $odd_ties:literal) => {
        /// One pixel of `eights` × 8 channels.
        ///
        /// # Safety
        ///
        /// Taps, constants and output are of as many channels, and those are not 0.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            taps: &[*const i8; 9],
            constants: *const u8,
            output: *mut i8,
            eights: usize,
            zero_point: i32,
        ) {
            naked_asm!(concat!(
                ".cpu cortex-m55
                 push {{r4-r11, lr}}
                 vpush {{d8, d9}}
                 ldr r12, [sp, #52]
                 dls lr, r3
                 ldm r0, {{r3-r11}}
                 1:
                 vldrw.u32 q0, [r1], #16
                 vldrw.u32 q1, [r1], #16
                ",
                tap!("r3"),
                tap!("r4"),
                tap!("r5"),
                tap!("r6"),
                tap!("r7"),
                tap!("r8"),
                tap!("r9"),
                tap!("r10"),
                tap!("r11"),
                requantize!("q0", $even_ties),
                requantize!("q1", $odd_ties),
                "vqmovnb.s32 q0, q0
                 vqmovnt.s32 q0, q1
                 vqmovnb.s16 q0, q0
                 vstrb.16 q0, [r2], #8
                 le lr, 1b
                 vpop {{d8, d9}}
                 pop {{r4-r11, pc}}
                "
            ))
        }
    };
}

depthwise_function!(
    signed,
    "vshr.s32 q2, q0, #31
     vadd.i32 q0, q0, q2
    ",
    "vshr.s32 q2, q1, #31
     vadd.i32 q1, q1, q2
    "
);
depthwise_function!(rectified, "", "");

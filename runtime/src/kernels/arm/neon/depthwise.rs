//! Depthwise convolution with any window, eight channels at a time.

use crate::kernels::reference::{arithmetic::Int8, depthwise};
use crate::operator::Linear;
use crate::{Band, Rows};
use core::arch::naked_asm;

/// Channels that are computed at a time.
const CHANNELS: usize = 8;

/// int8 activations and weights.
pub fn int8(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    let channels = output.shape.channels as usize;
    if output.shape.channels != input.shape.channels || channels < CHANNELS {
        return depthwise::run::<Int8>(linear, input, output, scratch);
    }
    let window = &linear.window;
    for (y, row) in output.rows_mut() {
        let rows = window.kernel_rows(y, input.shape.height);
        for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
            let columns = window.kernel_columns(x, input.shape.width);
            let column = window.input_column(x, columns.start);
            for channel in (0..channels).step_by(CHANNELS) {
                // The last eight overlap those before where channels do not come in eights.
                let first = channel.min(channels - CHANNELS);
                let mut sums: [i32; CHANNELS] = core::array::from_fn(|number| linear.bias(first + number));
                for ky in rows.clone() {
                    let inputs = input.row(window.input_row(y, ky));
                    let weights_start = (ky * window.kernel_width + columns.start) * channels + first;
                    taps(
                        inputs.get(column * channels + first..).unwrap_or(&[]),
                        channels * window.dilation_width,
                        linear.weights.get(weights_start..).unwrap_or(&[]),
                        channels,
                        columns.len(),
                        linear.input_zero_point,
                        &mut sums,
                    );
                }
                let to = pixel.get_mut(first..).unwrap_or(&mut []);
                for ((to, sum), channel) in to.iter_mut().zip(sums).zip(first..) {
                    *to = linear.requantize(sum, channel) as i8;
                }
            }
        }
    }
}

/// Adds `count` taps of eight channels to sums. Steps are bytes from one tap to the next.
fn taps(
    inputs: &[i8],
    input_step: usize,
    weights: &[u8],
    weight_step: usize,
    count: usize,
    zero_point: i32,
    sums: &mut [i32; CHANNELS],
) {
    let last = count.saturating_sub(1);
    let within =
        last * input_step + CHANNELS <= inputs.len() && last * weight_step + CHANNELS <= weights.len();
    if count > 0 && within {
        // SAFETY: there are eight inputs and eight weights for every tap.
        unsafe {
            add_taps(
                inputs.as_ptr(),
                input_step,
                weights.as_ptr().cast(),
                weight_step,
                count,
                zero_point,
                sums,
            );
        }
    }
}

/// The same, unchecked.
///
/// # Safety
///
/// The processor has NEON, `count` is positive, and there are eight inputs and eight weights for every tap.
#[unsafe(naked)]
unsafe extern "C" fn add_taps(
    inputs: *const i8,
    input_step: usize,
    weights: *const i8,
    weight_step: usize,
    count: usize,
    zero_point: i32,
    sums: &mut [i32; CHANNELS],
) {
    naked_asm!(
        ".fpu neon
         push {{r4, lr}}
         ldr r12, [sp, #8]
         ldr lr, [sp, #12]
         ldr r4, [sp, #16]
         vdup.16 q8, lr
         vld1.32 {{d4-d7}}, [r4]
         1:
         vld1.8 {{d0}}, [r0], r1
         vld1.8 {{d1}}, [r2], r3
         subs r12, r12, #1
         vmovl.s8 q9, d0
         vmovl.s8 q10, d1
         vsub.i16 q9, q9, q8
         vmlal.s16 q2, d18, d20
         vmlal.s16 q3, d19, d21
         bne 1b
         vst1.32 {{d4-d7}}, [r4]
         pop {{r4, pc}}
        "
    )
}

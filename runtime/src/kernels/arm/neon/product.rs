//! Convolution, pointwise and fully connected operators: products of sixteen inputs with four channels' weights at a time.

use crate::kernels::arm::window::Windows;
use crate::kernels::reference::{self, arithmetic::Int8};
use crate::layout::cortex_m3::MOST_ROWS;
use crate::operator::Linear;
use crate::{Band, Rows};
use core::arch::naked_asm;

/// Channels that are computed at a time.
const CHANNELS: usize = 4;
/// Inputs in a block.
const BLOCK: usize = 16;
/// Bytes of gathered windows.
const WINDOWS: usize = 4096;

/// Pointwise convolution.
pub fn pointwise(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    let (depth, channels) = (input.shape.channels as usize, output.shape.channels as usize);
    if depth < BLOCK || channels < CHANNELS {
        return reference::pointwise::run::<Int8>(linear, input, output, scratch);
    }
    for (y, row) in output.rows_mut() {
        multiply(linear, depth, input.row(y), row);
    }
}

/// Fully connected: one pixel of all values of the input.
pub fn fully_connected(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    let values = input.span(0, input.shape.height as usize);
    if values.len() != input.shape.values() || values.len() < BLOCK || output.data.len() < CHANNELS {
        return reference::fully_connected::run::<Int8>(linear, input, output, scratch);
    }
    multiply(linear, values.len(), values, output.data);
}

/// Convolution: as many windows as fit in [`WINDOWS`] are gathered, which are pixels then.
pub fn convolution(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    let (window, channels) = (&linear.window, output.shape.channels as usize);
    let depth = window.kernel_height * window.kernel_width * input.shape.channels as usize;
    let fits = (BLOCK..=WINDOWS / 2).contains(&depth) && window.kernel_height <= MOST_ROWS;
    if !fits || channels < CHANNELS {
        return reference::convolution::run::<Int8>(linear, input, output, scratch);
    }
    // Gathering may write three bytes too many.
    let mut windows = [0i8; WINDOWS + 3];
    let most = WINDOWS / depth;
    for (y, row) in output.rows_mut() {
        let Some(source) = Windows::new(window, input, y, linear.input_zero_point as i8) else {
            return;
        };
        for (tile, outputs) in row.chunks_mut(most * channels).enumerate() {
            let pixels = outputs.len() / channels;
            for number in 0..pixels {
                let to = windows.get_mut(number * depth..).unwrap_or(&mut []);
                source.gather(tile * most + number, to);
            }
            multiply(
                linear,
                depth,
                windows.get(..pixels * depth).unwrap_or(&[]),
                outputs,
            );
        }
    }
}

/// All channels of pixels with `depth` values each; the outputs have as many pixels.
fn multiply(linear: &Linear, depth: usize, inputs: &[i8], outputs: &mut [i8]) {
    let pixels = (inputs.len() / depth).max(1);
    let channels = outputs.len() / pixels;
    for channel in (0..channels).step_by(CHANNELS) {
        // The last four overlap those before where channels do not come in fours.
        let first = channel.min(channels.saturating_sub(CHANNELS));
        if let Some(weights) = linear.weights.get(first * depth..(first + CHANNELS) * depth) {
            four_channels(linear, weights, first, inputs, outputs.chunks_exact_mut(channels));
        }
    }
}

/// Four channels of all pixels. As inputs are multiplied without subtracting their zero point, the bias makes up for it.
fn four_channels<'o>(
    linear: &Linear,
    weights: &[u8],
    first: usize,
    inputs: &[i8],
    outputs: impl Iterator<Item = &'o mut [i8]>,
) {
    let depth = weights.len() / CHANNELS;
    let (blocks, zero_point) = (depth / BLOCK, linear.input_zero_point);
    let mut biases = [0i32; CHANNELS];
    let ones = [1i8; BLOCK];
    // SAFETY: the weights are those of four channels with `depth` each, of which `blocks` sixteens are read; there are
    // sixteen ones, and the step is 0.
    unsafe {
        products(
            ones.as_ptr(),
            weights.as_ptr().cast(),
            depth,
            blocks,
            &mut biases,
            0,
        )
    };
    for (channel, bias) in (first..).zip(&mut biases) {
        *bias = linear.bias(channel).wrapping_sub(zero_point.wrapping_mul(*bias));
    }
    for (pixel, output) in inputs.chunks_exact(depth).zip(outputs) {
        let mut sums = [0i32; CHANNELS];
        // SAFETY: as above; a pixel has `depth` values.
        unsafe {
            products(
                pixel.as_ptr(),
                weights.as_ptr().cast(),
                depth,
                blocks,
                &mut sums,
                BLOCK,
            );
        }
        let rest = pixel.get(blocks * BLOCK..).unwrap_or(&[]);
        let to = output.get_mut(first..).unwrap_or(&mut []);
        let each = to
            .iter_mut()
            .zip(sums)
            .zip(biases)
            .zip(weights.chunks_exact(depth));
        for (channel, (((to, sum), bias), weights)) in (first..).zip(each) {
            let mut sum = sum.wrapping_add(bias);
            for (value, weight) in rest.iter().zip(weights.get(blocks * BLOCK..).unwrap_or(&[])) {
                let product = (*value as i32 - zero_point).wrapping_mul(*weight as i8 as i32);
                sum = sum.wrapping_add(product);
            }
            *to = linear.requantize(sum, channel) as i8;
        }
    }
}

/// Sixteen inputs with one channel's sixteen weights at `$weights`. Products are added in pairs as 32 bits: two of −128 and
/// −128 do not fit in 16.
macro_rules! block {
    ($weights:literal, $sums:literal) => {
        concat!(
            "vld1.8 {{d2, d3}}, [",
            $weights,
            "]!
             vmull.s8 q12, d0, d2
             vmull.s8 q13, d1, d3
             vpadal.s16 ",
            $sums,
            ", q12
             vpadal.s16 ",
            $sums,
            ", q13
            "
        )
    };
}

/// The sums of products of `blocks` sixteens of inputs, each `step` bytes after the one before, with the weights of four
/// channels, each `depth` bytes after the one before.
///
/// # Safety
///
/// The processor has NEON, `blocks` is positive, and all of these can be read.
#[unsafe(naked)]
unsafe extern "C" fn products(
    inputs: *const i8,
    weights: *const i8,
    depth: usize,
    blocks: usize,
    sums: &mut [i32; CHANNELS],
    step: usize,
) {
    naked_asm!(concat!(
        ".fpu neon
         push {{r4-r7, r8, lr}}
         ldr r12, [sp, #24]
         ldr r7, [sp, #28]
         add r4, r1, r2
         add r5, r4, r2
         add r6, r5, r2
         vmov.i32 q8, #0
         vmov.i32 q9, #0
         vmov.i32 q10, #0
         vmov.i32 q11, #0
         1:
         vld1.8 {{d0, d1}}, [r0], r7
         subs r3, r3, #1
        ",
        block!("r1", "q8"),
        block!("r4", "q9"),
        block!("r5", "q10"),
        block!("r6", "q11"),
        "bne 1b
         vpadd.i32 d16, d16, d17
         vpadd.i32 d18, d18, d19
         vpadd.i32 d20, d20, d21
         vpadd.i32 d22, d22, d23
         vpadd.i32 d0, d16, d18
         vpadd.i32 d1, d20, d22
         vst1.32 {{d0, d1}}, [r12]
         pop {{r4-r7, r8, pc}}
        "
    ))
}

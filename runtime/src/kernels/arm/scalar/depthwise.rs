//! Depthwise convolution with a 3 × 3 window, channel by channel: a few rows of one channel's input are copied into a plane,
//! with padding around them, so that every output is computed alike. In Rust, for rounding as the specification has it; all
//! else is in `depthwise_planes`.

use super::requantize::{wide, words};
use crate::kernels::arm::depthwise::plain;
use crate::layout::Layout;
use crate::layout::cortex_m3::{DEPTHWISE_CHANNEL, HEADER, plane_width};
use crate::operator::Linear;
use crate::{Band, Rows};

/// int8 activations and weights.
pub fn int8(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return plain(linear, input, output, scratch);
    }
    if linear.weights.first() != Some(&(crate::layout::cortex_m3::Rounding::Wide as u8)) {
        return super::depthwise_planes::int8(linear, input, output, scratch);
    }
    let window = linear.window;
    let channels = (output.shape.channels as usize).max(1);
    let row_bytes = output.row_bytes().max(1);
    let plane_width = plane_width(output.shape.width as usize, window.stride_width);
    let stride = window.stride_height.max(1);
    // Rows of output that a filling of the plane gives.
    let step = (scratch.len() / plane_width.max(1)).saturating_sub(3) / stride + 1;
    let constants = linear.weights.get(HEADER..).unwrap_or(&[]);
    let constants = constants.as_chunks::<DEPTHWISE_CHANNEL>().0;
    let mut y = output.first_row;
    for data in output.data.chunks_mut((step * row_bytes).max(1)) {
        let rows = data.len() / row_bytes;
        let plane_rows = rows.saturating_sub(1) * stride + 3;
        for (channel, constants) in constants.iter().enumerate() {
            for (row, to) in scratch
                .chunks_exact_mut(plane_width.max(1))
                .take(plane_rows)
                .enumerate()
            {
                let source = (y * stride + row).checked_sub(window.pad_top);
                let source = source.filter(|row| *row < input.shape.height as usize);
                let source = source.map_or(&[][..], |row| input.row(row));
                fill(
                    source.get(channel..).unwrap_or(&[]),
                    channels,
                    window.pad_left,
                    linear,
                    to,
                );
            }
            run(
                linear,
                constants,
                scratch,
                plane_width,
                data,
                channel,
                output.shape.width,
            );
        }
        y += rows;
    }
}

/// Copies one channel of a row, which is empty for padding, into a row of the plane.
#[inline(always)]
fn fill(source: &[i8], channels: usize, pad_left: usize, linear: &Linear, to: &mut [i8]) {
    let zero_point = linear.input_zero_point as i8;
    let (left, rest) = to.split_at_mut_checked(pad_left).unwrap_or((&mut [], &mut []));
    left.fill(zero_point);
    let count = source.len().div_ceil(channels).min(rest.len());
    let (inside, right) = rest.split_at_mut_checked(count).unwrap_or((&mut [], &mut []));
    right.fill(zero_point);
    if count > 0 {
        // SAFETY: the source has a value at every multiple of `channels` below its length, the copy `count` places.
        unsafe { copy_strided(inside.as_mut_ptr(), source.as_ptr(), channels, count) };
    }
}

/// Copies `count` values, each `stride` bytes after the one before.
///
/// # Safety
///
/// `count` is positive; `from` can be read at so many places, and `to` has room for as many values.
#[unsafe(naked)]
unsafe extern "C" fn copy_strided(to: *mut i8, from: *const i8, stride: usize, count: usize) {
    core::arch::naked_asm!(
        "push {{r4, lr}}
         1:
         ldrb r4, [r1]
         adds r1, r1, r2
         strb r4, [r0]
         adds r0, r0, #1
         subs r3, r3, #1
         bne 1b
         pop {{r4, pc}}
        "
    )
}

/// All outputs of one channel.
#[inline(never)]
fn run(
    linear: &Linear,
    constants: &[u8; DEPTHWISE_CHANNEL],
    plane: &[i8],
    plane_width: usize,
    data: &mut [i8],
    channel: usize,
    width: u32,
) {
    let [w0, w1, w2, w3, w4, w5, w6, w7, w8, _, _, _, rest @ ..] = *constants;
    let w = [w0, w1, w2, w3, w4, w5, w6, w7, w8].map(|weight| weight as i8 as i32);
    let [bias, multiplier, shift, _] = words(&rest);
    let channels = (linear.weights.len().saturating_sub(HEADER) / DEPTHWISE_CHANNEL).max(1);
    let stride = linear.window.stride_width;
    let row_step = linear.window.stride_height * plane_width;
    let mut top = 0;
    for row in data.chunks_mut((width as usize * channels).max(1)) {
        let mut at = channel;
        let end = (width as usize).saturating_sub(1) * stride + 3;
        let Some(rows) = plane.get(top..top + 2 * plane_width + end) else {
            return;
        };
        let mut first = rows.as_ptr();
        for _ in 0..width {
            // SAFETY: `rows` goes on to the end of the last output's window.
            let values = unsafe {
                core::array::from_fn::<i32, 9, _>(|k| *first.add(k / 3 * plane_width + k % 3) as i32)
            };
            let mut sum = 0i32;
            for k in 0..9 {
                sum = sum.wrapping_add(values[k].wrapping_mul(w[k]));
            }
            let value = wide(linear, sum.wrapping_add(bias), multiplier, shift);
            if let Some(to) = row.get_mut(at) {
                *to = value;
            }
            at += channels;
            first = first.wrapping_add(stride);
        }
        top += row_step;
    }
}

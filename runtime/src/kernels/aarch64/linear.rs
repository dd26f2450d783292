//! Convolution, pointwise and fully connected operators: a matrix times four pixels at a time.

use super::Product;
use super::requantize::{Multipliers, Output};
use crate::exec::copy;
use crate::kernels::reference::{self, arithmetic::Int8};
use crate::layout::Layout;
use crate::layout::aarch64::{GROUP, PIXELS, group_len, padded_depth};
use crate::operator::{Linear, Window};
use crate::{Band, Rows};
use core::arch::aarch64::{vld1q_s32, vst1_s8};

/// Pointwise convolution. Rows that lie one after the other are one run of pixels.
pub fn pointwise<P: Product>(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return reference::pointwise::run::<Int8>(linear, input, output, scratch);
    }
    let depth = (input.shape.channels as usize).max(1);
    let channels = (output.shape.channels as usize).max(1);
    let row_bytes = output.row_bytes().max(1);
    let (mut y, mut rest) = (output.first_row, &mut *output.data);
    while !rest.is_empty() {
        let source = input.span(y, rest.len() / row_bytes);
        let len = (source.len() / depth * channels).min(rest.len());
        let Some((now, later)) = rest.split_at_mut_checked(len).filter(|(now, _)| !now.is_empty()) else {
            return;
        };
        multiply::<P>(linear, depth, channels, now, scratch, |pixel, _| {
            source.get(pixel * depth..(pixel + 1) * depth)
        });
        y += len / row_bytes;
        rest = later;
    }
}

/// Fully connected: one pixel of all values of the input.
pub fn fully_connected<P: Product>(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return reference::fully_connected::run::<Int8>(linear, input, output, scratch);
    }
    let values = input.span(0, input.shape.height as usize);
    multiply::<P>(
        linear,
        values.len(),
        output.shape.channels as usize,
        output.data,
        scratch,
        |_, _| Some(values),
    );
}

/// Convolution: windows are gathered.
pub fn convolution<P: Product>(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return reference::convolution::run::<Int8>(linear, input, output, scratch);
    }
    let window = &linear.window;
    let depth = window.kernel_height * window.kernel_width * input.shape.channels as usize;
    let channels = output.shape.channels as usize;
    for (y, row) in output.rows_mut() {
        multiply::<P>(linear, depth, channels, row, scratch, |x, to| {
            gather(window, input, y, x, linear.input_zero_point as i8, to);
            None
        });
    }
}

/// Multiplies pixel after pixel. `fetch` returns a pixel of `depth` values, or writes it where it is told.
fn multiply<P: Product>(
    linear: &Linear,
    depth: usize,
    channels: usize,
    outputs: &mut [i8],
    scratch: &mut [i8],
    mut fetch: impl FnMut(usize, &mut [i8]) -> Option<&'_ [i8]>,
) {
    let padded = padded_depth(depth, P::DOT);
    let group_len = group_len(depth, P::DOT);
    let constants_fit = linear.weights.len() == channels.div_ceil(GROUP) * group_len;
    if !constants_fit || scratch.len() < PIXELS * padded || depth == 0 || channels == 0 {
        return;
    }
    let rounding = Output::new(linear);
    for (block, outputs) in outputs.chunks_mut((PIXELS * channels).max(1)).enumerate() {
        let count = outputs.len() / channels;
        let mut pixels = [scratch.as_ptr(); PIXELS];
        let memory = scratch.chunks_exact_mut(padded.max(1));
        for (number, (pixel, memory)) in pixels.iter_mut().zip(memory).enumerate().take(count) {
            *pixel = memory.as_ptr();
            let Some((unpadded, _)) = memory.split_at_mut_checked(depth) else {
                return;
            };
            match fetch(block * PIXELS + number, unpadded) {
                Some(values) if values.len() == padded => *pixel = values.as_ptr(),
                Some(values) => copy(unpadded, values),
                None => (),
            }
        }
        for (group, constants) in linear.weights.chunks_exact(group_len.max(1)).enumerate() {
            let first = group * GROUP;
            let (vectors, weights): (*const i32, _) = (
                constants.as_ptr().cast(),
                constants.as_ptr().wrapping_add(GROUP * 12),
            );
            // SAFETY: a group begins with 48 numbers. The table with these kernels is only used where the processor has
            // their instructions. Every pixel has `padded` values, those beyond `count` being scratch memory.
            let (sums, multipliers) = unsafe {
                let bias = core::array::from_fn(|part| vld1q_s32(vectors.add(part * 4)));
                let mut sums = [bias; PIXELS];
                P::multiply(pixels, weights, padded, &mut sums);
                let multipliers: [Multipliers; 4] = core::array::from_fn(|part| {
                    Multipliers::load(vectors.add(GROUP + part * 4), vectors.add(2 * GROUP + part * 4))
                });
                (sums, multipliers)
            };
            let ([low, high], _) = multipliers.as_chunks::<2>() else {
                return;
            };
            for ([a, b, c, d], output) in sums.into_iter().zip(outputs.chunks_exact_mut(channels)) {
                let mut values = [0i8; GROUP];
                let (first_half, second_half) = values.split_at_mut(8);
                // SAFETY: there is room for eight values each.
                unsafe {
                    vst1_s8(first_half.as_mut_ptr(), rounding.of([a, b], low));
                    vst1_s8(second_half.as_mut_ptr(), rounding.of([c, d], high));
                }
                match output.get_mut(first..first + GROUP) {
                    Some(whole) => copy(whole, &values),
                    None => copy(output.get_mut(first..).unwrap_or(&mut []), &values),
                }
            }
        }
    }
}
/// The inputs of one output value in the order of the weights, the zero point standing for padding.
fn gather(window: &Window, input: &Rows, y: usize, x: usize, zero_point: i8, to: &mut [i8]) {
    let depth = (input.shape.channels as usize).max(1);
    let rows = window.kernel_rows(y, input.shape.height);
    let columns = window.kernel_columns(x, input.shape.width);
    let inside = columns.len() == window.kernel_width && window.dilation_width == 1;
    let row_len = (window.kernel_width * depth).max(1);
    for (ky, to) in to.chunks_exact_mut(row_len).enumerate() {
        if !rows.contains(&ky) {
            to.fill(zero_point);
            continue;
        }
        let row = input.row(window.input_row(y, ky));
        let from = |kx| row.get(window.input_column(x, kx) * depth..).unwrap_or(&[]);
        if inside {
            copy(to, from(0));
            continue;
        }
        for (kx, to) in to.chunks_exact_mut(depth).enumerate() {
            if columns.contains(&kx) {
                copy(to, from(kx));
            } else {
                to.fill(zero_point);
            }
        }
    }
}

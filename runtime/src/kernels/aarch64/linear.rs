//! Convolution, pointwise and fully connected operators: a matrix times four pixels at a time.

use super::Product;
use super::requantize::{Multipliers, Output};
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
    let (depth, channels) = (input.shape.channels as usize, output.shape.channels as usize);
    let row_bytes = output.row_bytes();
    let (mut y, mut rest) = (output.first_row, &mut *output.data);
    while !rest.is_empty() {
        let source = input.span(y, rest.len() / row_bytes);
        let len = (source.len() / depth * channels).min(rest.len());
        if len == 0 {
            return;
        }
        let (now, later) = rest.split_at_mut(len);
        multiply::<P>(linear, depth, channels, now, scratch, |pixel, _| {
            Some(&source[pixel * depth..][..depth])
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
    for (block, outputs) in outputs.chunks_mut(PIXELS * channels).enumerate() {
        let count = outputs.len() / channels;
        let mut pixels = [scratch.as_ptr(); PIXELS];
        for (number, memory) in scratch.chunks_exact_mut(padded).enumerate().take(count) {
            pixels[number] = match fetch(block * PIXELS + number, &mut memory[..depth]) {
                Some(values) if depth == padded && values.len() == depth => values.as_ptr(),
                Some(values) => {
                    memory[..depth].copy_from_slice(values);
                    memory.as_ptr()
                }
                None => memory.as_ptr(),
            };
        }
        for (group, constants) in linear.weights.chunks_exact(group_len).enumerate() {
            let first = group * GROUP;
            let (vectors, weights): (*const i32, _) = (constants.as_ptr().cast(), &constants[GROUP * 12..]);
            // SAFETY: a group begins with 48 numbers. The table with these kernels is only used where the processor has
            // their instructions. Every pixel has `padded` values, those beyond `count` being scratch memory.
            let (sums, multipliers) = unsafe {
                let bias = core::array::from_fn(|part| vld1q_s32(vectors.add(part * 4)));
                let mut sums = [bias; PIXELS];
                P::multiply(pixels, weights.as_ptr(), padded, &mut sums);
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
                    Some(whole) => whole.copy_from_slice(&values),
                    None => crate::exec::copy(output.get_mut(first..).unwrap_or(&mut []), &values),
                }
            }
        }
    }
}
/// The inputs of one output value in the order of the weights, the zero point standing for padding.
fn gather(window: &Window, input: &Rows, y: usize, x: usize, zero_point: i8, to: &mut [i8]) {
    let depth = input.shape.channels as usize;
    let row_len = window.kernel_width * depth;
    let rows = window.kernel_rows(y, input.shape.height);
    let columns = window.kernel_columns(x, input.shape.width);
    let inside = columns.len() == window.kernel_width && window.dilation_width == 1;
    for (ky, to) in to.chunks_exact_mut(row_len).enumerate() {
        if !rows.contains(&ky) {
            to.fill(zero_point);
            continue;
        }
        let row = input.row(window.input_row(y, ky));
        if inside {
            to.copy_from_slice(&row[window.input_column(x, 0) * depth..][..row_len]);
            continue;
        }
        for (kx, to) in to.chunks_exact_mut(depth).enumerate() {
            if columns.contains(&kx) {
                to.copy_from_slice(&row[window.input_column(x, kx) * depth..][..depth]);
            } else {
                to.fill(zero_point);
            }
        }
    }
}

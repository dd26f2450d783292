//! Convolution, pointwise and fully connected operators as products of pixels and a packed `Matrix`, which each
//! instruction set has its own of.

#[cfg(sepconv_arm = "armv7m")]
use super::armv7m::Matrix;
#[cfg(sepconv_arm = "dsp")]
use super::dsp::Matrix;
#[cfg(sepconv_arm = "helium")]
use super::helium::Matrix;
use crate::kernels::reference::{self, arithmetic::Int8};
use crate::layout::Layout;
use crate::operator::{Linear, Window};
use crate::{Band, Rows};

/// Pointwise convolution. Rows that lie one after the other are one run of pixels.
pub fn pointwise(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return reference::pointwise::run::<Int8>(linear, input, output, scratch);
    }
    let depth = input.shape.channels as usize;
    let channels = output.shape.channels as usize;
    let row_bytes = output.row_bytes();
    let Some(mut matrix) = Matrix::new(linear, depth, channels, scratch) else {
        return;
    };
    let (mut y, mut rest) = (output.first_row, &mut *output.data);
    while !rest.is_empty() {
        let source = input.span(y, rest.len() / row_bytes);
        let len = (source.len() / depth * channels).min(rest.len());
        if len == 0 {
            return;
        }
        let (now, later) = rest.split_at_mut(len);
        let mut pairs = source.chunks_exact(2 * depth);
        let mut outputs = now.chunks_exact_mut(2 * channels);
        for (values, outputs) in (&mut pairs).zip(&mut outputs) {
            let ((first, second), (a, b)) = (values.split_at(depth), outputs.split_at_mut(channels));
            matrix.two_pixels(first, second, a, b);
        }
        if !pairs.remainder().is_empty() {
            matrix.one_pixel(pairs.remainder(), outputs.into_remainder());
        }
        y += len / row_bytes;
        rest = later;
    }
}

/// Fully connected: one pixel of all values of the input.
pub fn fully_connected(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return reference::fully_connected::run::<Int8>(linear, input, output, scratch);
    }
    let channels = output.shape.channels as usize;
    let values = input.span(0, input.shape.height as usize);
    if let Some(mut matrix) = Matrix::new(linear, values.len(), channels, scratch) {
        matrix.one_pixel(values, output.data);
    }
}

/// Convolution: windows are gathered into bytes, two at a time.
pub fn convolution(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return reference::convolution::run::<Int8>(linear, input, output, scratch);
    }
    let window = &linear.window;
    let depth = window.kernel_height * window.kernel_width * input.shape.channels as usize;
    let channels = output.shape.channels as usize;
    let Some((windows, scratch)) = scratch.split_at_mut_checked(2 * depth) else {
        return;
    };
    let (first, second) = windows.split_at_mut(depth);
    let Some(mut matrix) = Matrix::new(linear, depth, channels, scratch) else {
        return;
    };
    let zero_point = linear.input_zero_point as i8;
    for (y, row) in output.rows_mut() {
        let mut pairs = row.chunks_exact_mut(2 * channels);
        let mut x = 0;
        for outputs in &mut pairs {
            gather(window, input, y, x, zero_point, first);
            gather(window, input, y, x + 1, zero_point, second);
            let (a, b) = outputs.split_at_mut(channels);
            matrix.two_pixels(first, second, a, b);
            x += 2;
        }
        let last = pairs.into_remainder();
        if !last.is_empty() {
            gather(window, input, y, x, zero_point, first);
            matrix.one_pixel(first, last);
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

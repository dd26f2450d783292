//! Convolution, pointwise and fully connected operators as products of pixels and a packed `Matrix`, which each
//! instruction set has its own of.

#[cfg(sepconv_arm = "armv7m")]
use super::armv7m::Matrix;
#[cfg(sepconv_arm = "dsp")]
use super::dsp::Matrix;
#[cfg(sepconv_arm = "helium")]
use super::helium::Matrix;
use crate::exec::copy;
use crate::kernels::reference::{self, arithmetic::Int8};
use crate::layout::Layout;
use crate::operator::{Linear, Window};
use crate::{Band, Rows};

/// Pointwise convolution. Rows that lie one after the other are one run of pixels.
pub fn pointwise(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return reference::pointwise::run::<Int8>(linear, input, output, scratch);
    }
    let depth = (input.shape.channels as usize).max(1);
    let channels = (output.shape.channels as usize).max(1);
    let row_bytes = output.row_bytes().max(1);
    let Some(mut matrix) = Matrix::new(linear, depth, channels, scratch) else {
        return;
    };
    let (mut y, mut rest) = (output.first_row, &mut *output.data);
    while !rest.is_empty() {
        let source = input.span(y, rest.len() / row_bytes);
        let len = (source.len() / depth * channels).min(rest.len());
        let Some((now, later)) = rest.split_at_mut_checked(len).filter(|(now, _)| !now.is_empty()) else {
            return;
        };
        let (mut pixels, mut outputs) = (source.chunks_exact(depth), now.chunks_exact_mut(channels));
        while let (Some(first), Some(output)) = (pixels.next(), outputs.next()) {
            match (pixels.next(), outputs.next()) {
                (Some(second), Some(second_output)) => {
                    matrix.two_pixels(first, second, output, second_output)
                }
                _ => matrix.one_pixel(first, output),
            }
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
    let channels = (output.shape.channels as usize).max(1);
    let Some((first, scratch)) = scratch.split_at_mut_checked(depth) else {
        return;
    };
    let Some((second, scratch)) = scratch.split_at_mut_checked(depth) else {
        return;
    };
    let Some(mut matrix) = Matrix::new(linear, depth, channels, scratch) else {
        return;
    };
    let zero_point = linear.input_zero_point as i8;
    for (y, row) in output.rows_mut() {
        let mut outputs = row.chunks_exact_mut(channels).enumerate();
        while let Some((x, output)) = outputs.next() {
            gather(window, input, y, x, zero_point, first);
            match outputs.next() {
                Some((x, second_output)) => {
                    gather(window, input, y, x, zero_point, second);
                    matrix.two_pixels(first, second, output, second_output);
                }
                None => matrix.one_pixel(first, output),
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

//! Convolution, pointwise and fully connected operators as products of pixels and a [`Matrix`].

use super::copy_asm::{copy_pieces, padded_row};
use super::matrix::Matrix;
use crate::exec::copy;
use crate::kernels::padded::PaddedRows;
use crate::kernels::reference::{self, arithmetic::Int8};
use crate::layout::Layout;
use crate::layout::cortex_m55::{VECTOR, windows_at_a_time};
use crate::operator::{Linear, Window};
use crate::{Band, Rows};

/// Pointwise convolution. Rows that lie one after the other are one run of pixels.
pub fn pointwise(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return reference::pointwise::run::<Int8>(linear, input, output, scratch);
    }
    let (depth, channels) = (input.shape.channels as usize, output.shape.channels as usize);
    let row_bytes = output.row_bytes().max(1);
    let Some(matrix) = Matrix::new(linear, depth, channels) else {
        return;
    };
    let (mut y, mut rest) = (output.first_row, &mut *output.data);
    while !rest.is_empty() {
        let source = input.span(y, rest.len() / row_bytes);
        let len = (source.len() / matrix.depth.max(1) * channels).min(rest.len());
        let Some((now, later)) = rest.split_at_mut_checked(len).filter(|(now, _)| !now.is_empty()) else {
            return;
        };
        run(&matrix, source, now, scratch);
        y += len / row_bytes;
        rest = later;
    }
}

/// Fully connected: one pixel of all values of the input.
pub fn fully_connected(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return reference::fully_connected::run::<Int8>(linear, input, output, scratch);
    }
    let values = input.span(0, input.shape.height as usize);
    if let Some(matrix) = Matrix::new(linear, values.len(), output.shape.channels as usize) {
        run(&matrix, values, output.data, scratch);
    }
}

/// Multiplies pixels where they lie, but for the last ones, whose vectors would reach beyond the input: those are copied.
fn run(matrix: &Matrix, values: &[i8], outputs: &mut [i8], scratch: &mut [i8]) {
    let pixels = outputs.len() / matrix.channels.max(1);
    let mut readable = matrix.readable(values).min(pixels);
    if readable < pixels {
        // Pairs of pixels are faster than single ones.
        readable = readable / 2 * 2;
    }
    let Some((now, last)) = outputs.split_at_mut_checked(readable * matrix.channels) else {
        return;
    };
    matrix.multiply(values, now);
    if !last.is_empty() {
        copy(scratch, values.get(readable * matrix.depth..).unwrap_or(&[]));
        matrix.multiply(scratch, last);
    }
}

/// Convolution: windows are gathered, several at a time.
pub fn convolution(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return reference::convolution::run::<Int8>(linear, input, output, scratch);
    }
    let window = &linear.window;
    let depth = window.kernel_height * window.kernel_width * input.shape.channels as usize;
    let channels = output.shape.channels as usize;
    let width = output.shape.width as usize;
    let Some(matrix) = Matrix::new(linear, depth, channels) else {
        return;
    };
    let count = windows_at_a_time(depth, width);
    let Some((windows, rows)) = scratch.split_at_mut_checked(count * depth + VECTOR) else {
        return;
    };
    let Some(mut rows) = PaddedRows::new(linear, input, width, rows) else {
        return;
    };
    for (y, row) in output.rows_mut() {
        rows.advance(input, y * window.stride_height, padded_row);
        for (block, outputs) in row.chunks_mut((count * channels).max(1)).enumerate() {
            let columns = Columns {
                first: block * count,
                count: outputs.len() / channels.max(1),
            };
            gather(window, &rows, input.shape.channels as usize, columns, windows);
            matrix.multiply(windows, outputs);
        }
    }
}

/// Columns of an output row.
struct Columns {
    first: usize,
    count: usize,
}

/// The windows of an output row's columns, inputs in the order of the weights.
fn gather(window: &Window, rows: &PaddedRows, pixel_len: usize, columns: Columns, to: &mut [i8]) {
    let row_len = window.kernel_width * pixel_len;
    let depth = window.kernel_height * row_len;
    let step = window.stride_width * pixel_len;
    // A row of a dilated window is in as many pieces as it has pixels.
    let (pieces, piece_len) = if window.dilation_width == 1 {
        (1, row_len)
    } else {
        (window.kernel_width, pixel_len)
    };
    for ky in 0..window.kernel_height {
        let row = rows.row(ky * window.dilation_height);
        for piece in 0..pieces {
            let from = columns.first * step + piece * window.dilation_width * pixel_len;
            copy_all(
                row.get(from..).unwrap_or(&[]),
                to.get_mut(ky * row_len + piece * pixel_len..).unwrap_or(&mut []),
                piece_len,
                columns.count,
                step,
                depth,
            );
        }
    }
}

/// Copies `count` pieces of `len` values each, which lie `from_step` and `to_step` values apart; none unless both ends hold
/// all of them.
fn copy_all(from: &[i8], to: &mut [i8], len: usize, count: usize, from_step: usize, to_step: usize) {
    let Some(last) = count.checked_sub(1) else { return };
    if len > 0 && last * from_step + len <= from.len() && last * to_step + len <= to.len() {
        // SAFETY: there are as many pieces at both ends, as has just been checked; a slice that is written overlaps no other.
        unsafe { copy_pieces(from.as_ptr(), to.as_mut_ptr(), len, count, from_step, to_step) };
    }
}

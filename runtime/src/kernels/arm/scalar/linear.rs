//! Convolution, pointwise and fully connected operators as products of a [`Matrix`] and pixels.

use super::matrix::Matrix;
use crate::kernels::arm::window::Windows;
use crate::kernels::reference::{self, arithmetic::Int8};
use crate::layout::Layout;
use crate::layout::cortex_m3::PIXELS;
use crate::operator::Linear;
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
        for (pixels, outputs) in source
            .chunks((PIXELS * depth).max(1))
            .zip(now.chunks_mut((PIXELS * channels).max(1)))
        {
            matrix.multiply(pixels, outputs);
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
        matrix.multiply(values, output.data);
    }
}

/// Convolution: windows are gathered into bytes, a few at a time.
pub fn convolution(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return reference::convolution::run::<Int8>(linear, input, output, scratch);
    }
    let window = &linear.window;
    let depth = (window.kernel_height * window.kernel_width * input.shape.channels as usize).max(1);
    let channels = (output.shape.channels as usize).max(1);
    let Some((windows, scratch)) = scratch.split_at_mut_checked(PIXELS * depth + 3) else {
        return;
    };
    let Some(mut matrix) = Matrix::new(linear, depth, channels, scratch) else {
        return;
    };
    let zero_point = linear.input_zero_point as i8;
    for (y, row) in output.rows_mut() {
        let Some(source) = Windows::new(window, input, y, zero_point) else {
            return;
        };
        for (tile, outputs) in row.chunks_mut((PIXELS * channels).max(1)).enumerate() {
            let pixels = outputs.len() / channels;
            for i in 0..pixels {
                let to = windows.get_mut(i * depth..).unwrap_or(&mut []);
                source.gather(tile * PIXELS + i, to);
            }
            matrix.multiply(windows.get(..pixels * depth).unwrap_or(&[]), outputs);
        }
    }
}

//! Operators that only move values: pad, concatenation, reshape, nearest-neighbour resizing, transpose.

use super::set_value;
use crate::exec::copy;
use crate::operator::{Concatenation, Pad, ResizeNearest, Transpose};
use crate::{Band, Rows};

/// The input within rows, columns and channels of a constant.
pub fn pad(pad: &Pad, input: &Rows, output: &mut Band) {
    let bytes = input.element.bytes();
    let from_pixel = (input.shape.channels as usize * bytes).max(1);
    let to_pixel = (output.shape.channels as usize * bytes).max(1);
    for (y, row) in output.rows_mut() {
        for value in row.chunks_exact_mut(bytes) {
            set_value(value, pad.value);
        }
        let Some(y) = y
            .checked_sub(pad.top as usize)
            .filter(|y| *y < input.shape.height as usize)
        else {
            continue;
        };
        let pixels = input.row(y).chunks_exact(from_pixel);
        for (to, from) in row.chunks_exact_mut(to_pixel).skip(pad.left as usize).zip(pixels) {
            copy(to.get_mut(pad.front as usize * bytes..).unwrap_or(&mut []), from);
        }
    }
}

/// The inputs one after the other along an axis.
pub fn concatenation(concatenation: &Concatenation, inputs: &[Rows], output: &mut Band) {
    let bytes = output.element.bytes();
    // With the axis at the pixels, a row is one piece of each input; with the channels, each pixel is.
    let pixels_of = |rows: &Rows| rows.shape.width as usize;
    let channels = (output.shape.channels as usize * bytes).max(1);
    for (y, row) in output.rows_mut() {
        match concatenation.axis {
            0 => {
                let mut y = y;
                for input in inputs {
                    let height = input.shape.height as usize;
                    if y < height {
                        copy(row, input.row(y));
                        break;
                    }
                    y -= height;
                }
            }
            1 => {
                let mut rest = row;
                for input in inputs {
                    let len = (pixels_of(input) * channels).min(rest.len());
                    let Some((piece, after)) = rest.split_at_mut_checked(len) else {
                        break;
                    };
                    copy(piece, input.row(y));
                    rest = after;
                }
            }
            _ => {
                let mut start = 0;
                for input in inputs {
                    let depth = input.shape.channels as usize * bytes;
                    let pixels = input.row(y).chunks_exact(depth.max(1));
                    for (to, from) in row.chunks_exact_mut(channels).zip(pixels) {
                        copy(to.get_mut(start..).unwrap_or(&mut []), from);
                    }
                    start += depth;
                }
            }
        }
    }
}

/// The same bytes in the same order.
pub fn reshape(_: &(), input: &Rows, output: &mut Band) {
    let from_len = input.shape.row_values() * input.element.bytes();
    let start = output.first_row * output.row_bytes();
    let mut y = start.checked_div(from_len).unwrap_or(0);
    let mut skip = start.checked_rem(from_len).unwrap_or(0);
    let mut rest = &mut *output.data;
    while !rest.is_empty() {
        let source = input.row(y).get(skip..).unwrap_or(&[]);
        if source.is_empty() {
            break;
        }
        let len = source.len().min(rest.len());
        let Some((piece, after)) = rest.split_at_mut_checked(len) else {
            break;
        };
        copy(piece, source);
        rest = after;
        skip = 0;
        y += 1;
    }
}

/// Each output pixel is the input pixel that the tables name.
pub fn resize_nearest(resize: &ResizeNearest, input: &Rows, output: &mut Band) {
    let pixel_bytes = (output.shape.channels as usize * output.element.bytes()).max(1);
    for (y, row) in output.rows_mut() {
        let source = input.row(resize.source_row(y));
        for (x, pixel) in row.chunks_exact_mut(pixel_bytes).enumerate() {
            copy(
                pixel,
                source.get(resize.source_column(x) * pixel_bytes..).unwrap_or(&[]),
            );
        }
    }
}

/// Output axis i is input axis `permutation[i]`.
pub fn transpose(transpose: &Transpose, input: &Rows, output: &mut Band) {
    let bytes = output.element.bytes();
    let channels = (output.shape.channels as usize * bytes).max(1);
    let depth = input.shape.channels as usize;
    let [row_axis, column_axis, channel_axis] = transpose.permutation;
    for (y, row) in output.rows_mut() {
        for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
            for (channel, to) in pixel.chunks_exact_mut(bytes).enumerate() {
                // The position along an input axis is the output's along the axis that it became.
                let position = |axis: u8| {
                    (if axis == row_axis { y } else { 0 })
                        + (if axis == column_axis { x } else { 0 })
                        + (if axis == channel_axis { channel } else { 0 })
                };
                let start = (position(1) * depth + position(2)) * bytes;
                copy(to, input.row(position(0)).get(start..).unwrap_or(&[]));
            }
        }
    }
}

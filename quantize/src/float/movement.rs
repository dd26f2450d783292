//! Operators that move data and compute nothing.

use crate::graph::{Padding, Resize, Shape};

/// Constant pixels around the image.
pub fn pad(padding: &Padding, fill: f32, shape: Shape, input: &[f32], made: Shape, output: &mut [f32]) {
    output.fill(fill);
    let row = shape.width * shape.channels;
    for (y, values) in input.chunks_exact(row).enumerate() {
        let start = ((y + padding.top) * made.width + padding.left) * made.channels;
        output[start..start + row].copy_from_slice(values);
    }
}

/// Tensors one after another along channels; each part is given with its channel count.
pub fn concat(parts: &[(&[f32], usize)], output: &mut [f32]) {
    let channels: usize = parts.iter().map(|part| part.1).sum();
    for (pixel, out) in output.chunks_exact_mut(channels).enumerate() {
        let mut start = 0;
        for &(values, count) in parts {
            out[start..start + count].copy_from_slice(&values[pixel * count..(pixel + 1) * count]);
            start += count;
        }
    }
}

/// `output[i] = input[map[i]]`.
pub fn rearrange(map: &[u32], input: &[f32], output: &mut [f32]) {
    for (out, &source) in output.iter_mut().zip(map) {
        *out = input[source as usize];
    }
}

/// Enlargement by repetition.
pub fn resize_nearest(resize: &Resize, shape: Shape, input: &[f32], output: &mut [f32]) {
    let width = shape.width * resize.width;
    for (i, out) in output.chunks_exact_mut(shape.channels).enumerate() {
        let (y, x) = (i / width / resize.height, i % width / resize.width);
        let start = (y * shape.width + x) * shape.channels;
        out.copy_from_slice(&input[start..start + shape.channels]);
    }
}

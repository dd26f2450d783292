//! Convolution as matrix products over bands of output pixels.

use super::gemm::multiply_add_transposed;
use crate::graph::{Clamp, Convolution, Shape, Window};
use rayon::prelude::*;

/// Patches of a band are kept to about this many values, so that they stay in the second-level cache.
const PATCH_VALUES: usize = 1 << 17;

/// Convolution with bias and clamp; `made` is the output's shape.
pub fn convolution(
    c: &Convolution,
    shape: Shape,
    input: &[f32],
    clamp: Clamp,
    made: Shape,
    output: &mut [f32],
) {
    let k = c.window.taps() * c.in_channels;
    let pointwise = c.window.is_pointwise();
    let threads = rayon::current_num_threads();
    // A pointwise convolution reads the image as it lies, so its bands need only feed every thread.
    let most = if pointwise {
        usize::MAX
    } else {
        PATCH_VALUES.div_ceil(k)
    };
    let band_pixels = made.pixels().div_ceil(threads).min(most).max(1);
    output
        .par_chunks_mut(band_pixels * made.channels)
        .enumerate()
        .for_each(|(band, rows)| {
            let first = band * band_pixels;
            let pixels = rows.len() / made.channels;
            if c.weights.bias.is_empty() {
                rows.fill(0.0);
            } else {
                rows.chunks_exact_mut(made.channels)
                    .for_each(|pixel| pixel.copy_from_slice(&c.weights.bias));
            }
            if pointwise {
                let patches = &input[first * k..(first + pixels) * k];
                multiply_add_transposed(pixels, made.channels, k, patches, &c.weights.values, rows);
            } else {
                let mut patches = vec![0.0; pixels * k];
                for (i, patch) in patches.chunks_exact_mut(k).enumerate() {
                    let (y, x) = ((first + i) / made.width, (first + i) % made.width);
                    copy_patch(&c.window, shape, input, (y, x), patch);
                }
                multiply_add_transposed(pixels, made.channels, k, &patches, &c.weights.values, rows);
            }
            if !clamp.is_none() {
                rows.iter_mut().for_each(|y| *y = clamp.apply(*y));
            }
        });
}

/// Copies what a kernel over all channels sees at output pixel (y, x), tap after tap. `patch` starts as zeros, which padding
/// leaves.
pub(crate) fn copy_patch(
    window: &Window,
    shape: Shape,
    input: &[f32],
    pixel: (usize, usize),
    patch: &mut [f32],
) {
    for (tap, values) in patch.chunks_exact_mut(shape.channels).enumerate() {
        let (tap_y, tap_x) = (tap / window.kernel.1, tap % window.kernel.1);
        let row = pixel.0 * window.stride.0 + tap_y * window.dilation.0;
        let column = pixel.1 * window.stride.1 + tap_x * window.dilation.1;
        let Some(row) = row
            .checked_sub(window.padding.top)
            .filter(|&row| row < shape.height)
        else {
            continue;
        };
        let Some(column) = column
            .checked_sub(window.padding.left)
            .filter(|&x| x < shape.width)
        else {
            continue;
        };
        let start = (row * shape.width + column) * shape.channels;
        values.copy_from_slice(&input[start..start + shape.channels]);
    }
}

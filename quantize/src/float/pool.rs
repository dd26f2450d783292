//! Pooling.

use crate::graph::{Shape, Window};
use rayon::prelude::*;
use std::ops::Range;

/// Maximum over the window; padding is never the maximum.
pub fn max(window: &Window, shape: Shape, input: &[f32], made: Shape, output: &mut [f32]) {
    each_pixel(window, shape, input, made, output, |taps, _, out| {
        out.fill(f32::NEG_INFINITY);
        for pixel in taps {
            for (out, &x) in out.iter_mut().zip(pixel) {
                *out = out.max(x);
            }
        }
    });
}

/// Mean over the window.
pub fn average(
    window: &Window,
    count_padding: bool,
    shape: Shape,
    input: &[f32],
    made: Shape,
    output: &mut [f32],
) {
    each_pixel(window, shape, input, made, output, |taps, inside, out| {
        out.fill(0.0);
        for pixel in taps {
            for (out, &x) in out.iter_mut().zip(pixel) {
                *out += x;
            }
        }
        let count = if count_padding {
            window.taps()
        } else {
            inside.max(1)
        };
        out.iter_mut().for_each(|sum| *sum /= count as f32);
    });
}

/// Calls `f` for every output pixel with the input pixels under the window, their number, and the pixel to fill.
fn each_pixel(
    window: &Window,
    shape: Shape,
    input: &[f32],
    made: Shape,
    output: &mut [f32],
    f: impl Fn(&mut dyn Iterator<Item = &[f32]>, usize, &mut [f32]) + Sync,
) {
    output
        .par_chunks_exact_mut(made.width * made.channels)
        .enumerate()
        .for_each(|(y, row)| {
            let ys = inside(
                y * window.stride.0,
                window.dilation.0,
                window.kernel.0,
                window.padding.top,
                shape.height,
            );
            for (x, out) in row.chunks_exact_mut(made.channels).enumerate() {
                let start = x * window.stride.1;
                let xs = inside(
                    start,
                    window.dilation.1,
                    window.kernel.1,
                    window.padding.left,
                    shape.width,
                );
                let mut taps = ys.clone().flat_map(|tap_y| {
                    let row = y * window.stride.0 + tap_y * window.dilation.0 - window.padding.top;
                    xs.clone().map(move |tap_x| {
                        let column = start + tap_x * window.dilation.1 - window.padding.left;
                        let first = (row * shape.width + column) * shape.channels;
                        &input[first..first + shape.channels]
                    })
                });
                f(&mut taps, ys.len() * xs.len(), out);
            }
        });
}

/// The taps that fall on the image: `start + tap * dilation - padding` lies in `0..extent`.
fn inside(start: usize, dilation: usize, taps: usize, padding: usize, extent: usize) -> Range<usize> {
    let first = padding.saturating_sub(start).div_ceil(dilation);
    let end = (extent + padding)
        .saturating_sub(start)
        .div_ceil(dilation)
        .min(taps);
    first.min(end)..end
}

/// Mean over height and width.
pub fn global_average(shape: Shape, input: &[f32], output: &mut [f32]) {
    // Sums of many pixels lose digits in single precision.
    let mut sums = vec![0.0f64; shape.channels];
    for pixel in input.chunks_exact(shape.channels) {
        for (sum, &x) in sums.iter_mut().zip(pixel) {
            *sum += f64::from(x);
        }
    }
    for (out, sum) in output.iter_mut().zip(sums) {
        *out = (sum / shape.pixels() as f64) as f32;
    }
}

/// Maximum over height and width.
pub fn global_max(shape: Shape, input: &[f32], output: &mut [f32]) {
    output.fill(f32::NEG_INFINITY);
    for pixel in input.chunks_exact(shape.channels) {
        for (out, &x) in output.iter_mut().zip(pixel) {
            *out = out.max(x);
        }
    }
}

//! Depthwise convolution, a block of channels at a time.

use super::vectorized::vectorized;
use crate::graph::{Clamp, Depthwise, Shape};
use rayon::prelude::*;

/// Channels whose sums are kept in registers together.
const BLOCK: usize = 32;

/// Depthwise convolution with bias and clamp; `made` is the output's shape.
pub fn depthwise(d: &Depthwise, shape: Shape, input: &[f32], clamp: Clamp, made: Shape, output: &mut [f32]) {
    output
        .par_chunks_exact_mut(made.width * made.channels)
        .enumerate()
        .for_each(|(y, row)| {
            // Compiled once for each vector instruction set; the best that this processor has is taken.
            vectorized(
                #[inline(always)]
                || depthwise_row(d, shape, input, clamp, y, row),
            );
        });
}

#[inline(always)]
fn depthwise_row(d: &Depthwise, shape: Shape, input: &[f32], clamp: Clamp, y: usize, row: &mut [f32]) {
    let channels = d.channels * d.multiplier;
    let mut taps = Vec::with_capacity(d.window.taps());
    for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
        find_taps(d, shape, y, x, &mut taps);
        if d.multiplier == 1 {
            sum_blocks(d, input, &taps, pixel);
        } else {
            for (o, sum) in pixel.iter_mut().enumerate() {
                let products = taps.iter().map(|&(tap, start)| {
                    input[start + o / d.multiplier] * d.weights.values[tap * channels + o]
                });
                *sum = d.weights.bias_of(o) + products.sum::<f32>();
            }
        }
        if !clamp.is_none() {
            pixel.iter_mut().for_each(|y| *y = clamp.apply(*y));
        }
    }
}

/// Lists the taps that fall on the image: each tap's number and the index of its pixel's first channel.
#[inline(always)]
fn find_taps(d: &Depthwise, shape: Shape, y: usize, x: usize, taps: &mut Vec<(usize, usize)>) {
    let window = &d.window;
    taps.clear();
    for tap_y in 0..window.kernel.0 {
        let row = (y * window.stride.0 + tap_y * window.dilation.0).wrapping_sub(window.padding.top);
        if row >= shape.height {
            continue;
        }
        for tap_x in 0..window.kernel.1 {
            let column = (x * window.stride.1 + tap_x * window.dilation.1).wrapping_sub(window.padding.left);
            if column < shape.width {
                let tap = tap_y * window.kernel.1 + tap_x;
                taps.push((tap, (row * shape.width + column) * shape.channels));
            }
        }
    }
}

/// One output pixel with multiplier 1.
#[inline(always)]
fn sum_blocks(d: &Depthwise, input: &[f32], taps: &[(usize, usize)], pixel: &mut [f32]) {
    let channels = d.channels;
    let (blocks, rest) = pixel.as_chunks_mut::<BLOCK>();
    let whole = blocks.len() * BLOCK;
    for (block, sums) in blocks.iter_mut().enumerate() {
        let first = block * BLOCK;
        let mut acc = [0.0f32; BLOCK];
        if !d.weights.bias.is_empty() {
            acc.copy_from_slice(&d.weights.bias[first..first + BLOCK]);
        }
        for &(tap, start) in taps {
            let x: &[f32; BLOCK] = input[start + first..][..BLOCK].try_into().expect("BLOCK values");
            let w: &[f32; BLOCK] = d.weights.values[tap * channels + first..][..BLOCK]
                .try_into()
                .expect("BLOCK values");
            for i in 0..BLOCK {
                acc[i] += x[i] * w[i];
            }
        }
        *sums = acc;
    }
    for (i, sum) in rest.iter_mut().enumerate() {
        let c = whole + i;
        *sum = d.weights.bias_of(c);
        for &(tap, start) in taps {
            *sum += input[start + c] * d.weights.values[tap * channels + c];
        }
    }
}

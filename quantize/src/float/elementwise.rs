//! Operators that compute each element from those at the same place.

use crate::graph::{Affine, Shape};
use rayon::prelude::*;

/// Elements that a thread takes at a time.
const CHUNK: usize = 1 << 14;

/// `output[i] = f(input[i])`.
pub fn unary(input: &[f32], output: &mut [f32], f: impl Fn(f32) -> f32 + Sync) {
    output
        .par_chunks_mut(CHUNK)
        .zip(input.par_chunks(CHUNK))
        .for_each(|(out, x)| {
            for (out, &x) in out.iter_mut().zip(x) {
                *out = f(x);
            }
        });
}

/// A function of two tensors, either of which may be broadcast over pixels, over channels, or both.
pub fn binary(
    inputs: [(&[f32], Shape); 2],
    made: Shape,
    output: &mut [f32],
    f: impl Fn(f32, f32) -> f32 + Sync,
) {
    let [(a, a_shape), (b, b_shape)] = inputs;
    if a_shape == b_shape {
        let inputs = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK));
        output
            .par_chunks_mut(CHUNK)
            .zip(inputs)
            .for_each(|(out, (a, b))| {
                for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                    *out = f(a, b);
                }
            });
        return;
    }
    let at = |shape: Shape, pixel: usize, channel: usize| {
        let pixel = if shape.pixels() == 1 { 0 } else { pixel };
        let channel = if shape.channels == 1 { 0 } else { channel };
        pixel * shape.channels + channel
    };
    output
        .par_chunks_exact_mut(made.channels)
        .enumerate()
        .for_each(|(pixel, out)| {
            for (channel, out) in out.iter_mut().enumerate() {
                *out = f(a[at(a_shape, pixel, channel)], b[at(b_shape, pixel, channel)]);
            }
        });
}

/// Per-channel factor and summand.
pub fn affine(a: &Affine, input: &[f32], output: &mut [f32]) {
    let channels = a.scale.len();
    for (out, x) in output
        .chunks_exact_mut(channels)
        .zip(input.chunks_exact(channels))
    {
        for c in 0..channels {
            out[c] = x[c] * a.scale[c] + a.offset[c];
        }
    }
}

/// ReLU with a slope per channel for negative values.
pub fn prelu(slope: &[f32], input: &[f32], output: &mut [f32]) {
    let channels = slope.len();
    for (out, x) in output
        .chunks_exact_mut(channels)
        .zip(input.chunks_exact(channels))
    {
        for c in 0..channels {
            out[c] = if x[c] > 0.0 { x[c] } else { x[c] * slope[c] };
        }
    }
}

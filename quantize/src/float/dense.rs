//! Operators on vectors.

use super::gemm::multiply_add_transposed;
use crate::graph::FullyConnected;

/// Fully connected layer with bias.
pub fn fully_connected(f: &FullyConnected, input: &[f32], output: &mut [f32]) {
    for (o, y) in output.iter_mut().enumerate() {
        *y = f.weights.bias_of(o);
    }
    // A matrix times a vector: the weights stand on the left, where their rows are read once each.
    multiply_add_transposed(f.outputs, 1, f.inputs, &f.weights.values, input, output);
}

/// Softmax over each group of `channels` values.
pub fn softmax(beta: f32, channels: usize, input: &[f32], output: &mut [f32]) {
    for (out, x) in output
        .chunks_exact_mut(channels)
        .zip(input.chunks_exact(channels))
    {
        let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for (out, &x) in out.iter_mut().zip(x) {
            *out = (beta * (x - largest)).exp();
            sum += *out;
        }
        out.iter_mut().for_each(|y| *y /= sum);
    }
}

/// Index of the largest of each group of `channels` values, the first of equals.
pub fn argmax(channels: usize, input: &[f32], output: &mut [f32]) {
    for (out, x) in output.iter_mut().zip(input.chunks_exact(channels)) {
        let mut best = 0;
        for (c, &value) in x.iter().enumerate() {
            if value > x[best] {
                best = c;
            }
        }
        *out = best as f32;
    }
}

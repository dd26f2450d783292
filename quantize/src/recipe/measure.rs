//! How near a quantized network's outputs are to the float ones.

use crate::inference::{dequantize, quantize};
use crate::network::Network;
use crate::plan::{Options, plan};
use crate::write::to_bytes;
use rayon::prelude::*;
use sepconv::kernels;
use sepconv::{AlignedVec, Model};

/// How near int8 outputs are to float ones, over a set of inputs.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Fidelity {
    /// Signal to noise of the outputs, in decibels: `10 log₁₀(Σ float² ÷ Σ (float − int8)²)`.
    pub decibels: f32,
    /// The share of inputs whose greatest output is the same.
    pub agreement: f32,
}

/// Runs a network on all inputs and compares its outputs with `expected`.
pub fn fidelity(network: &Network, inputs: &[Vec<f32>], expected: &[Vec<f32>]) -> Fidelity {
    let target = kernels::best().target;
    let bytes = to_bytes(network, &plan(network, &Options::WHOLE), target)
        .expect("converted networks fit the format");
    let model = Model::new(&bytes).expect("what was written can be read");
    let compare = |(input, expected): (&Vec<f32>, &Vec<f32>)| {
        let found = run(&model, input);
        let signal: f64 = expected.iter().map(|value| (*value as f64).powi(2)).sum();
        let noise: f64 = expected
            .iter()
            .zip(&found)
            .map(|(a, b)| (*a as f64 - *b as f64).powi(2))
            .sum();
        (signal, noise, (greatest(expected) == greatest(&found)) as usize)
    };
    let (signal, noise, agreeing) = inputs
        .par_iter()
        .zip(expected)
        .map(compare)
        .reduce(|| (0.0, 0.0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
    Fidelity {
        decibels: (10.0 * (signal / noise.max(f64::MIN_POSITIVE)).log10()) as f32,
        agreement: agreeing as f32 / inputs.len() as f32,
    }
}

/// One inference on real numbers.
fn run(model: &Model, input: &[f32]) -> Vec<f32> {
    let mut arena = AlignedVec::zeroed(model.arena_len());
    let mut output = vec![0; model.output().bytes()];
    model
        .run(&quantize(input, &model.input()), &mut arena, &mut output)
        .expect("the buffers have the model's sizes");
    dequantize(&output, &model.output())
}

fn greatest(values: &[f32]) -> usize {
    let first_greatest = |best: usize, index: usize| if values[index] > values[best] { index } else { best };
    (0..values.len()).fold(0, first_greatest)
}

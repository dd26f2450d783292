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
    /// Signal to noise of the outputs, in decibels, as a mean over inputs: of `10 log₁₀(S ÷ Σ (float − int8)²)`, where `S`
    /// is the mean over all inputs of `Σ float²`. Each input counts alike: a few that are far off do not hide the others.
    pub decibels: f32,
    /// The share of inputs whose greatest output is the same.
    pub agreement: f32,
}

/// Outputs beside the float ones, input by input.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Over all inputs.
    pub fidelity: Fidelity,
    /// Signal to noise for each input, of which [`Fidelity::decibels`] is the mean.
    decibels: Vec<f32>,
}

/// Gains of fewer standard errors than this are taken for chance. What is tried helps more often than not, so little proof is
/// enough.
const STANDARD_ERRORS: f32 = 0.5;

impl Comparison {
    /// Whether outputs are nearer than other ones for the same inputs by more than `least` decibels, and by more than the
    /// gain's spread over the inputs makes likely by chance.
    pub fn is_better(&self, other: &Comparison, least: f32) -> bool {
        let pairs = self.decibels.iter().zip(&other.decibels);
        let gains: Vec<f32> = pairs.map(|(new, old)| new - old).collect();
        let count = gains.len() as f32;
        let mean = gains.iter().sum::<f32>() / count;
        let squares: f32 = gains.iter().map(|gain| (gain - mean).powi(2)).sum();
        let error = (squares / (count - 1.0).max(1.0) / count).sqrt();
        mean > least && mean > STANDARD_ERRORS * error
    }
}

/// The least noise that is told from none, relative to the signal.
const LEAST_NOISE: f64 = 1e-10;

/// A network's outputs for all inputs.
pub(super) fn outputs(network: &Network, inputs: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let target = kernels::best().target;
    let bytes = to_bytes(network, &plan(network, &Options::WHOLE), target)
        .expect("converted networks fit the format");
    let model = Model::new(&bytes).expect("what was written can be read");
    inputs.par_iter().map(|input| infer(&model, input)).collect()
}

/// Runs a network on all inputs and compares its outputs with `expected`.
pub fn compare(network: &Network, inputs: &[Vec<f32>], expected: &[Vec<f32>]) -> Comparison {
    let energy = |values: &[f32]| values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
    let signal = expected.iter().map(|values| energy(values)).sum::<f64>() / inputs.len() as f64;
    let compare = |(found, expected): (Vec<f32>, &Vec<f32>)| {
        let errors: Vec<f32> = expected.iter().zip(&found).map(|(a, b)| a - b).collect();
        let noise = (energy(&errors) / signal.max(f64::MIN_POSITIVE)).max(LEAST_NOISE);
        (
            (-10.0 * noise.log10()) as f32,
            greatest(expected) == greatest(&found),
        )
    };
    let (decibels, agree): (Vec<f32>, Vec<bool>) = outputs(network, inputs)
        .into_iter()
        .zip(expected)
        .map(compare)
        .unzip();
    let count = inputs.len() as f32;
    let fidelity = Fidelity {
        decibels: decibels.iter().sum::<f32>() / count,
        agreement: agree.iter().filter(|agree| **agree).count() as f32 / count,
    };
    Comparison { fidelity, decibels }
}

/// Likewise, over all inputs.
pub fn fidelity(network: &Network, inputs: &[Vec<f32>], expected: &[Vec<f32>]) -> Fidelity {
    compare(network, inputs, expected).fidelity
}

/// One inference on real numbers.
pub(crate) fn infer(model: &Model, input: &[f32]) -> Vec<f32> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(decibels: &[f32]) -> Comparison {
        Comparison {
            fidelity: Fidelity {
                decibels: decibels.iter().sum::<f32>() / decibels.len() as f32,
                agreement: 1.0,
            },
            decibels: decibels.to_vec(),
        }
    }

    #[test]
    fn a_gain_counts_that_most_inputs_share_and_not_one_that_a_single_input_makes() {
        let before = comparison(&[20.0, 25.0, 18.0, 22.0]);
        let all = comparison(&[20.5, 25.4, 18.6, 22.5]);
        let one = comparison(&[19.0, 24.0, 23.5, 21.0]);
        assert!(one.fidelity.decibels > all.fidelity.decibels);
        assert!(all.is_better(&before, 0.0) && !one.is_better(&before, 0.0));
        assert!(all.is_better(&before, 0.4) && !all.is_better(&before, 0.6));
        assert!(!before.is_better(&before, 0.0));
    }
}

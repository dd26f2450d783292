//! Weights of 4 bits where they cost least: flash for accuracy.
//!
//! Each layer alone gets weights of 4 bits, and how far that moves the network's outputs is measured. Layers are then
//! taken by what they move for each byte that they save, until the file is small enough. The activations stay as they are.

use crate::evaluate::operator_outputs;
use crate::inference::quantize;
use crate::network::{Linear, Network, Operation, TensorId};
use crate::plan::{Options, plan};
use crate::recipe::{Fidelity, fidelity, infer};
use crate::write::{WriteError, to_bytes};
use sepconv::fixed_point::Multiplier;
use sepconv::kernels;
use sepconv::{Element, Model};

/// Inputs that are run to see what a layer moves, at most.
pub const INPUTS: usize = 16;

/// Inputs whose activations are looked at, at most.
const LOOKED_AT: usize = 8;

/// The greatest weight of 4 bits; -8 is left out, so that ranges are symmetric.
const GREATEST: f64 = 7.0;

/// Why a network could not be made small enough.
#[derive(Debug, thiserror::Error)]
pub enum FourBitsError {
    /// Not even 4 bits everywhere do.
    #[error(
        "the file takes {least} bytes with weights of 4 bits in all layers, not {wanted}: allow more, or use a smaller network"
    )]
    TooSmall {
        /// The smallest file, in bytes.
        least: usize,
        /// What was asked for.
        wanted: usize,
    },
    /// The network does not fit the format.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// What became of a network.
#[derive(Clone, Debug)]
pub struct Shrunken {
    /// The names of the layers with weights of 4 bits.
    pub layers: Vec<String>,
    /// How near the outputs are to those before, on the inputs.
    pub fidelity: Fidelity,
}

/// Gives weights 4 bits until the file, as `size` measures it, has at most so many bytes. `inputs` are real ones (NHWC), at
/// least one; `progress` is told the share of layers that were looked at.
///
/// # Errors
///
/// [`FourBitsError`] if that cannot be reached; the network is then as it was.
///
/// # Panics
///
/// If there are no inputs, or one does not fit the network.
pub fn shrink(
    network: &mut Network,
    inputs: &[Vec<f32>],
    wanted: usize,
    size: &dyn Fn(&Network) -> Result<usize, WriteError>,
    progress: &dyn Fn(f32),
) -> Result<Option<Shrunken>, FourBitsError> {
    if size(network)? <= wanted {
        return Ok(None);
    }
    let inputs = &inputs[..inputs.len().min(INPUTS)];
    let kernels = kernels::best().target;
    let file = to_bytes(network, &plan(network, &Options::WHOLE), kernels)?;
    let model = Model::new(&file).expect("what was written can be read");
    let expected: Vec<Vec<f32>> = inputs.iter().map(|input| infer(&model, input)).collect();
    let activations = Activations::of(network, &model, inputs);

    let candidates: Vec<usize> = (0..network.nodes.len())
        .filter(|node| can_shrink(network, *node))
        .collect();
    let mut ranked = Vec::new();
    for (number, &node) in candidates.iter().enumerate() {
        let mut changed = network.clone();
        shrink_layer(&mut changed, node, &activations);
        let moved = 10f64.powf(-f64::from(fidelity(&changed, inputs, &expected).decibels) / 10.0);
        let saved = linear(network, node).map_or(0, |linear| linear.weights.len() / 2);
        ranked.push((moved / saved as f64, node));
        progress((number + 1) as f32 / candidates.len() as f32);
    }
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
    let with = |count: usize| {
        let mut changed = network.clone();
        for (_, node) in &ranked[..count] {
            shrink_layer(&mut changed, *node, &activations);
        }
        changed
    };
    let least = size(&with(ranked.len()))?;
    if least > wanted {
        return Err(FourBitsError::TooSmall { least, wanted });
    }
    // The fewest layers that do.
    let (mut too_few, mut enough) = (0, ranked.len());
    while too_few + 1 < enough {
        let middle = too_few.midpoint(enough);
        if size(&with(middle))? <= wanted {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    let mut layers: Vec<usize> = ranked[..enough].iter().map(|(_, node)| *node).collect();
    layers.sort_unstable();
    *network = with(enough);
    Ok(Some(Shrunken {
        layers: layers
            .iter()
            .map(|node| network.nodes[*node].name.clone())
            .collect(),
        fidelity: fidelity(network, inputs, &expected),
    }))
}

fn linear(network: &Network, node: usize) -> Option<&Linear> {
    match &network.nodes[node].operation {
        Operation::Convolution(linear)
        | Operation::Depthwise(linear)
        | Operation::Pointwise(linear)
        | Operation::FullyConnected(linear) => Some(linear),
        _ => None,
    }
}

/// Whether a node has weights of 8 bits beside activations of 8 bits (others have no form with 4), and multipliers that
/// stay at most 1: greater ones shift sums to the left, and could lose bits.
fn can_shrink(network: &Network, node: usize) -> bool {
    let narrow = |tensor: TensorId| network.tensors[tensor].element == Element::Int8;
    let (input, output) = (network.nodes[node].inputs[0], network.nodes[node].output);
    let fits = |multiplier: &Multiplier| multiplier.to_real() * 128.0 / GREATEST <= 1.0;
    let has_form = |linear: &Linear| linear.weight_bits == 8 && linear.multipliers.iter().all(fits);
    linear(network, node).is_some_and(has_form) && narrow(input) && narrow(output)
}

/// Of each channel of each tensor, the means of its values less the zero point and of their squares.
struct Activations {
    channels: Vec<Vec<(f64, f64)>>,
}

impl Activations {
    fn of(network: &Network, model: &Model, inputs: &[Vec<f32>]) -> Self {
        let mut channels: Vec<Vec<(f64, f64)>> = network
            .tensors
            .iter()
            .map(|tensor| vec![(0.0, 0.0); tensor.shape.channels as usize])
            .collect();
        let inputs = &inputs[..inputs.len().min(LOOKED_AT)];
        let mut add = |tensor: TensorId, values: &[i8]| {
            let known = &network.tensors[tensor];
            if known.element != Element::Int8 {
                return;
            }
            let count = (known.shape.pixels() * inputs.len()) as f64;
            let sums = &mut channels[tensor];
            for pixel in values.chunks_exact(sums.len()) {
                for (sums, value) in sums.iter_mut().zip(pixel) {
                    let value = f64::from(*value) - f64::from(known.zero_point);
                    sums.0 += value / count;
                    sums.1 += value * value / count;
                }
            }
        };
        for input in inputs {
            let bytes = quantize(input, &model.input());
            add(network.input, &bytes);
            let outputs = operator_outputs(model, &bytes).expect("the input fits the network");
            for (node, values) in network.nodes.iter().zip(outputs) {
                add(node.output, &values);
            }
        }
        Activations { channels }
    }
}

/// Gives the weights of a layer 4 bits: a scale for each output channel by which the sums change least, and a bias by
/// which their mean stays.
fn shrink_layer(network: &mut Network, node: usize, activations: &Activations) {
    let inputs = &activations.channels[network.nodes[node].inputs[0]];
    let depthwise = matches!(network.nodes[node].operation, Operation::Depthwise(_));
    let (Operation::Convolution(linear)
    | Operation::Depthwise(linear)
    | Operation::Pointwise(linear)
    | Operation::FullyConnected(linear)) = &mut network.nodes[node].operation
    else {
        unreachable!("only layers with weights are chosen");
    };
    let channels = linear.bias.len();
    let taps = linear.weights.len() / channels;
    for channel in 0..channels {
        // Where the weights of a channel are, and which channel of the input each meets.
        let place = |tap: usize| match depthwise {
            true => tap * channels + channel,
            false => channel * taps + tap,
        };
        let meets = |tap: usize| match depthwise {
            true => inputs[channel * inputs.len() / channels],
            false => inputs[tap % inputs.len()],
        };
        let weights: Vec<f64> = (0..taps)
            .map(|tap| f64::from(linear.weights[place(tap)]))
            .collect();
        let step = best_step(&weights, &meets);
        let mut shift = 0.0;
        for (tap, weight) in weights.iter().enumerate() {
            let value = rounded(*weight, step);
            shift += (weight - step * value) * meets(tap).0;
            linear.weights[place(tap)] = value as i8;
        }
        let multiplier = Multiplier::from_real(linear.multipliers[channel].to_real() * step);
        linear.multipliers[channel] = multiplier.expect("it is at most 1");
        linear.bias[channel] = ((linear.bias[channel] as f64 + shift) / step).round() as i64;
    }
    linear.weight_bits = 4;
}

fn rounded(weight: f64, step: f64) -> f64 {
    (weight / step).round().clamp(-GREATEST, GREATEST)
}

/// The step, in steps of the 8-bit weights, whose rounding moves the sums least: each weight's error counts as much as the
/// input that it meets holds.
fn best_step(weights: &[f64], meets: &dyn Fn(usize) -> (f64, f64)) -> f64 {
    /// Shares of the greatest weight, in hundredths: beyond it weights are clipped.
    const SHARES: [u8; 9] = [100, 94, 88, 82, 76, 70, 64, 58, 52];
    let widest = weights
        .iter()
        .fold(0f64, |widest, weight| widest.max(weight.abs()));
    if widest == 0.0 {
        return 1.0;
    }
    // Weights are whole already: smaller steps than one only let biases grow.
    let steps = SHARES.map(|share| (widest * f64::from(share) / 100.0 / GREATEST).max(1.0));
    let loss = |step: f64| -> f64 {
        let weights = weights.iter().enumerate();
        let error =
            |(tap, weight): (usize, &f64)| (weight - step * rounded(*weight, step)).powi(2) * meets(tap).1;
        weights.map(error).sum()
    };
    let losses = steps.map(|step| (loss(step), step));
    losses
        .into_iter()
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(1.0, |best| best.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::classifier;
    use sepconv::layout::Target;

    fn inputs() -> Vec<Vec<f32>> {
        let value = |index: usize| ((index * index * 31 + index * 7) % 256) as f32 / 127.5 - 1.0;
        (0..4)
            .map(|number| (0..192).map(|index| value(index + number * 192)).collect())
            .collect()
    }

    fn size(network: &Network) -> Result<usize, WriteError> {
        Ok(to_bytes(network, &plan(network, &Options::SMALLEST), Target::Plain)?.len())
    }

    #[test]
    fn the_file_becomes_as_small_as_asked() {
        let mut network = classifier(1);
        let whole = size(&network).unwrap();
        let enough = shrink(&mut network, &inputs(), whole, &size, &|_| ()).unwrap();
        assert!(enough.is_none());
        // All weights together have 216 + 72 + 128 + 64 bytes.
        let shrunken = shrink(&mut network, &inputs(), whole - 100, &size, &|_| ()).unwrap();
        let shrunken = shrunken.expect("some layers");
        assert!(size(&network).unwrap() <= whole - 100);
        let four: Vec<&str> = network
            .nodes
            .iter()
            .enumerate()
            .filter(|(node, _)| linear(&network, *node).is_some_and(|linear| linear.weight_bits == 4))
            .map(|(_, node)| &*node.name)
            .collect();
        assert_eq!(four, shrunken.layers);
        assert!(!four.is_empty() && four.len() < 4);
        assert!(shrunken.fidelity.decibels > 10.0, "{:?}", shrunken.fidelity);
        let before = network.clone();
        let error = shrink(&mut network, &inputs(), 100, &size, &|_| ()).unwrap_err();
        assert!(error.to_string().contains("in all layers, not 100"), "{error}");
        assert_eq!(size(&network).unwrap(), size(&before).unwrap());
    }

    #[test]
    fn a_step_clips_what_meets_little() {
        let even = |_: usize| (0.0, 1.0);
        assert_eq!(best_step(&[7.0, -3.0, 1.0], &even), 1.0);
        assert_eq!(best_step(&[2.0, -3.0, 1.0], &even), 1.0);
        assert_eq!(best_step(&[0.0, 0.0], &even), 1.0);
        let little = |tap: usize| (0.0, if tap == 0 { 1e-9 } else { 1.0 });
        assert!(best_step(&[127.0, -60.0, 33.0, 47.0], &little) < 0.9 * 127.0 / 7.0);
    }

    #[test]
    fn biases_keep_the_mean() {
        let mut network = classifier(2);
        let file = to_bytes(&network, &plan(&network, &Options::WHOLE), kernels::best().target).unwrap();
        let activations = Activations::of(&network, &Model::new(&file).unwrap(), &inputs());
        let node = (0..network.nodes.len())
            .find(|node| can_shrink(&network, *node))
            .unwrap();
        let mean = |network: &Network| -> Vec<f64> {
            let linear = linear(network, node).unwrap();
            let taps = linear.weights.len() / linear.bias.len();
            let inputs = &activations.channels[network.nodes[node].inputs[0]];
            let row = |channel: usize| {
                let weights = linear.weights[channel * taps..(channel + 1) * taps]
                    .iter()
                    .enumerate();
                let sum: f64 = weights
                    .map(|(tap, weight)| f64::from(*weight) * inputs[tap % inputs.len()].0)
                    .sum();
                (sum + linear.bias[channel] as f64) * linear.multipliers[channel].to_real()
            };
            (0..linear.bias.len()).map(row).collect()
        };
        let before = mean(&network);
        shrink_layer(&mut network, node, &activations);
        for (before, after) in before.iter().zip(mean(&network)) {
            let half_a_step = linear(&network, node).unwrap().multipliers[0].to_real();
            assert!((before - after).abs() <= half_a_step, "{before} became {after}");
        }
    }
}

//! Layer after layer: rounds the weights of each linear layer so that what it makes of the inputs that it really gets in
//! the quantized network changes least, and sets its bias so that the mean is that of the float layer.

use super::prefix::Prefix;
use super::rounding::{Moments, second_moments};
use super::samples::{Sampler, Samples};
use crate::calibrate::Range;
use crate::convert::{ConvertError, Precision, weight_scales, widen_for_bias};
use crate::float::run_with;
use crate::graph::{Graph, Node, Operator, QuantizedWeights};
use rayon::prelude::*;

/// How weights are rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rounding {
    /// Scales of weights may be so small that some weights are clipped.
    pub clip: bool,
}

/// Rounds the weights of all float linear layers of a graph and fits their biases. The graph's activations must have their
/// quantization ([`pin`](crate::convert::pin)).
///
/// # Errors
///
/// If a part of the graph has no integer form.
pub fn reconstruct(
    graph: &mut Graph,
    ranges: &[Range],
    precision: &Precision,
    inputs: &[Vec<f32>],
    rounding: Rounding,
    progress: &dyn Fn(&str, f32),
) -> Result<(), ConvertError> {
    let means = float_means(graph, inputs, progress);
    let mut prefix = Prefix::new(graph, ranges, precision, inputs);
    let count = graph.nodes.len();
    for (index, float_mean) in means.into_iter().enumerate() {
        let Some(float_mean) = float_mean else { continue };
        progress("rounding weights", index as f32 / count as f32);
        let mut sampler = Sampler::new(graph, &graph.nodes[index]);
        let scale = prefix.for_each_input_of(graph, index, |image, values| {
            sampler.add(graph, &graph.nodes[index], values, image, inputs.len());
        })?;
        let seen = sampler.finish();
        fit(
            &mut graph.nodes[index].operator,
            &float_mean,
            &seen,
            scale,
            rounding,
        );
    }
    Ok(())
}

/// For each float linear node, the mean of each of its inputs in the float network, at the pixels that are sampled.
fn float_means(graph: &Graph, inputs: &[Vec<f32>], progress: &dyn Fn(&str, f32)) -> Vec<Option<Vec<f32>>> {
    let linear = |node: &Node| node.operator.weights().is_some_and(|w| w.quantized.is_none());
    let mut sums: Vec<Option<(Vec<f32>, usize)>> = graph
        .nodes
        .iter()
        .map(|node| linear(node).then(|| (vec![0.0; Sampler::new(graph, node).size()], 0)))
        .collect();
    for (image, input) in inputs.iter().enumerate() {
        progress("sampling layers", image as f32 / inputs.len() as f32);
        run_with(graph, input, |id, values| {
            for (node, sums) in graph.nodes.iter().zip(&mut sums) {
                let Some((sums, count)) = sums.as_mut().filter(|_| node.inputs[0] == id) else {
                    continue;
                };
                let mut sampler = Sampler::new(graph, node);
                sampler.add(graph, node, values, image, inputs.len());
                for row in sampler.rows().chunks_exact(sums.len()) {
                    *count += 1;
                    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
            }
        })
        .expect("the inputs have been run before");
    }
    let mean = |(sums, count): (Vec<f32>, usize)| sums.into_iter().map(|sum| sum / count as f32).collect();
    sums.into_iter().map(|sums| sums.map(mean)).collect()
}

/// Rounds the weights of an operator whose input has the given scale.
fn fit(operator: &mut Operator, float_mean: &[f32], seen: &Samples, input_scale: f32, rounding: Rounding) {
    let weights = operator.weights().expect("only linear nodes are fitted");
    let rows = rows_of(operator);
    let mut least = vec![0f32; rows.len()];
    widen_for_bias(&mut least, |channel| weights.bias_of(channel), input_scale);
    let widest = weight_scales(operator, weights, rows.len());
    let round = |output: usize, moments: &Moments| {
        let scale = if rounding.clip {
            moments.scale(&rows[output])
        } else {
            widest[output]
        };
        let scale = scale.max(least[output]);
        let values = moments.round(&rows[output], scale);
        Row { values, scale }
    };
    // The samples that an output channel sees.
    let per_channel = match &*operator {
        Operator::Depthwise(depthwise) => Some((depthwise.channels, depthwise.multiplier)),
        _ => None,
    };
    let fitted: Vec<Row> = match per_channel {
        Some((channels, multiplier)) => (0..rows.len())
            .into_par_iter()
            .map(|output| {
                let samples = seen.of_channel(output / multiplier, channels);
                let taps = seen.size / channels;
                let moments = second_moments(taps, &samples);
                round(output, &Moments::new(taps, &moments, samples.len() / taps))
            })
            .collect(),
        None => {
            let count = seen.values.len() / seen.size;
            let moments = Moments::new(seen.size, &second_moments(seen.size, &seen.values), count);
            (0..rows.len())
                .into_par_iter()
                .map(|output| round(output, &moments))
                .collect()
        }
    };
    let bias = |(output, (row, fitted)): (usize, (&Vec<f32>, &Row))| {
        let sum = |mean: &[f32], weight: &dyn Fn(usize) -> f32| -> f64 {
            let (first, step) =
                per_channel.map_or((0, 1), |(channels, multiplier)| (output / multiplier, channels));
            let means = mean.iter().skip(first).step_by(step).enumerate();
            means.map(|(index, mean)| (weight(index) * mean) as f64).sum()
        };
        let wanted = sum(float_mean, &|index| row[index]);
        let made = sum(&seen.mean, &|index| fitted.values[index] as f32 * fitted.scale);
        weights.bias_of(output) + (wanted - made) as f32
    };
    let biases: Vec<f32> = rows.iter().zip(&fitted).enumerate().map(bias).collect();
    store(operator, &fitted, biases);
}

/// The weights of an output channel, rounded.
struct Row {
    values: Vec<i8>,
    scale: f32,
}

/// Weights by output channel.
fn rows_of(operator: &Operator) -> Vec<Vec<f32>> {
    let mut rows = Vec::new();
    let weights = operator.weights().expect("a linear operator");
    for (index, value) in weights.values.iter().enumerate() {
        let channel = operator.weight_channel(index);
        if channel >= rows.len() {
            rows.resize(channel + 1, Vec::new());
        }
        rows[channel].push(*value);
    }
    rows
}

fn store(operator: &mut Operator, rows: &[Row], bias: Vec<f32>) {
    let count = operator.weights().map_or(0, |weights| weights.values.len());
    let mut next = vec![0usize; rows.len()];
    let mut values = Vec::with_capacity(count);
    let mut reals = Vec::with_capacity(count);
    for index in 0..count {
        let channel = operator.weight_channel(index);
        let value = rows[channel].values[next[channel]];
        next[channel] += 1;
        values.push(value);
        reals.push(value as f32 * rows[channel].scale);
    }
    let weights = operator.weights_mut().expect("a linear operator");
    (weights.values, weights.bias) = (reals, bias);
    weights.quantized = Some(QuantizedWeights {
        values,
        scales: rows.iter().map(|row| row.scale).collect(),
        bias: None,
    });
}

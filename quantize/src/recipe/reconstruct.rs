//! Layer after layer: rounds the weights of each linear layer so that what it makes of the inputs that it really gets in
//! the quantized network changes least, and moves its bias by what rounding the weights moved the mean.
//!
//! Biases do not make up for what the layers before changed: where a few inputs have values far outside all others', which
//! are clipped, that would move the mean of all others away from where it belongs.

use super::prefix::Prefix;
use super::rounding::{Moments, second_moments};
use super::samples::{Sampler, Samples};
use crate::calibrate::Range;
use crate::convert::{ConvertError, Precision, widen_for_bias};
use crate::graph::{Graph, Operator, QuantizedWeights};
use rayon::prelude::*;

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
    progress: &dyn Fn(&str, f32),
) -> Result<(), ConvertError> {
    let mut prefix = Prefix::new(graph, ranges, precision, inputs);
    let count = graph.nodes.len();
    for index in 0..count {
        let weights = graph.nodes[index].operator.weights();
        if weights.is_none_or(|weights| weights.quantized.is_some()) {
            continue;
        }
        progress("rounding weights", index as f32 / count as f32);
        let mut sampler = Sampler::new(graph, &graph.nodes[index]);
        let scale = prefix.for_each_input_of(graph, index, |image, values| {
            sampler.add(graph, &graph.nodes[index], values, image, inputs.len());
        })?;
        let seen = sampler.finish();
        fit(&mut graph.nodes[index].operator, &seen, scale);
    }
    Ok(())
}

/// Rounds the weights of an operator whose input has the given scale.
fn fit(operator: &mut Operator, seen: &Samples, input_scale: f32) {
    let weights = operator.weights().expect("only linear nodes are fitted");
    let rows = rows_of(operator);
    let mut least = vec![0f32; rows.len()];
    widen_for_bias(&mut least, |channel| weights.bias_of(channel), input_scale);
    let round = |output: usize, moments: &Moments| {
        let scale = moments.scale(&rows[output]).max(least[output]);
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
        let (first, step) =
            per_channel.map_or((0, 1), |(channels, multiplier)| (output / multiplier, channels));
        let means = seen.mean.iter().skip(first).step_by(step);
        let moved: f64 = means
            .zip(row)
            .zip(&fitted.values)
            .map(|((mean, weight), value)| f64::from((weight - *value as f32 * fitted.scale) * mean))
            .sum();
        weights.bias_of(output) + moved as f32
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

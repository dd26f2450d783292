//! Accuracy, and how near each layer is to its float original.

use crate::float;
use crate::graph::Graph;
use crate::inference::{dequantize, quantize};
use sepconv::{AlignedVec, Model, Observer, RunError};
use std::collections::HashMap;

/// How many outputs come before a class's: those that are greater, and among equals those of lower number.
pub fn rank(outputs: &[f32], class: usize) -> usize {
    let own = outputs[class];
    let before = |(other, value): &(usize, &f32)| **value > own || **value == own && *other < class;
    outputs.iter().enumerate().filter(before).count()
}

/// How near an operator's int8 output is to the float one.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Layer {
    /// The operator's name.
    pub name: String,
    /// Signal to noise in decibels. Each channel is compared up to a factor, since equalization scales channels.
    pub decibels: f64,
}

/// Compares the output of every operator that has the name of a node of the float graph, over some inputs (NHWC).
///
/// # Panics
///
/// If an input does not fit the network.
pub fn layers(model: &Model, names: &[String], graph: &Graph, inputs: &[Vec<f32>]) -> Vec<Layer> {
    let nodes: HashMap<&str, usize> = graph
        .nodes
        .iter()
        .map(|node| (node.name.as_str(), node.output.0))
        .collect();
    let mut sums: Vec<Vec<Sums>> = Vec::new();
    for input in inputs {
        let mut float_outputs: HashMap<usize, Vec<f32>> = HashMap::new();
        float::run_with(graph, input, |id, values| {
            float_outputs.insert(id.0, values.to_vec());
        })
        .expect("the input fits");
        let outputs = operator_outputs(model, &quantize(input, &model.input())).expect("the input fits");
        sums.resize_with(model.operator_count(), Vec::new);
        for (number, bytes) in outputs.iter().enumerate() {
            let tensor = model.tensor(model.record(number).expect("it ran").output);
            let real = names
                .get(number)
                .and_then(|name| nodes.get(name.as_str()))
                .and_then(|id| float_outputs.get(id));
            let Some(real) = real.filter(|real| real.len() == tensor.shape.values()) else {
                continue;
            };
            let channels = tensor.shape.channels as usize;
            sums[number].resize(channels, Sums::default());
            for (index, (real, found)) in real.iter().zip(dequantize(bytes, &tensor)).enumerate() {
                sums[number][index % channels].add(*real as f64, found as f64);
            }
        }
    }
    let compared = sums
        .iter()
        .enumerate()
        .filter(|(_, channels)| !channels.is_empty());
    compared
        .map(|(number, channels)| Layer {
            name: names[number].clone(),
            decibels: decibels(channels),
        })
        .collect()
}

/// The bytes of every operator's whole output (NHWC), in the model's order, for the bytes of one input.
///
/// # Errors
///
/// [`RunError`] if the input does not fit.
pub fn operator_outputs(model: &Model, input: &[i8]) -> Result<Vec<Vec<i8>>, RunError> {
    let mut record = Recorder {
        outputs: vec![Vec::new(); model.operator_count()],
    };
    let mut arena = AlignedVec::zeroed(model.arena_len());
    let mut output = vec![0; model.output().bytes()];
    model.run_observed(input, &mut arena, &mut output, &mut record)?;
    Ok(record.outputs)
}

/// Sums over one channel, from which the least squared error under any factor follows.
#[derive(Clone, Copy, Default)]
struct Sums {
    real_real: f64,
    real_found: f64,
    found_found: f64,
}

impl Sums {
    fn add(&mut self, real: f64, found: f64) {
        self.real_real += real * real;
        self.real_found += real * found;
        self.found_found += found * found;
    }

    /// `min over s of Σ (real − s × found)²`.
    fn noise(&self) -> f64 {
        if self.found_found == 0.0 {
            return self.real_real;
        }
        (self.real_real - self.real_found * self.real_found / self.found_found).max(0.0)
    }
}

fn decibels(channels: &[Sums]) -> f64 {
    let signal: f64 = channels.iter().map(|sums| sums.real_real).sum();
    let noise: f64 = channels.iter().map(Sums::noise).sum();
    // An exact layer would be infinitely good, which JSON cannot say.
    (10.0 * (signal / noise.max(signal * 1e-12)).log10()).clamp(-120.0, 120.0)
}

/// Keeps the whole output of every operator.
struct Recorder {
    outputs: Vec<Vec<i8>>,
}

impl Observer for Recorder {
    fn after(&mut self, operator: usize, _first_row: usize, rows: &[i8]) {
        self.outputs[operator].extend_from_slice(rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_what_comes_before() {
        let outputs = [0.5, 2.0, 0.5, -1.0];
        assert_eq!([0, 1, 2, 3].map(|class| rank(&outputs, class)), [1, 0, 2, 3]);
    }

    #[test]
    fn noise_ignores_a_channels_factor() {
        let mut scaled = Sums::default();
        let mut noisy = Sums::default();
        for step in 0..100 {
            let real = (step as f64 * 0.7).sin();
            scaled.add(real, real * 3.0);
            noisy.add(real, real + if step % 2 == 0 { 0.1 } else { -0.1 });
        }
        assert_eq!(decibels(&[scaled]), 120.0);
        assert!(
            (15.0..19.0).contains(&decibels(&[noisy])),
            "{}",
            decibels(&[noisy])
        );
    }
}

//! Bias correction: moves the biases of a quantized network so that each layer makes what it makes in floating point.
//!
//! (Empirical bias correction, as Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
//! Correction", but by the median over pixels instead of the mean. Values that the ranges cut off move the mean; a bias
//! that brought it back would move all the other values away from where they belong.)

use super::prefix::Prefix;
use super::samples::spread;
use crate::calibrate::Range;
use crate::convert::{ConvertError, Precision};
use crate::float::{InputLengthError, run_with};
use crate::graph::{Graph, Node, TensorId};
use rayon::prelude::*;

/// Pixels of a layer's output that are compared at most, over all inputs.
const MOST: usize = 1024;

/// Fewer pixels than this say nothing about a channel.
const FEWEST: usize = 32;

/// What the linear layers of a float graph make at some pixels: for each node, pixel after pixel, all channels. Empty for
/// other nodes.
pub struct FloatOutputs(Vec<Vec<f32>>);

impl FloatOutputs {
    /// Runs the graph on all inputs.
    ///
    /// # Errors
    ///
    /// If an input does not fit.
    pub fn new(
        graph: &Graph,
        inputs: &[Vec<f32>],
        progress: &dyn Fn(&str, f32),
    ) -> Result<Self, InputLengthError> {
        let mut maker = vec![None; graph.tensors.len()];
        for (index, node) in graph.nodes.iter().enumerate() {
            maker[node.output.0] = node.operator.weights().map(|_| index);
        }
        let mut made = vec![Vec::new(); graph.nodes.len()];
        for (image, input) in inputs.iter().enumerate() {
            progress("running the float network", image as f32 / inputs.len() as f32);
            run_with(graph, input, |TensorId(tensor), values| {
                if let Some(index) = maker[tensor] {
                    sample(
                        graph,
                        &graph.nodes[index],
                        values,
                        (image, inputs.len()),
                        &mut made[index],
                    );
                }
            })?;
        }
        Ok(Self(made))
    }
}

/// Appends a node's output at some pixels of image `image` of `images`.
fn sample(graph: &Graph, node: &Node, values: &[f32], (image, images): (usize, usize), to: &mut Vec<f32>) {
    let shape = graph.shape(node.output);
    for pixel in spread(shape.pixels(), MOST.div_ceil(images), image) {
        to.extend(&values[pixel * shape.channels..][..shape.channels]);
    }
}

/// Moves the biases of all linear layers whose weights no source quantized, the first first. The graph's activations must
/// have their quantization ([`pin`](crate::convert::pin)).
///
/// # Errors
///
/// If a part of the graph has no integer form.
pub fn correct_biases(
    graph: &mut Graph,
    wanted: &FloatOutputs,
    ranges: &[Range],
    precision: &Precision,
    inputs: &[Vec<f32>],
    progress: &dyn Fn(&str, f32),
) -> Result<(), ConvertError> {
    let mut prefix = Prefix::new(graph, ranges, precision, inputs);
    let count = graph.nodes.len();
    for (index, wanted) in wanted.0.iter().enumerate() {
        let fixed = |quantized: &crate::graph::QuantizedWeights| quantized.bias.is_some();
        let weights = graph.nodes[index].operator.weights();
        if weights.is_none_or(|weights| weights.quantized.as_ref().is_some_and(fixed)) {
            continue;
        }
        progress("correcting biases", index as f32 / count as f32);
        let mut made = Vec::with_capacity(wanted.len());
        prefix.for_each_output_of(graph, index, |image, values| {
            sample(
                graph,
                &graph.nodes[index],
                values,
                (image, inputs.len()),
                &mut made,
            );
        })?;
        let node = &mut graph.nodes[index];
        let (channels, clamp) = (graph.tensors[node.output.0].shape.channels, node.clamp);
        let within = |value: f32| value > clamp.min && value < clamp.max;
        let moved: Vec<f32> = (0..channels)
            .into_par_iter()
            .map(|channel| {
                let pixels = wanted[channel..].iter().zip(&made[channel..]).step_by(channels);
                // Where either is cut off, they tell nothing.
                let open = pixels.filter(|(wanted, made)| within(**wanted) && within(**made));
                median(open.map(|(wanted, made)| wanted - made).collect())
            })
            .collect();
        let weights = node.operator.weights_mut().expect("a linear operator");
        weights.bias = (0..channels)
            .map(|channel| weights.bias_of(channel) + moved[channel])
            .collect();
    }
    Ok(())
}

/// The median; 0 of too few.
fn median(mut values: Vec<f32>) -> f32 {
    if values.len() < FEWEST {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::{Method, Statistics};
    use crate::convert::pin;
    use crate::rewrite::testing::{Builder, random};

    /// Biases of the first layer after correction: as the float graph has them, or all lower by `offset`, with the range of
    /// that layer's output as seen or cut off at `reach` on the upper side.
    fn corrected(offset: f32, reach: f32) -> (Vec<f32>, Vec<f32>, f32) {
        let graph = Builder::new(12, 12, 3)
            .convolution(8, 3, 1)
            .convolution(4, 1, 0)
            .finish();
        let elements = graph.shape(graph.input).elements();
        let inputs: Vec<Vec<f32>> = (0..16).map(|seed| random(elements, seed)).collect();
        let mut statistics = Statistics::new(&graph);
        for input in &inputs {
            statistics.add(&graph, input).expect("the input fits");
        }
        let mut ranges = statistics.ranges(Method::MinMax);
        let range = &mut ranges[graph.nodes[0].output.0];
        range.max *= reach;
        let step = (range.max - range.min) / 255.0;
        let wanted = FloatOutputs::new(&graph, &inputs, &|_, _| ()).expect("the inputs fit");
        let (mut moved, precision) = (graph.clone(), Precision::narrow());
        pin(&mut moved, &ranges, &precision);
        let biases = |graph: &Graph| -> Vec<f32> {
            let weights = graph.nodes[0].operator.weights().expect("a convolution");
            (0..8).map(|channel| weights.bias_of(channel)).collect()
        };
        let before = biases(&graph);
        let weights = moved.nodes[0].operator.weights_mut().expect("a convolution");
        weights.bias = before.iter().map(|bias| bias - offset).collect();
        correct_biases(&mut moved, &wanted, &ranges, &precision, &inputs, &|_, _| ()).expect("it converts");
        (before, biases(&moved), step)
    }

    #[test]
    fn a_bias_that_is_off_is_brought_back() {
        let (before, after, step) = corrected(0.5, 1.0);
        for (before, after) in before.iter().zip(&after) {
            assert!(
                (before - after).abs() < step,
                "{before} became {after}, steps {step}"
            );
        }
    }

    #[test]
    fn values_that_a_range_cuts_off_do_not_move_biases() {
        let (before, after, step) = corrected(0.0, 0.4);
        for (before, after) in before.iter().zip(&after) {
            assert!(
                (before - after).abs() < step,
                "{before} became {after}, steps {step}"
            );
        }
    }

    #[test]
    fn a_few_pixels_move_nothing() {
        assert_eq!(median(vec![1.0; FEWEST - 1]), 0.0);
        assert_eq!(median((0..101).map(|value| value as f32).collect()), 50.0);
    }
}

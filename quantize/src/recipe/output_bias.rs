//! Correction of the biases of the layer that makes the output.

use super::measure::outputs;
use super::mixed;
use crate::calibrate::Range;
use crate::convert::{ConvertError, Precision, convert};
use crate::graph::{Clamp, Graph};
use crate::network::Metadata;

/// Adds to the biases of the last layer what the outputs lack on the mean over inputs, of which `expected` are the float
/// outputs (empirical bias correction: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias
/// Correction", appendix D). Inner layers are left alone: see [`reconstruct`](super::reconstruct()).
///
/// Returns whether there is such a layer with biases that the source leaves open.
///
/// # Errors
///
/// If the graph has no integer form.
pub fn correct_output_bias(
    graph: &mut Graph,
    ranges: &[Range],
    precision: &Precision,
    inputs: &[Vec<f32>],
    expected: &[Vec<f32>],
) -> Result<bool, ConvertError> {
    let Some(layer) = mixed::output_layer(graph) else {
        return Ok(false);
    };
    let node = &graph.nodes[layer];
    let channels = graph.shape(node.output).channels;
    let quantized = node
        .operator
        .weights()
        .and_then(|weights| weights.quantized.as_ref());
    if node.clamp != Clamp::NONE || quantized.is_some_and(|quantized| quantized.bias.is_some()) {
        return Ok(false);
    }
    let network = convert(graph, ranges, precision, Metadata::default())?;
    // A channel's mean is over all its pixels as well, if the output has several.
    let mut lacking = vec![0f64; channels];
    let mut count = 0;
    for (expected, found) in expected.iter().zip(outputs(&network, inputs)) {
        for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
            lacking[index % channels] += f64::from(expected - found);
        }
        count += expected.len() / channels;
    }
    let weights = graph.nodes[layer].operator.weights_mut();
    let weights = weights.expect("the output is a linear layer's");
    weights.bias = (0..channels)
        .map(|channel| weights.bias_of(channel) + (lacking[channel] / count.max(1) as f64) as f32)
        .collect();
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::{Method, Statistics};
    use crate::graph::Operator;
    use crate::rewrite::testing::{Builder, random};

    #[test]
    fn outputs_are_right_on_the_mean_again() {
        let graph = Builder::new(4, 4, 3)
            .convolution(8, 3, 1)
            .convolution(5, 1, 0)
            .operator(Operator::GlobalAveragePool)
            .finish();
        let inputs: Vec<Vec<f32>> = (0..16).map(|seed| random(48, seed)).collect();
        let mut statistics = Statistics::new(&graph);
        let expected: Vec<Vec<f32>> = inputs
            .iter()
            .map(|input| statistics.add(&graph, input).unwrap())
            .collect();
        let ranges = statistics.ranges(Method::MinMax);
        let precision = Precision::narrow();
        // What rounding and clipping do to a mean, but more of it.
        let mut moved = graph.clone();
        let layer = mixed::output_layer(&moved).expect("there is one");
        moved.nodes[layer].operator.weights_mut().unwrap().bias[3] -= 0.1;
        let off = |graph: &Graph| {
            let network = convert(graph, &ranges, &precision, Metadata::default()).unwrap();
            let found = outputs(&network, &inputs);
            let lacking = expected
                .iter()
                .zip(&found)
                .map(|(expected, found)| expected[3] - found[3]);
            lacking.sum::<f32>() / inputs.len() as f32
        };
        let before = off(&moved);
        assert!(correct_output_bias(&mut moved, &ranges, &precision, &inputs, &expected).unwrap());
        // Some outputs lay beyond what the range holds, and seemed to lack less.
        let after = off(&moved);
        assert!(
            (before - 0.1).abs() < 0.03 && after.abs() < 0.2 * before,
            "{before} became {after}"
        );
    }

    #[test]
    fn an_output_that_no_layer_makes_is_left_alone() {
        let mut graph = Builder::new(4, 4, 3)
            .operator(Operator::GlobalAveragePool)
            .finish();
        let ranges = vec![Range { min: -1.0, max: 1.0 }; graph.tensors.len()];
        let before = graph.clone();
        assert!(!correct_output_bias(&mut graph, &ranges, &Precision::narrow(), &[], &[]).unwrap());
        assert_eq!(graph, before);
    }
}

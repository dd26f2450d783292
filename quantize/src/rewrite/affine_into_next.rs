//! Batch normalization (or another affine map) before a convolution is folded into it:
//! `W (s x + t) + b = (W s) x + (W t + b)`. With padding only where `t` is 0, since padding stays 0.

use super::mergeable_producer;
use crate::graph::{Affine, Graph, Operator};

/// Folds affine nodes into the convolution, depthwise convolution or fully connected layer after them.
pub fn fold_affine_into_next(graph: &mut Graph) -> bool {
    let mut changed = false;
    let mut index = 0;
    while index < graph.nodes.len() {
        let Some(before) = foldable(graph, index) else {
            index += 1;
            continue;
        };
        let Operator::Affine(affine) = graph.nodes[before].operator.clone() else {
            unreachable!("checked by foldable")
        };
        let input = graph.nodes[before].inputs[0];
        fold(&mut graph.nodes[index].operator, &affine);
        graph.nodes[index].inputs[0] = input;
        graph.nodes.remove(before);
        changed = true;
    }
    changed
}

fn foldable(graph: &Graph, index: usize) -> Option<usize> {
    let node = &graph.nodes[index];
    let quantized = node.operator.weights()?.quantized.is_some();
    let before = mergeable_producer(graph, node.inputs[0])?;
    let Operator::Affine(affine) = &graph.nodes[before].operator else {
        return None;
    };
    let pads = match &node.operator {
        Operator::Convolution(c) => !c.window.padding.is_none(),
        Operator::Depthwise(d) => !d.window.padding.is_none(),
        _ => false,
    };
    let shifts = affine.offset.iter().any(|&t| t != 0.0);
    (!quantized && graph.nodes[before].clamp.is_none() && !(pads && shifts)).then_some(before)
}

/// Changes weights and bias so that the operator reads the affine map's input.
fn fold(operator: &mut Operator, affine: &Affine) {
    let shape = operator.clone();
    // The input channel that a weight multiplies; fully connected layers read NHWC, where channels repeat.
    let input_channel = |i: usize| match &shape {
        Operator::Convolution(c) => i % c.in_channels,
        Operator::Depthwise(d) => i % (d.channels * d.multiplier) / d.multiplier,
        Operator::FullyConnected(f) => i % f.inputs % affine.scale.len(),
        _ => unreachable!("only operators with weights are folded into"),
    };
    let outputs = match &shape {
        Operator::Convolution(c) => c.out_channels,
        Operator::Depthwise(d) => d.channels * d.multiplier,
        Operator::FullyConnected(f) => f.outputs,
        _ => unreachable!("only operators with weights are folded into"),
    };
    let weights = operator.weights_mut().expect("checked by foldable");
    let mut bias: Vec<f64> = (0..outputs).map(|o| f64::from(weights.bias_of(o))).collect();
    for (i, value) in weights.values.iter_mut().enumerate() {
        let c = input_channel(i);
        bias[shape.weight_channel(i)] += f64::from(*value) * f64::from(affine.offset[c]);
        *value *= affine.scale[c];
    }
    weights.bias = bias.into_iter().map(|b| b as f32).collect();
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Builder, assert_unchanged};
    use super::*;

    #[test]
    fn folds_into_every_kind_of_layer() {
        let graph = Builder::new(7, 6, 5)
            .affine()
            .convolution(8, 3, 0)
            .fused_relu()
            .affine()
            .depthwise_unpadded(3, 2)
            .fused_relu()
            .affine()
            .fully_connected(4)
            .finish();
        let after = assert_unchanged(&graph, fold_affine_into_next);
        assert_eq!(after.nodes.len(), 3);
    }

    #[test]
    fn an_offset_is_not_folded_into_a_padded_convolution() {
        let graph = Builder::new(7, 6, 5).affine().convolution(8, 3, 1).finish();
        assert!(!fold_affine_into_next(&mut graph.clone()));
    }

    #[test]
    fn a_pure_factor_is_folded_into_a_padded_convolution() {
        let mut graph = Builder::new(7, 6, 5).affine().convolution(8, 3, 1).finish();
        let Operator::Affine(affine) = &mut graph.nodes[0].operator else {
            panic!("the first node is affine")
        };
        affine.offset.fill(0.0);
        let after = assert_unchanged(&graph, fold_affine_into_next);
        assert_eq!(after.nodes.len(), 1);
    }
}

//! Batch normalization (or another affine map) after a convolution is folded into the convolution's weights and bias:
//! `s * (W x + b) + t = (s W) x + (s b + t)` (Jacob et al., 2018, section 3.2).

use super::mergeable_producer;
use crate::graph::{Graph, Operator};

/// Folds affine nodes into the convolution, depthwise convolution or fully connected layer before them.
pub fn fold_affine_into_previous(graph: &mut Graph) -> bool {
    let mut changed = false;
    let mut index = 0;
    while index < graph.nodes.len() {
        let Some(previous) = foldable(graph, index) else {
            index += 1;
            continue;
        };
        let affine_node = graph.nodes.remove(index);
        let Operator::Affine(affine) = affine_node.operator else {
            unreachable!("checked by foldable")
        };
        let node = &mut graph.nodes[previous];
        let operator = node.operator.clone();
        let weights = node.operator.weights_mut().expect("checked by foldable");
        weights.scale_outputs(&affine.scale, &affine.offset, |i| operator.weight_channel(i));
        node.output = affine_node.output;
        node.clamp = affine_node.clamp;
        changed = true;
    }
    changed
}

fn foldable(graph: &Graph, index: usize) -> Option<usize> {
    let node = &graph.nodes[index];
    let Operator::Affine(_) = node.operator else {
        return None;
    };
    let previous = mergeable_producer(graph, node.inputs[0])?;
    let weights = graph.nodes[previous].operator.weights()?;
    (weights.quantized.is_none() && graph.nodes[previous].clamp.is_none()).then_some(previous)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Builder, assert_unchanged};
    use super::*;

    #[test]
    fn folds_into_every_kind_of_layer() {
        let graph = Builder::new(7, 6, 5)
            .convolution(8, 3, 1)
            .affine()
            .depthwise(3, 2)
            .affine()
            .convolution(6, 1, 1)
            .affine()
            .fused_relu()
            .fully_connected(4)
            .affine()
            .finish();
        let after = assert_unchanged(&graph, fold_affine_into_previous);
        assert_eq!(after.nodes.len(), 4);
        assert!(!after.nodes[2].clamp.is_none());
    }

    #[test]
    fn a_branch_before_the_normalization_keeps_it() {
        let mut builder = Builder::new(7, 6, 5).convolution(5, 1, 1);
        let branch = builder.last();
        builder = builder.affine().add(branch);
        assert!(!fold_affine_into_previous(&mut builder.finish()));
    }

    #[test]
    fn a_fused_relu_before_the_normalization_keeps_it() {
        let graph = Builder::new(7, 6, 5)
            .convolution(5, 1, 1)
            .fused_relu()
            .affine()
            .finish();
        assert!(!fold_affine_into_previous(&mut graph.clone()));
    }
}

//! An affine map that no layer could take becomes a 1x1 depthwise convolution, which quantizes per channel.

use crate::graph::{Depthwise, Graph, Operator, Weights, Window};

/// Replaces every affine node.
pub fn lower_affine(graph: &mut Graph) -> bool {
    let mut changed = false;
    for node in &mut graph.nodes {
        if let Operator::Affine(affine) = &node.operator {
            node.operator = Operator::Depthwise(Depthwise {
                window: Window::new(1, 1),
                channels: affine.scale.len(),
                multiplier: 1,
                weights: Weights::new(affine.scale.clone(), affine.offset.clone()),
            });
            changed = true;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Builder, assert_unchanged};
    use super::*;

    #[test]
    fn becomes_a_depthwise_convolution() {
        let graph = Builder::new(3, 4, 37).affine().fused_relu().finish();
        let after = assert_unchanged(&graph, lower_affine);
        assert!(matches!(after.nodes[0].operator, Operator::Depthwise(_)));
    }
}

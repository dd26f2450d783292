//! Two per-channel affine maps in a row become one.

use super::mergeable_producer;
use crate::graph::{Affine, Graph, Operator};

/// Merges an affine node into the affine node before it.
pub fn merge_affine(graph: &mut Graph) -> bool {
    let mut changed = false;
    let mut index = 0;
    while index < graph.nodes.len() {
        match merged(graph, index) {
            Some((first, affine)) => {
                let second = graph.nodes.remove(index);
                graph.nodes[first].operator = Operator::Affine(affine);
                graph.nodes[first].output = second.output;
                graph.nodes[first].clamp = second.clamp;
                changed = true;
            }
            None => index += 1,
        }
    }
    changed
}

fn merged(graph: &Graph, index: usize) -> Option<(usize, Affine)> {
    let node = &graph.nodes[index];
    let Operator::Affine(outer) = &node.operator else {
        return None;
    };
    let first = mergeable_producer(graph, node.inputs[0])?;
    let Operator::Affine(inner) = &graph.nodes[first].operator else {
        return None;
    };
    if !graph.nodes[first].clamp.is_none() {
        return None;
    }
    let channels = 0..outer.scale.len();
    let scale = channels
        .clone()
        .map(|c| outer.scale[c] * inner.scale[c])
        .collect();
    let offset = channels
        .map(|c| outer.scale[c] * inner.offset[c] + outer.offset[c])
        .collect();
    Some((first, Affine { scale, offset }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Builder, assert_unchanged};
    use super::*;

    #[test]
    fn two_maps_become_one() {
        let graph = Builder::new(4, 4, 5).affine().affine().finish();
        let after = assert_unchanged(&graph, merge_affine);
        assert_eq!(after.nodes.len(), 1);
    }

    #[test]
    fn a_clamp_between_keeps_them_apart() {
        let graph = Builder::new(4, 4, 5).affine().fused_relu().affine().finish();
        assert!(!merge_affine(&mut graph.clone()));
    }

    #[test]
    fn a_second_reader_keeps_them_apart() {
        let mut builder = Builder::new(4, 4, 5).affine();
        let middle = builder.last();
        builder = builder.affine().add(middle);
        assert!(!merge_affine(&mut builder.finish().clone()));
    }
}

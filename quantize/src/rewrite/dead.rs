//! Nodes and tensors that the output does not depend on are dropped.

use crate::graph::{Graph, TensorId};

/// Removes unused nodes, then unused tensors; tensors are numbered anew in execution order.
pub fn remove_dead(graph: &mut Graph) -> bool {
    let before = (graph.nodes.len(), graph.tensors.len());
    let mut needed = vec![false; graph.tensors.len()];
    needed[graph.output.0] = true;
    for node in graph.nodes.iter().rev() {
        if needed[node.output.0] {
            node.inputs.iter().for_each(|id| needed[id.0] = true);
        }
    }
    needed[graph.input.0] = true;
    graph.nodes.retain(|node| needed[node.output.0]);

    let order = std::iter::once(graph.input).chain(graph.nodes.iter().map(|node| node.output));
    let order: Vec<TensorId> = order.collect();
    let mut number = vec![TensorId(usize::MAX); graph.tensors.len()];
    for (new, old) in order.iter().enumerate() {
        number[old.0] = TensorId(new);
    }
    graph.tensors = order.iter().map(|id| graph.tensors[id.0].clone()).collect();
    for node in &mut graph.nodes {
        node.inputs.iter_mut().for_each(|id| *id = number[id.0]);
        node.output = number[node.output.0];
    }
    graph.input = number[graph.input.0];
    graph.output = number[graph.output.0];
    before != (graph.nodes.len(), graph.tensors.len())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Builder, assert_unchanged};
    use super::*;

    #[test]
    fn a_branch_to_nowhere_is_dropped() {
        let mut graph = Builder::new(4, 4, 3)
            .convolution(4, 3, 1)
            .convolution(5, 1, 0)
            .finish();
        graph.output = graph.nodes[0].output;
        let after = assert_unchanged(&graph, remove_dead);
        assert_eq!((after.nodes.len(), after.tensors.len()), (1, 2));
    }
}

//! Nodes that change nothing are removed.

use super::bypass;
use crate::graph::{Graph, Operator};

/// Removes identities, clamps and affine maps that let everything through, reshapes to the same shape, and reshapes before
/// fully connected layers, which flatten by themselves.
pub fn remove_identity(graph: &mut Graph) -> bool {
    let mut changed = false;
    let mut index = 0;
    while index < graph.nodes.len() {
        if changes_nothing(graph, index) {
            let input = graph.nodes[index].inputs[0];
            let output = graph.nodes[index].output;
            let quantization = graph.tensor(output).quantization;
            let name = graph.tensor(output).name.clone();
            let was_output = graph.output == output;
            bypass(graph, index, input);
            let tensor = &mut graph.tensors[input.0];
            tensor.quantization = tensor.quantization.or(quantization);
            if was_output && input != graph.input {
                // The network's output keeps its name.
                graph.tensors[input.0].name = name;
            }
            changed = true;
        } else {
            index += 1;
        }
    }
    changed
}

fn changes_nothing(graph: &Graph, index: usize) -> bool {
    let node = &graph.nodes[index];
    let (input, output) = (graph.tensor(node.inputs[0]), graph.tensor(node.output));
    let same_quantization = output.quantization.is_none() || input.quantization == output.quantization;
    let passes = match &node.operator {
        Operator::Identity | Operator::Clamp => true,
        Operator::Reshape(shape) => *shape == input.shape || only_read_flat(graph, index),
        Operator::Affine(affine) => {
            affine.scale.iter().all(|&s| s == 1.0) && affine.offset.iter().all(|&t| t == 0.0)
        }
        _ => false,
    };
    // An unquantized input may take the quantization, if nothing else reads it otherwise.
    let moves =
        input.quantization.is_none() && graph.uses(node.inputs[0]) == 1 && node.inputs[0] != graph.input;
    passes && node.clamp.is_none() && (same_quantization || moves)
}

fn only_read_flat(graph: &Graph, index: usize) -> bool {
    let output = graph.nodes[index].output;
    let flattens = |n: usize| matches!(graph.nodes[n].operator, Operator::FullyConnected(_));
    output != graph.output && graph.consumers(output).into_iter().all(flattens)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Builder, assert_unchanged};
    use super::*;
    use crate::graph::{Clamp, Shape};

    #[test]
    fn everything_that_passes_values_through_is_removed() {
        let graph = Builder::new(4, 3, 5)
            .operator(Operator::Identity)
            .convolution(6, 1, 0)
            .clamp(Clamp::NONE)
            .operator(Operator::Reshape(Shape::new(4, 3, 6)))
            .operator(Operator::Reshape(Shape::vector(72)))
            .fully_connected(3)
            .operator(Operator::Identity)
            .finish();
        let after = assert_unchanged(&graph, remove_identity);
        assert_eq!(after.nodes.len(), 2);
        assert_eq!(after.tensor(after.output).name, graph.tensor(graph.output).name);
    }

    #[test]
    fn a_reshape_that_matters_stays() {
        let graph = Builder::new(4, 3, 5)
            .operator(Operator::Reshape(Shape::new(3, 4, 5)))
            .finish();
        assert!(!remove_identity(&mut graph.clone()));
    }
}

//! Which activations have channels that can be scaled without changing what a network computes.
//!
//! Multiplying channel c of an activation by a positive factor is undone by dividing the weights that read it, and done by
//! multiplying the weights that make it. What lies between must commute with a factor for each channel: ReLU, pooling,
//! resizing, padding with zeros, and sums of activations that get the same factors. So all activations that such
//! operators connect (a whole residual stream, for instance) make one group.

use crate::graph::{Clamp, Graph, Operator, TensorId};

/// Activations whose channels can only be scaled together.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The activations.
    pub tensors: Vec<TensorId>,
    /// The linear nodes that make some of them.
    pub producers: Vec<usize>,
    /// The linear nodes that read some of them.
    pub consumers: Vec<usize>,
}

/// All groups of a graph that can be scaled.
pub fn groups(graph: &Graph) -> Vec<Group> {
    let mut sets = Sets::new(graph.tensors.len());
    for (id, tensor) in graph.tensors.iter().enumerate() {
        if tensor.quantization.is_some() || id == graph.input.0 || id == graph.output.0 {
            sets.fixed[id] = true;
        }
    }
    for node in &graph.nodes {
        let (inputs, output) = (&node.inputs, node.output);
        let scalable_clamp = node.clamp == Clamp::NONE || node.clamp == Clamp::RELU;
        let of_inputs = |commutes: bool| (commutes && scalable_clamp).then_some(());
        let connected = match &node.operator {
            operator if is_float_linear(operator) => {
                if !scalable_clamp {
                    sets.fixed[output.0] = true;
                }
                continue;
            }
            Operator::Add => of_inputs(graph.shape(inputs[0]) == graph.shape(inputs[1])),
            Operator::Clamp
            | Operator::Identity
            | Operator::MaxPool(_)
            | Operator::AveragePool { .. }
            | Operator::GlobalAveragePool
            | Operator::GlobalMaxPool
            | Operator::ResizeNearest(_) => of_inputs(true),
            Operator::Pad { value, .. } => of_inputs(*value == 0.0),
            Operator::Reshape(_) => of_inputs(
                graph.shape(inputs[0]).pixels() == 1 && graph.shape(inputs[0]) == graph.shape(output),
            ),
            _ => None,
        };
        for input in inputs {
            match connected {
                Some(()) => sets.join(input.0, output.0),
                None => (sets.fixed[input.0], sets.fixed[output.0]) = (true, true),
            }
        }
    }
    collect(graph, &mut sets)
}

fn collect(graph: &Graph, sets: &mut Sets) -> Vec<Group> {
    let roots: Vec<usize> = (0..graph.tensors.len()).map(|id| sets.root(id)).collect();
    let mut fixed = vec![false; roots.len()];
    for (id, root) in roots.iter().enumerate() {
        fixed[*root] |= sets.fixed[id];
    }
    let group = |root: usize| {
        let within = |id: &TensorId| roots[id.0] == root;
        let nodes = |holds: &dyn Fn(usize) -> bool| (0..graph.nodes.len()).filter(|n| holds(*n)).collect();
        let node = |number: usize| &graph.nodes[number];
        Group {
            tensors: (0..roots.len()).map(TensorId).filter(within).collect(),
            producers: nodes(&|n| is_float_linear(&node(n).operator) && within(&node(n).output)),
            consumers: nodes(&|n| is_float_linear(&node(n).operator) && within(&node(n).inputs[0])),
        }
    };
    (0..roots.len())
        .filter(|id| roots[*id] == *id && !fixed[*id])
        .map(group)
        .filter(|group| !group.producers.is_empty() && !group.consumers.is_empty())
        .collect()
}

/// Whether an operator has weights that may be changed.
pub(super) fn is_float_linear(operator: &Operator) -> bool {
    operator
        .weights()
        .is_some_and(|weights| weights.quantized.is_none())
}

/// Disjoint sets of tensors.
struct Sets {
    parent: Vec<usize>,
    fixed: Vec<bool>,
}

impl Sets {
    fn new(tensors: usize) -> Self {
        Sets {
            parent: (0..tensors).collect(),
            fixed: vec![false; tensors],
        }
    }

    fn root(&mut self, mut tensor: usize) -> usize {
        while self.parent[tensor] != tensor {
            self.parent[tensor] = self.parent[self.parent[tensor]];
            tensor = self.parent[tensor];
        }
        tensor
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a] = b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrite::testing::Builder;

    #[test]
    fn a_residual_stream_is_one_group_and_a_clamp_at_six_belongs_to_none() {
        let start = Builder::new(6, 6, 3).convolution(8, 3, 1);
        let stream = start.last();
        let graph = start
            .clamp(Clamp::RELU)
            .depthwise(3, 1)
            .convolution(8, 1, 0)
            .add(stream)
            .depthwise(3, 1)
            .clamp(Clamp::RELU6)
            .convolution(4, 1, 0)
            .finish();
        let found = groups(&graph);
        let nodes = |group: &Group| (group.producers.clone(), group.consumers.clone());
        // Convolution 0, ReLU 1, depthwise 2, pointwise 3, add 4, depthwise 5, ReLU6 6, pointwise 7.
        assert_eq!(
            found.iter().map(nodes).collect::<Vec<_>>(),
            [(vec![2], vec![3]), (vec![0, 3], vec![2, 5]),]
        );
        assert_eq!(found[1].tensors.len(), 4);
    }
}

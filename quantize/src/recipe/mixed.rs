//! Mixed precision: which activations are worth 16 bits, within a budget of multiply-accumulates.

use crate::convert::Precision;
use crate::graph::{Graph, Operator, TensorId};
use std::collections::BTreeSet;

/// Activations that are worth widening only together.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The activations.
    pub tensors: BTreeSet<TensorId>,
    /// Nodes that then compute in 16 bits.
    nodes: BTreeSet<usize>,
}

impl Candidate {
    /// No activations.
    pub const NONE: Candidate = Candidate {
        tensors: BTreeSet::new(),
        nodes: BTreeSet::new(),
    };
}

/// The sums of all residual blocks, if there are any. A stream of sums is rounded and clipped once for every block, and
/// has to hold what all blocks add.
pub fn sums(graph: &Graph) -> Option<Candidate> {
    let is_sum = |index: &usize| graph.nodes[*index].operator == Operator::Add;
    let nodes: BTreeSet<usize> = (0..graph.nodes.len()).filter(is_sum).collect();
    (!nodes.is_empty()).then(|| Candidate {
        tensors: nodes.iter().map(|node| graph.nodes[*node].output).collect(),
        nodes,
    })
}

/// The network's output, if it is a linear layer's: one step of it decides between classes that are nearly alike. A mean
/// may come between.
pub fn output(graph: &Graph) -> Option<Candidate> {
    let mut candidate = Candidate::NONE;
    let mut wanted = graph.output;
    loop {
        let index = graph.nodes.iter().position(|node| node.output == wanted)?;
        let node = &graph.nodes[index];
        candidate.tensors.insert(wanted);
        candidate.nodes.insert(index);
        match node.operator {
            Operator::GlobalAveragePool | Operator::Reshape(_) => wanted = node.inputs[0],
            _ => return node.operator.weights().map(|_| candidate),
        }
    }
}

/// The node of the layer that makes the [output]: the first of its nodes.
pub fn output_layer(graph: &Graph) -> Option<usize> {
    output(graph)?.nodes.first().copied()
}

/// Each linear layer with what makes its input: a wide output helps little where the input is not wide. The network's
/// output is [a candidate of its own](output).
pub fn layers(graph: &Graph) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        if node.operator.weights().is_none() || node.output == graph.output {
            continue;
        }
        let producer = (0..index).find(|other| graph.nodes[*other].output == node.inputs[0]);
        let producer = producer.filter(|other| Precision::can_be_wide(&graph.nodes[*other].operator));
        let nodes: BTreeSet<usize> = producer.into_iter().chain([index]).collect();
        found.push(Candidate {
            tensors: nodes.iter().map(|node| graph.nodes[*node].output).collect(),
            nodes,
        });
    }
    found
}

/// Candidates chosen together.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    nodes: BTreeSet<usize>,
    /// All their activations.
    pub precision: Precision,
}

impl Chosen {
    /// The share of a graph's multiply-accumulates that would be in 16 bits with another candidate. Operators without any
    /// count one for each value that they make.
    pub fn share_with(&self, graph: &Graph, candidate: &Candidate) -> f64 {
        let cost = |index: usize| {
            let node = &graph.nodes[index];
            let made = graph.shape(node.output);
            node.operator.macs(made).max(made.elements() as u64) as f64
        };
        let wide: f64 = self.nodes.union(&candidate.nodes).map(|node| cost(*node)).sum();
        wide / (0..graph.nodes.len()).map(cost).sum::<f64>()
    }

    /// These and another.
    pub fn with(&self, candidate: &Candidate) -> Chosen {
        let mut sum = self.clone();
        sum.nodes.extend(&candidate.nodes);
        sum.precision.wide.extend(&candidate.tensors);
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrite::testing::Builder;

    #[test]
    fn an_output_is_what_its_last_linear_layer_and_a_mean_after_it_make() {
        let body = || Builder::new(4, 4, 8).convolution(8, 1, 0);
        let count = |graph: &Graph| output(graph).map(|candidate| candidate.tensors.len());
        assert_eq!(count(&body().finish()), Some(1));
        assert_eq!(
            count(&body().operator(Operator::GlobalAveragePool).finish()),
            Some(2)
        );
        // No layer's sums come out here.
        let pool = Operator::MaxPool(crate::graph::Window::new(2, 2));
        assert_eq!(count(&body().operator(pool).finish()), None);
    }

    #[test]
    fn layers_cost_their_products_once_and_sums_their_values() {
        let start = Builder::new(4, 4, 8).convolution(8, 1, 0);
        let stream = start.last();
        let graph = start.depthwise(3, 1).convolution(8, 1, 0).add(stream).finish();
        // 1024 products, 1152, 1024 and 128 values.
        let total = 1024.0 + 1152.0 + 1024.0 + 128.0;
        let sums = sums(&graph).expect("there is one");
        let none = Chosen::default();
        assert!((none.share_with(&graph, &sums) - 128.0 / total).abs() < 1e-9);
        let layers = layers(&graph);
        assert_eq!(layers.len(), 3);
        let chosen = none.with(&sums).with(&layers[1]);
        assert_eq!(chosen.precision.wide.len(), 3);
        // The pointwise convolution reads the depthwise one, which is chosen already.
        assert!((chosen.share_with(&graph, &layers[2]) - 1.0).abs() < 1e-9);
    }
}

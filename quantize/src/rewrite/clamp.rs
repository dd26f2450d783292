//! ReLU, ReLU6 and clips become the clamp of the node that makes their input, where nothing else reads it. So Xception's
//! ReLU before a separable convolution moves into the convolution before, but a ReLU after a residual sum that is also
//! the next module's shortcut stays a node of its own.

use crate::graph::{Graph, Operator};

/// Fuses clamp nodes into their producers.
pub fn fuse_clamp(graph: &mut Graph) -> bool {
    let mut changed = false;
    let mut index = 0;
    while index < graph.nodes.len() {
        let Some(producer) = fusible(graph, index) else {
            index += 1;
            continue;
        };
        let node = graph.nodes.remove(index);
        let producer = &mut graph.nodes[producer];
        producer.clamp = producer.clamp.then(node.clamp);
        producer.output = node.output;
        changed = true;
    }
    changed
}

fn fusible(graph: &Graph, index: usize) -> Option<usize> {
    let node = &graph.nodes[index];
    let Operator::Clamp = node.operator else {
        return None;
    };
    let (between, after) = (graph.tensor(node.inputs[0]), graph.tensor(node.output));
    // With the same quantization on both sides, clamping commutes with it.
    let exact = between.quantization.is_none() || between.quantization == after.quantization;
    let producer = graph.producer(node.inputs[0])?;
    let clamps = matches!(
        graph.nodes[producer].operator,
        Operator::Convolution(_)
            | Operator::Depthwise(_)
            | Operator::FullyConnected(_)
            | Operator::Affine(_)
            | Operator::Add
            | Operator::Multiply
            | Operator::MaxPool(_)
            | Operator::AveragePool { .. }
            | Operator::Activation(_)
            | Operator::Clamp
    );
    (exact && clamps && graph.uses(node.inputs[0]) == 1).then_some(producer)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Builder, assert_unchanged};
    use super::*;
    use crate::graph::{Clamp, Quantization};

    #[test]
    fn a_chain_of_clamps_becomes_one() {
        let graph = Builder::new(5, 5, 4)
            .convolution(6, 3, 1)
            .clamp(Clamp::RELU)
            .clamp(Clamp { min: -1.0, max: 0.5 })
            .finish();
        let after = assert_unchanged(&graph, fuse_clamp);
        assert_eq!(after.nodes.len(), 1);
        assert_eq!(after.nodes[0].clamp, Clamp { min: 0.0, max: 0.5 });
    }

    #[test]
    fn a_pre_activation_relu_moves_unless_its_input_is_also_a_shortcut() {
        // Two Xception modules: the sum feeds the ReLU and the next shortcut.
        let mut builder = Builder::new(6, 6, 4);
        let first = builder.last();
        builder = builder.depthwise(3, 1).convolution(4, 1, 0).clamp(Clamp::RELU);
        builder = builder.depthwise(3, 1).convolution(4, 1, 0).add(first);
        let sum = builder.last();
        builder = builder
            .clamp(Clamp::RELU)
            .depthwise(3, 1)
            .convolution(4, 1, 0)
            .add(sum);
        let after = assert_unchanged(&builder.finish(), fuse_clamp);
        let alone = after
            .nodes
            .iter()
            .filter(|node| node.operator == Operator::Clamp)
            .count();
        assert_eq!(alone, 1, "only the ReLU of the shared sum stays");
        assert!(
            !after.nodes[1].clamp.is_none(),
            "the ReLU between separable convolutions is fused"
        );
    }

    #[test]
    fn a_quantization_that_differs_keeps_it() {
        let mut graph = Builder::new(5, 5, 4)
            .convolution(6, 3, 1)
            .clamp(Clamp::RELU)
            .finish();
        let between = graph.nodes[0].output;
        graph.tensors[between.0].quantization = Some(Quantization {
            scale: 0.1,
            zero_point: 3,
        });
        assert!(!fuse_clamp(&mut graph.clone()));
        graph.tensors[graph.output.0].quantization = Some(Quantization {
            scale: 0.1,
            zero_point: 3,
        });
        assert!(fuse_clamp(&mut graph));
    }
}

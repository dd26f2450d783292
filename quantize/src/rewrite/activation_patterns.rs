//! Activations that exporters spell out: `x * sigmoid(x)`, `x * hard_sigmoid(x)` and `x * relu6(x + 3)`.

use crate::graph::{Activation, Affine, Graph, Node, Operator, TensorId};

/// Replaces products of a tensor and a function of it by one activation. What is left over is dead.
pub fn recognize_activations(graph: &mut Graph) -> bool {
    let mut changed = false;
    for index in 0..graph.nodes.len() {
        let Some((x, operator)) = recognized(graph, index) else {
            continue;
        };
        let channels = graph.shape(x).channels;
        let node = &mut graph.nodes[index];
        node.inputs = vec![x];
        match operator {
            Gate::Whole(activation) => node.operator = Operator::Activation(activation),
            Gate::SixTimesHardSwish => {
                // hard swish is a sixth of x * relu6(x + 3): a factor of 6 is left, usually divided away later.
                let output = node.output;
                let name = format!("{}/hard_swish", node.name);
                let middle = graph.add_tensor(&name, graph.shape(output));
                let node = &mut graph.nodes[index];
                node.operator = Operator::Affine(Affine {
                    scale: vec![6.0; channels],
                    offset: vec![0.0; channels],
                });
                node.inputs = vec![middle];
                let hard_swish = Node {
                    name,
                    operator: Operator::Activation(Activation::HardSwish),
                    inputs: vec![x],
                    output: middle,
                    clamp: crate::graph::Clamp::NONE,
                };
                graph.nodes.insert(index, hard_swish);
            }
        }
        changed = true;
        // Only one at a time: dead gates must not be seen again.
        super::remove_dead(graph);
        break;
    }
    changed
}

enum Gate {
    Whole(Activation),
    SixTimesHardSwish,
}

fn recognized(graph: &Graph, index: usize) -> Option<(TensorId, Gate)> {
    let node = &graph.nodes[index];
    let (Operator::Multiply, &[a, b]) = (&node.operator, &node.inputs[..]) else {
        return None;
    };
    gate(graph, a, b).or_else(|| gate(graph, b, a))
}

/// What `x * y` is, if `y` is a function of `x` that is known.
fn gate(graph: &Graph, x: TensorId, y: TensorId) -> Option<(TensorId, Gate)> {
    if graph.tensor(y).quantization.is_some() {
        return None;
    }
    let node = &graph.nodes[graph.producer(y)?];
    if let Operator::Activation(activation) = node.operator {
        if node.inputs[0] != x || !node.clamp.is_none() {
            return None;
        }
        return match activation {
            Activation::Sigmoid => Some((x, Gate::Whole(Activation::Silu))),
            Activation::HardSigmoid { alpha, beta } if is(alpha, 1.0 / 6.0) && beta == 0.5 => {
                Some((x, Gate::Whole(Activation::HardSwish)))
            }
            _ => None,
        };
    }
    // relu6(x + 3), the clamp fused or not; or a sixth of it.
    let uniform = |node: &Node, scale: f32, offset: f32| match &node.operator {
        Operator::Affine(a) => {
            a.scale.iter().all(|&s| is(s, scale)) && a.offset.iter().all(|&t| is(t, offset))
        }
        _ => false,
    };
    let is_shifted_relu6 = |node: &Node| -> Option<bool> {
        let is_relu6 = node.clamp == crate::graph::Clamp::RELU6;
        let shift = match node.operator {
            Operator::Clamp => &graph.nodes[graph.producer(node.inputs[0])?],
            _ => node,
        };
        let plain = shift.clamp.is_none() || std::ptr::eq(shift, node);
        Some(is_relu6 && plain && uniform(shift, 1.0, 3.0) && shift.inputs[0] == x)
    };
    if is_shifted_relu6(node)? {
        return Some((x, Gate::SixTimesHardSwish));
    }
    if uniform(node, 1.0 / 6.0, 0.0) && node.clamp.is_none() {
        let inner = &graph.nodes[graph.producer(node.inputs[0])?];
        if is_shifted_relu6(inner)? {
            return Some((x, Gate::Whole(Activation::HardSwish)));
        }
    }
    None
}

fn is(found: f32, wanted: f32) -> bool {
    (found - wanted).abs() < 1e-6
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Builder, assert_unchanged};
    use super::*;
    use crate::graph::Clamp;

    fn gated(gate: impl Fn(Builder) -> Builder) -> Graph {
        let builder = Builder::new(4, 4, 5).convolution(5, 1, 0);
        let x = builder.last();
        gate(builder).multiply(x).finish()
    }

    fn affine(scale: f32, offset: f32) -> Operator {
        Operator::Affine(Affine {
            scale: vec![scale; 5],
            offset: vec![offset; 5],
        })
    }

    fn recognized_as(graph: &Graph) -> Operator {
        let after = assert_unchanged(graph, recognize_activations);
        after.nodes[1].operator.clone()
    }

    #[test]
    fn silu() {
        let graph = gated(|b| b.operator(Operator::Activation(Activation::Sigmoid)));
        assert_eq!(recognized_as(&graph), Operator::Activation(Activation::Silu));
    }

    #[test]
    fn hard_swish_in_its_three_spellings() {
        let hard_sigmoid = Activation::HardSigmoid {
            alpha: 1.0 / 6.0,
            beta: 0.5,
        };
        let graphs = [
            gated(|b| b.operator(Operator::Activation(hard_sigmoid))),
            gated(|b| {
                b.operator(affine(1.0, 3.0))
                    .clamp(Clamp::RELU6)
                    .operator(affine(1.0 / 6.0, 0.0))
            }),
            gated(|b| b.operator(affine(1.0, 3.0)).clamp(Clamp::RELU6)),
        ];
        for graph in graphs {
            assert_eq!(recognized_as(&graph), Operator::Activation(Activation::HardSwish));
        }
    }

    #[test]
    fn a_gate_of_another_tensor_is_no_activation() {
        let mut builder = Builder::new(4, 4, 5);
        let x = builder.last();
        builder = builder
            .convolution(5, 1, 0)
            .operator(Operator::Activation(Activation::Sigmoid))
            .multiply(x);
        assert!(!recognize_activations(&mut builder.finish()));
    }
}

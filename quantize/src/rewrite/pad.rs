//! Explicit padding before a convolution or pool becomes the padding of its window.

use crate::graph::{Graph, Operator, Padding, TensorId, Window};

/// Folds pad nodes into the nodes that read them; a pad that is no longer read is left to `remove_dead`.
pub fn fold_pad(graph: &mut Graph) -> bool {
    let mut changed = false;
    for index in 0..graph.nodes.len() {
        let Some((input, padding, value)) = padded_input(graph, index) else {
            continue;
        };
        let never_negative = never_negative(graph, input);
        let node = &mut graph.nodes[index];
        let folded = match &mut node.operator {
            Operator::Convolution(c) => value == 0.0 && extend(&mut c.window, padding),
            Operator::Depthwise(d) => value == 0.0 && extend(&mut d.window, padding),
            // Padding is never the maximum: the same where it is not above any pixel and no window is all padding.
            Operator::MaxPool(window) => {
                let low = value == f32::NEG_INFINITY || value == 0.0 && never_negative;
                low && sees_image(window, padding) && extend(window, padding)
            }
            Operator::AveragePool {
                window,
                count_padding,
            } if window.padding.is_none() && value == 0.0 => {
                *count_padding = true;
                extend(window, padding)
            }
            _ => false,
        };
        if folded {
            node.inputs[0] = input;
            changed = true;
        }
    }
    changed
}

/// For a node that reads a pad node: the pad's input, extent and value.
fn padded_input(graph: &Graph, index: usize) -> Option<(TensorId, Padding, f32)> {
    let [only] = graph.nodes[index].inputs[..] else {
        return None;
    };
    let pad = &graph.nodes[graph.producer(only)?];
    let Operator::Pad { padding, value } = pad.operator else {
        return None;
    };
    let (before, after) = (
        graph.tensor(pad.inputs[0]).quantization,
        graph.tensor(only).quantization,
    );
    let exact = after.is_none() || before == after;
    (exact && pad.clamp.is_none()).then_some((pad.inputs[0], padding, value))
}

fn never_negative(graph: &Graph, tensor: TensorId) -> bool {
    graph
        .producer(tensor)
        .is_some_and(|producer| graph.nodes[producer].clamp.min >= 0.0)
}

fn sees_image(window: &Window, padding: Padding) -> bool {
    let (rows, columns) = window.kernel;
    let p = window.padding;
    [(p.top + padding.top, rows), (p.bottom + padding.bottom, rows)]
        .into_iter()
        .chain([
            (p.left + padding.left, columns),
            (p.right + padding.right, columns),
        ])
        .all(|(pixels, taps)| pixels < taps)
}

fn extend(window: &mut Window, by: Padding) -> bool {
    let p = &mut window.padding;
    p.top += by.top;
    p.bottom += by.bottom;
    p.left += by.left;
    p.right += by.right;
    true
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Builder, assert_unchanged};
    use super::*;

    const UNEVEN: Padding = Padding {
        top: 0,
        bottom: 1,
        left: 1,
        right: 2,
    };

    fn pad(value: f32) -> Operator {
        Operator::Pad {
            padding: UNEVEN,
            value,
        }
    }

    #[test]
    fn zeros_move_into_convolutions_and_average_pools() {
        let pool = Operator::AveragePool {
            window: Window::new(3, 3),
            count_padding: false,
        };
        let graph = Builder::new(6, 7, 4)
            .operator(pad(0.0))
            .convolution(5, 3, 1)
            .operator(pad(0.0))
            .depthwise_unpadded(3, 1)
            .operator(pad(0.0))
            .operator(pool)
            .finish();
        let after = assert_unchanged(&graph, |graph| {
            fold_pad(graph) && super::super::remove_dead(graph)
        });
        assert_eq!(after.nodes.len(), 3);
    }

    #[test]
    fn zeros_move_into_max_pools_of_what_is_never_negative() {
        let pool = Operator::MaxPool(Window::new(3, 3).stride(2));
        let graph = Builder::new(6, 7, 4)
            .convolution(5, 1, 0)
            .fused_relu()
            .operator(pad(0.0))
            .operator(pool.clone());
        let after = assert_unchanged(&graph.finish(), |graph| {
            fold_pad(graph) && super::super::remove_dead(graph)
        });
        assert_eq!(after.nodes.len(), 2);
        let graph = Builder::new(6, 7, 4)
            .convolution(5, 1, 0)
            .operator(pad(0.0))
            .operator(pool)
            .finish();
        assert!(!fold_pad(&mut graph.clone()), "zeros could be the maximum");
    }

    #[test]
    fn other_values_stay() {
        let graph = Builder::new(6, 7, 4)
            .operator(pad(1.0))
            .convolution(5, 3, 1)
            .finish();
        assert!(!fold_pad(&mut graph.clone()));
    }
}

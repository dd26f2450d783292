//! Pools over the whole image take one form: a mean is global average pooling, a maximum is max pooling.

use crate::graph::{Graph, Operator, Window};

/// Makes average pools over the whole image global, and global max pools windows.
pub fn unify_global_pools(graph: &mut Graph) -> bool {
    let mut changed = false;
    for index in 0..graph.nodes.len() {
        let shape = graph.shape(graph.nodes[index].inputs[0]);
        let node = &mut graph.nodes[index];
        let unified = match &node.operator {
            Operator::AveragePool { window, .. }
                if window.kernel == (shape.height, shape.width) && window.padding.is_none() =>
            {
                Operator::GlobalAveragePool
            }
            Operator::GlobalMaxPool => Operator::MaxPool(Window::new(shape.height, shape.width)),
            _ => continue,
        };
        node.operator = unified;
        changed = true;
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Builder, assert_unchanged};
    use super::*;

    #[test]
    fn a_mean_over_the_image_is_global() {
        let pool = Operator::AveragePool {
            window: Window::new(5, 6),
            count_padding: true,
        };
        let after = assert_unchanged(&Builder::new(5, 6, 7).operator(pool).finish(), unify_global_pools);
        assert_eq!(after.nodes[0].operator, Operator::GlobalAveragePool);
    }

    #[test]
    fn a_global_maximum_is_a_window() {
        let graph = Builder::new(5, 6, 7).operator(Operator::GlobalMaxPool).finish();
        let after = assert_unchanged(&graph, unify_global_pools);
        assert_eq!(after.nodes[0].operator, Operator::MaxPool(Window::new(5, 6)));
    }

    #[test]
    fn a_smaller_window_stays() {
        let pool = Operator::AveragePool {
            window: Window::new(5, 5),
            count_padding: true,
        };
        assert!(!unify_global_pools(
            &mut Builder::new(5, 6, 7).operator(pool).finish()
        ));
    }
}

//! Scales and zero points of activations.

use super::Precision;
use crate::calibrate::Range;
use crate::graph::{Graph, Node, Operator, Quantization, TensorId};

/// The output of softmax: [0, 1) in steps of 1/256, as the TFLite specification fixes it.
pub(super) const PROBABILITY: Quantization = Quantization {
    scale: 1.0 / 256.0,
    zero_point: -128,
};

/// A quantization for every tensor. Operators that only select or move values pass their input's on, so tensors that
/// they connect, if of one width, share one that covers the ranges of all of them.
pub(super) fn quantizations(graph: &Graph, ranges: &[Range], precision: &Precision) -> Vec<Quantization> {
    let roots = roots(graph, precision);
    let mut merged: Vec<Option<Range>> = vec![None; ranges.len()];
    for (root, range) in roots.iter().zip(ranges) {
        merged[*root] = Some(merged[*root].map_or(*range, |sum| sum.union(*range)));
    }
    let free = |(id, root): (usize, &usize)| {
        let range = merged[*root].unwrap_or(Range { min: 0.0, max: 0.0 });
        if precision.is_wide(TensorId(id)) {
            symmetric_wide(range)
        } else {
            asymmetric(range)
        }
    };
    let free = roots.iter().enumerate().map(free);
    let known = known(graph, precision).into_iter();
    known
        .zip(free)
        .map(|(known, free)| known.unwrap_or(free))
        .collect()
}

/// The quantization of every tensor for which the source gives one, or an operator fixes it.
pub(super) fn known(graph: &Graph, precision: &Precision) -> Vec<Option<Quantization>> {
    let roots = roots(graph, precision);
    let mut fixed: Vec<Option<Quantization>> = vec![None; roots.len()];
    for (tensor, root) in graph.tensors.iter().zip(&roots) {
        fixed[*root] = fixed[*root].or(tensor.quantization);
    }
    for node in &graph.nodes {
        if matches!(node.operator, Operator::Softmax { .. }) {
            fixed[roots[node.output.0]] = Some(PROBABILITY);
        }
    }
    let tensors = graph.tensors.iter().zip(&roots);
    tensors
        .map(|(tensor, root)| tensor.quantization.or(fixed[*root]))
        .collect()
}

/// For every tensor, one that stands for all that share a quantization with it.
fn roots(graph: &Graph, precision: &Precision) -> Vec<usize> {
    let mut group: Vec<usize> = (0..graph.tensors.len()).collect();
    for node in graph.nodes.iter().filter(|node| passes_quantization_on(node)) {
        let alike = |input: &&TensorId| precision.is_wide(**input) == precision.is_wide(node.output);
        for input in node.inputs.iter().filter(alike) {
            let (from, to) = (find(&mut group, input.0), find(&mut group, node.output.0));
            group[to] = from;
        }
    }
    (0..group.len()).map(|tensor| find(&mut group, tensor)).collect()
}

/// Whether a node's output values are all among its inputs', and it has no arithmetic that could requantize them. (A clamp
/// has: it may have a narrower range than its input, and steps as much smaller.)
fn passes_quantization_on(node: &Node) -> bool {
    matches!(
        node.operator,
        Operator::MaxPool(_)
            | Operator::GlobalMaxPool
            | Operator::AveragePool { .. }
            | Operator::Pad { .. }
            | Operator::Concat
            | Operator::Reshape(_)
            | Operator::Rearrange { .. }
            | Operator::ResizeNearest(_)
    )
}

fn find(group: &mut [usize], mut tensor: usize) -> usize {
    while group[tensor] != tensor {
        group[tensor] = group[group[tensor]];
        tensor = group[tensor];
    }
    tensor
}

/// 65535 steps around zero.
pub(crate) fn symmetric_wide(range: Range) -> Quantization {
    let reach = range.max.max(-range.min);
    Quantization {
        scale: if reach > 0.0 { reach } else { 1.0 } / 32767.0,
        zero_point: 0,
    }
}

/// 256 steps over a range that includes zero, zero being exactly one of them.
pub(super) fn asymmetric(range: Range) -> Quantization {
    let (min, max) = (range.min.min(0.0), range.max.max(0.0));
    // A tensor that was always zero gets steps of 1/255: any will do.
    let scale = if max > min {
        (max - min) / 255.0
    } else {
        1.0 / 255.0
    };
    let zero_point = (-128.0 - min / scale).round().clamp(-128.0, 127.0) as i32;
    Quantization { scale, zero_point }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_exact_and_the_ends_are_within_half_a_step() {
        for (min, max) in [(-1.0, 1.0), (0.0, 6.0), (-3.7, 0.2), (-1e-6, 1e6), (0.0, 0.0)] {
            let Quantization { scale, zero_point } = asymmetric(Range { min, max });
            let real = |q: i32| scale * (q - zero_point) as f32;
            assert_eq!(real(zero_point), 0.0);
            assert!((-128..=127).contains(&zero_point));
            assert!(
                real(-128) <= min + scale * 0.51 && real(127) >= max - scale * 0.51,
                "{min}..{max}"
            );
        }
    }
}

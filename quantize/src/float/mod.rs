//! Runs a float [`Graph`]: for calibration, for accuracy figures, and to check that rewrites change nothing.
//!
//! Work is shared among the threads of the current rayon pool. An activation is dropped after its last reader, and its
//! memory reused, so that memory stays near the largest few activations whatever the network's depth.

mod convolution;
mod dense;
mod depthwise;
mod elementwise;
mod gemm;
mod movement;
mod pool;
mod vectorized;

pub(crate) use convolution::copy_patch;
pub(crate) use gemm::multiply_add_transposed;

use crate::graph::{Graph, Node, Operator, Shape, TensorId};
use thiserror::Error;

/// An input that does not fit the network.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("the network's input is {shape}, {expected} values; {found} given")]
pub struct InputLengthError {
    /// Shape of the network's input.
    pub shape: Shape,
    /// Its number of elements.
    pub expected: usize,
    /// Number of values given.
    pub found: usize,
}

/// One inference: NHWC values in, the output tensor's values out.
pub fn run(graph: &Graph, input: &[f32]) -> Result<Vec<f32>, InputLengthError> {
    run_with(graph, input, |_, _| ())
}

/// One inference that shows every activation as soon as it is computed, the input first. What `observe` changes in a
/// tensor is what later nodes read, so it can stand in for quantization.
pub fn run_with(
    graph: &Graph,
    input: &[f32],
    mut observe: impl FnMut(TensorId, &mut [f32]),
) -> Result<Vec<f32>, InputLengthError> {
    let shape = graph.shape(graph.input);
    if input.len() != shape.elements() {
        return Err(InputLengthError {
            shape,
            expected: shape.elements(),
            found: input.len(),
        });
    }
    let last_reader = last_readers(graph);
    let mut spare = SpareBuffers::default();
    let mut live: Vec<Option<Vec<f32>>> = vec![None; graph.tensors.len()];

    let mut first = spare.take(input.len());
    first.copy_from_slice(input);
    observe(graph.input, &mut first);
    live[graph.input.0] = Some(first);

    for (index, node) in graph.nodes.iter().enumerate() {
        let mut output = spare.take(graph.shape(node.output).elements());
        compute(graph, node, &live, &mut output);
        observe(node.output, &mut output);
        live[node.output.0] = Some(output);
        for id in node.inputs.iter().chain([&node.output]) {
            if last_reader[id.0] <= index
                && let Some(dead) = live[id.0].take()
            {
                spare.give_back(dead);
            }
        }
    }
    Ok(live[graph.output.0]
        .take()
        .expect("validated graphs compute their output"))
}

/// For every tensor the index of the last node that reads it; 0 where none does, and never for the output.
fn last_readers(graph: &Graph) -> Vec<usize> {
    let mut last = vec![0; graph.tensors.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        for input in &node.inputs {
            last[input.0] = index;
        }
    }
    last[graph.output.0] = usize::MAX;
    last
}

/// Computes one node from live tensors.
fn compute(graph: &Graph, node: &Node, live: &[Option<Vec<f32>>], output: &mut [f32]) {
    let value = |i: usize| {
        live[node.inputs[i].0]
            .as_deref()
            .expect("nodes come after those they read from")
    };
    let shape = |i: usize| graph.shape(node.inputs[i]);
    let made = graph.shape(node.output);
    match &node.operator {
        // These three clamp while the result is in the cache.
        Operator::Convolution(c) => {
            return convolution::convolution(c, shape(0), value(0), node.clamp, made, output);
        }
        Operator::Depthwise(d) => {
            return depthwise::depthwise(d, shape(0), value(0), node.clamp, made, output);
        }
        Operator::Add => {
            return elementwise::binary(
                [(value(0), shape(0)), (value(1), shape(1))],
                made,
                output,
                move |a, b| node.clamp.apply(a + b),
            );
        }
        Operator::Multiply => {
            return elementwise::binary(
                [(value(0), shape(0)), (value(1), shape(1))],
                made,
                output,
                move |a, b| node.clamp.apply(a * b),
            );
        }
        Operator::FullyConnected(f) => dense::fully_connected(f, value(0), output),
        Operator::Affine(a) => elementwise::affine(a, value(0), output),
        Operator::PRelu(slope) => elementwise::prelu(slope, value(0), output),
        Operator::Activation(activation) => {
            elementwise::unary(value(0), output, |x| activation.apply(x));
        }
        Operator::MaxPool(window) => pool::max(window, shape(0), value(0), made, output),
        Operator::AveragePool {
            window,
            count_padding,
        } => {
            pool::average(window, *count_padding, shape(0), value(0), made, output);
        }
        Operator::GlobalAveragePool => pool::global_average(shape(0), value(0), output),
        Operator::GlobalMaxPool => pool::global_max(shape(0), value(0), output),
        Operator::Pad { padding, value: fill } => {
            movement::pad(padding, *fill, shape(0), value(0), made, output);
        }
        Operator::Concat => {
            let parts: Vec<(&[f32], usize)> = (0..node.inputs.len())
                .map(|i| (value(i), shape(i).channels))
                .collect();
            movement::concat(&parts, output);
        }
        Operator::Rearrange { map, .. } => movement::rearrange(map, value(0), output),
        Operator::ResizeNearest(resize) => {
            movement::resize_nearest(resize, shape(0), value(0), output);
        }
        Operator::Softmax { beta } => dense::softmax(*beta, shape(0).channels, value(0), output),
        Operator::ArgMax => dense::argmax(shape(0).channels, value(0), output),
        Operator::Reshape(_) | Operator::Clamp | Operator::Identity => output.copy_from_slice(value(0)),
    }
    if !node.clamp.is_none() {
        for y in output {
            *y = node.clamp.apply(*y);
        }
    }
}

/// Memory of dead activations, for the next ones.
#[derive(Default)]
struct SpareBuffers(Vec<Vec<f32>>);

impl SpareBuffers {
    /// A buffer of the given length with arbitrary contents.
    fn take(&mut self, length: usize) -> Vec<f32> {
        let fitting = (0..self.0.len())
            .filter(|&i| self.0[i].len() >= length)
            .min_by_key(|&i| self.0[i].len());
        match fitting {
            Some(i) => {
                let mut buffer = self.0.swap_remove(i);
                buffer.truncate(length);
                buffer
            }
            None => vec![0.0; length],
        }
    }

    /// Keeps a few buffers; more would only hold memory.
    fn give_back(&mut self, buffer: Vec<f32>) {
        const KEPT: usize = 4;
        self.0.push(buffer);
        if self.0.len() > KEPT {
            let smallest = (0..self.0.len())
                .min_by_key(|&i| self.0[i].len())
                .expect("not empty");
            self.0.swap_remove(smallest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrite::testing::{Builder, random};

    #[test]
    fn every_tensor_is_shown_once_in_order() {
        let mut builder = Builder::new(5, 4, 3).convolution(6, 3, 1);
        let branch = builder.last();
        builder = builder.depthwise(3, 1).add(branch).fully_connected(2);
        let graph = builder.finish();
        let mut seen = Vec::new();
        run_with(&graph, &random(60, 1), |id, values| {
            assert_eq!(values.len(), graph.shape(id).elements());
            seen.push(id.0);
        })
        .unwrap();
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn what_the_observer_changes_is_what_comes_next() {
        let graph = Builder::new(2, 2, 3)
            .operator(Operator::Identity)
            .operator(Operator::Identity)
            .finish();
        let output = run_with(&graph, &[1.0; 12], |id, values| {
            if id.0 == 1 {
                values.fill(7.0);
            }
        });
        assert_eq!(output.unwrap(), [7.0; 12]);
    }

    #[test]
    fn a_wrong_input_length_is_refused() {
        let graph = Builder::new(2, 2, 3).convolution(4, 1, 0).finish();
        let error = run(&graph, &[0.0; 11]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the network's input is 2x2x3, 12 values; 11 given"
        );
    }

    #[test]
    fn one_thread_and_several_give_the_same_values() {
        let graph = Builder::new(17, 13, 5)
            .convolution(8, 3, 1)
            .depthwise(3, 1)
            .convolution(9, 1, 0)
            .finish();
        let input = random(17 * 13 * 5, 3);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| run(&graph, &input).unwrap())
        };
        crate::rewrite::testing::assert_close(&with(1), &with(3), 1e-5);
    }
}

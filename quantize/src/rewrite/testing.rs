//! Random graphs for the tests of rewrites.

use crate::float;
use crate::graph::{
    Affine, Clamp, Convolution, Depthwise, FullyConnected, Graph, Operator, Padding, Shape, TensorId,
    Weights, Window,
};

/// Values in [-1, 1), the same for the same seed (a linear congruential generator, Knuth's MMIX constants).
pub fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Appends operators with random weights to a chain.
pub struct Builder {
    graph: Graph,
}

impl Builder {
    /// A graph with an input only.
    pub fn new(height: usize, width: usize, channels: usize) -> Self {
        Builder {
            graph: Graph::new("test", "input", Shape::new(height, width, channels)),
        }
    }

    /// The tensor that the chain ends in.
    pub fn last(&self) -> TensorId {
        self.graph.output
    }

    fn shape(&self) -> Shape {
        self.graph.shape(self.last())
    }

    fn random(&self, count: usize) -> Vec<f32> {
        random(count, 1000 + self.graph.nodes.len() as u64)
    }

    fn push(mut self, operator: Operator, others: &[TensorId]) -> Self {
        let name = format!("node{}", self.graph.nodes.len());
        let inputs: Vec<TensorId> = [self.last()].iter().chain(others).copied().collect();
        self.graph.output = self
            .graph
            .push(&name, operator, &inputs, &name)
            .expect("operators fit");
        self
    }

    /// Any operator with one input.
    pub fn operator(self, operator: Operator) -> Self {
        self.push(operator, &[])
    }

    /// Square kernel with the same padding on all sides.
    pub fn convolution(self, out_channels: usize, kernel: usize, padding: usize) -> Self {
        let in_channels = self.shape().channels;
        let mut values = self.random(out_channels * kernel * kernel * in_channels + out_channels);
        let bias = values.split_off(out_channels * kernel * kernel * in_channels);
        self.operator(Operator::Convolution(Convolution {
            window: Window::new(kernel, kernel).padding(Padding::same(padding)),
            in_channels,
            out_channels,
            weights: Weights::new(values, bias),
        }))
    }

    /// Square kernel with padding that keeps the extent.
    pub fn depthwise(self, kernel: usize, multiplier: usize) -> Self {
        self.depthwise_padded(kernel, multiplier, kernel / 2)
    }

    /// Square kernel with no padding.
    pub fn depthwise_unpadded(self, kernel: usize, multiplier: usize) -> Self {
        self.depthwise_padded(kernel, multiplier, 0)
    }

    fn depthwise_padded(self, kernel: usize, multiplier: usize, padding: usize) -> Self {
        let channels = self.shape().channels;
        let values = self.random(kernel * kernel * channels * multiplier);
        self.operator(Operator::Depthwise(Depthwise {
            window: Window::new(kernel, kernel).padding(Padding::same(padding)),
            channels,
            multiplier,
            weights: Weights::new(values, Vec::new()),
        }))
    }

    /// Over everything there is.
    pub fn fully_connected(self, outputs: usize) -> Self {
        let inputs = self.shape().elements();
        let values = self.random(inputs * outputs);
        let weights = Weights::new(values, Vec::new());
        self.operator(Operator::FullyConnected(FullyConnected {
            inputs,
            outputs,
            weights,
        }))
    }

    /// Random factors and summands.
    pub fn affine(self) -> Self {
        let channels = self.shape().channels;
        let mut scale = self.random(2 * channels);
        let offset = scale.split_off(channels);
        self.operator(Operator::Affine(Affine { scale, offset }))
    }

    /// A clamp of its own.
    pub fn clamp(self, clamp: Clamp) -> Self {
        let mut next = self.operator(Operator::Clamp);
        next.graph.nodes.last_mut().expect("just pushed").clamp = clamp;
        next
    }

    /// A ReLU in the last node.
    pub fn fused_relu(mut self) -> Self {
        self.graph.nodes.last_mut().expect("there is a node").clamp = Clamp::RELU;
        self
    }

    /// The sum with an earlier tensor.
    pub fn add(self, other: TensorId) -> Self {
        self.push(Operator::Add, &[other])
    }

    /// The product with an earlier tensor.
    pub fn multiply(self, other: TensorId) -> Self {
        self.push(Operator::Multiply, &[other])
    }

    /// The graph; its output is the end of the chain.
    pub fn finish(self) -> Graph {
        self.graph
    }
}

/// Applies a rewrite, which must change the graph but not its output on random images; returns the changed graph.
pub fn assert_unchanged(graph: &Graph, rewrite: impl Fn(&mut Graph) -> bool) -> Graph {
    let mut after = graph.clone();
    assert!(rewrite(&mut after), "the rewrite applies");
    assert_ne!(&after, graph, "the rewrite changes the graph");
    for seed in 0..4 {
        let input = random(graph.shape(graph.input).elements(), seed);
        let input: Vec<f32> = input.iter().map(|x| x * 4.0).collect();
        let before = float::run(graph, &input).expect("the input fits");
        let now = float::run(&after, &input).expect("the input fits");
        assert_close(&now, &before, 1e-4);
    }
    after
}

/// Fails unless all values agree within `tolerance` of the largest.
pub fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1.0f32, |m, x| m.max(x.abs()));
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * largest,
            "value {i}: {a} instead of {b} (largest {largest})"
        );
    }
}

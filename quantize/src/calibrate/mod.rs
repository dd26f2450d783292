//! Calibration: which range of real numbers each activation takes, seen over sample inputs.
//!
//! Statistics are streamed: only one input's activations are alive at a time, and every tensor keeps a minimum, a
//! maximum, a histogram, and a few sums for each channel.

mod channels;
mod histogram;
mod method;

pub use channels::Channels;
pub use histogram::Histogram;
pub use method::{Method, squared_error};

use crate::float::{InputLengthError, run_with};
use crate::graph::{Graph, TensorId};

/// The least and greatest real number that a tensor is to hold; always includes zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// The least; not above zero.
    pub min: f32,
    /// The greatest; not below zero.
    pub max: f32,
}

impl Range {
    /// A range that includes both.
    pub fn union(self, other: Range) -> Range {
        Range {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

/// What has been seen of one tensor.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its values.
    pub histogram: Histogram,
    /// The range of each input.
    pub ranges: Vec<Range>,
    /// Its channels.
    pub channels: Channels,
}

impl Seen {
    /// Nothing yet, of a tensor with so many channels.
    pub fn new(channels: usize) -> Self {
        Seen {
            histogram: Histogram::default(),
            ranges: Vec::new(),
            channels: Channels::new(channels),
        }
    }

    /// Adds what the tensor held for one input (NHWC).
    pub fn add(&mut self, values: &[f32]) {
        self.ranges.push(self.histogram.add(values));
        self.channels.add(values);
    }
}

/// What has been seen of every tensor of a graph.
#[derive(Clone, Debug)]
pub struct Statistics {
    tensors: Vec<Seen>,
    inputs: usize,
}

impl Statistics {
    /// Nothing seen yet.
    pub fn new(graph: &Graph) -> Self {
        let tensors = graph.tensors.iter();
        Self {
            tensors: tensors.map(|tensor| Seen::new(tensor.shape.channels)).collect(),
            inputs: 0,
        }
    }

    /// Runs a graph on one input (NHWC), adds what every tensor held, and returns the output.
    ///
    /// # Errors
    ///
    /// If the input does not fit the network.
    pub fn add(&mut self, graph: &Graph, input: &[f32]) -> Result<Vec<f32>, InputLengthError> {
        let output = run_with(graph, input, |TensorId(tensor), values| {
            self.tensors[tensor].add(values)
        })?;
        self.inputs += 1;
        Ok(output)
    }

    /// How many inputs were seen.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// What has been seen of a tensor.
    pub fn of(&self, tensor: TensorId) -> &Seen {
        &self.tensors[tensor.0]
    }

    /// The histogram of a tensor.
    pub fn histogram(&self, tensor: TensorId) -> &Histogram {
        &self.tensors[tensor.0].histogram
    }

    /// A range for every tensor.
    pub fn ranges(&self, method: Method) -> Vec<Range> {
        use rayon::prelude::*;
        self.tensors.par_iter().map(|seen| method.range(seen)).collect()
    }
}

//! Calibration: which range of real numbers each activation takes, seen over sample inputs.
//!
//! Statistics are streamed: only one input's activations are alive at a time, and every tensor keeps a minimum, a maximum
//! and a histogram.

mod histogram;
mod method;

pub use histogram::Histogram;
pub use method::Method;

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

/// What has been seen of every tensor of a graph.
#[derive(Clone, Debug)]
pub struct Statistics {
    histograms: Vec<Histogram>,
    inputs: usize,
}

impl Statistics {
    /// Nothing seen yet.
    pub fn new(graph: &Graph) -> Self {
        Self {
            histograms: vec![Histogram::default(); graph.tensors.len()],
            inputs: 0,
        }
    }

    /// Runs a graph on one input (NHWC) and adds what every tensor held.
    ///
    /// # Errors
    ///
    /// If the input does not fit the network.
    pub fn add(&mut self, graph: &Graph, input: &[f32]) -> Result<(), InputLengthError> {
        run_with(graph, input, |TensorId(tensor), values| {
            self.histograms[tensor].add(values)
        })?;
        self.inputs += 1;
        Ok(())
    }

    /// How many inputs were seen.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The histogram of a tensor.
    pub fn histogram(&self, tensor: TensorId) -> &Histogram {
        &self.histograms[tensor.0]
    }

    /// A range for every tensor.
    pub fn ranges(&self, method: Method) -> Vec<Range> {
        use rayon::prelude::*;
        self.histograms
            .par_iter()
            .map(|histogram| method.range(histogram))
            .collect()
    }
}

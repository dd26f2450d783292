//! What each channel of each activation holds.

use crate::float::{InputLengthError, run_with};
use crate::graph::{Graph, TensorId};

/// Channels of one activation.
#[derive(Clone, Debug, PartialEq)]
pub struct Channels {
    /// The greatest absolute value of each channel.
    pub greatest: Vec<f32>,
    /// The mean of each channel.
    pub mean: Vec<f32>,
}

/// Channels of every activation of a graph, over a set of inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelStatistics(Vec<Channels>);

impl ChannelStatistics {
    /// Runs a graph on all inputs (NHWC).
    ///
    /// # Errors
    ///
    /// If an input does not fit the network.
    pub fn of(
        graph: &Graph,
        inputs: &[Vec<f32>],
        progress: &dyn Fn(&str, f32),
    ) -> Result<Self, InputLengthError> {
        let empty = |channels: usize| Channels {
            greatest: vec![0.0; channels],
            mean: vec![0.0; channels],
        };
        let mut all: Vec<Channels> = graph
            .tensors
            .iter()
            .map(|tensor| empty(tensor.shape.channels))
            .collect();
        for (done, input) in inputs.iter().enumerate() {
            progress("looking at channels", done as f32 / inputs.len() as f32);
            run_with(graph, input, |id, values| {
                let pixels = (graph.shape(id).pixels() * inputs.len()) as f32;
                let channels = &mut all[id.0];
                let mut sums = vec![0.0; channels.mean.len()];
                for pixel in values.chunks_exact(sums.len()) {
                    for ((sum, greatest), value) in sums.iter_mut().zip(&mut channels.greatest).zip(pixel) {
                        *sum += value;
                        *greatest = greatest.max(value.abs());
                    }
                }
                for (mean, sum) in channels.mean.iter_mut().zip(sums) {
                    *mean += sum / pixels;
                }
            })?;
        }
        Ok(Self(all))
    }

    /// The channels of a tensor.
    pub fn of_tensor(&self, tensor: TensorId) -> &Channels {
        &self.0[tensor.0]
    }
}

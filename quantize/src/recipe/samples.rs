//! Samples of what linear layers see.

use crate::float::copy_patch;
use crate::graph::{Graph, Node, Operator};

/// Samples of a layer that are kept at most, over all inputs. A depthwise layer has few weights to find from them.
const MOST: usize = 2048;
const MOST_DEPTHWISE: usize = 512;

/// What a linear node sees at some pixels of its output: for each of its inputs (tap after tap, channel after channel),
/// the samples one after the other. Means are taken off and kept apart.
#[derive(Clone, Debug)]
pub struct Samples {
    /// Inputs of an output channel; for depthwise, of all channels.
    pub size: usize,
    /// `size` × the number of samples.
    pub values: Vec<f32>,
    /// The mean of each input.
    pub mean: Vec<f32>,
}

impl Samples {
    /// Of the samples of a depthwise node with so many channels, those of one: tap after tap.
    pub fn of_channel(&self, channel: usize, channels: usize) -> Vec<f32> {
        let count = self.values.len() / self.size;
        let inputs = (channel..self.size).step_by(channels);
        inputs
            .flat_map(|input| &self.values[input * count..][..count])
            .copied()
            .collect()
    }
}

/// Collects samples, image after image.
pub struct Sampler {
    size: usize,
    rows: Vec<f32>,
}

impl Sampler {
    /// For a linear node.
    pub fn new(graph: &Graph, node: &Node) -> Self {
        let channels = graph.shape(node.inputs[0]).channels;
        let size = match &node.operator {
            Operator::Convolution(c) => c.window.taps() * channels,
            Operator::Depthwise(d) => d.window.taps() * channels,
            _ => graph.shape(node.inputs[0]).elements(),
        };
        Sampler {
            size,
            rows: Vec::new(),
        }
    }

    /// Adds what the node sees of input number `image` of `images`.
    pub fn add(&mut self, graph: &Graph, node: &Node, values: &[f32], image: usize, images: usize) {
        let shape = graph.shape(node.inputs[0]);
        let (window, most) = match &node.operator {
            Operator::Convolution(c) => (&c.window, MOST),
            Operator::Depthwise(d) => (&d.window, MOST_DEPTHWISE),
            _ => return self.rows.extend_from_slice(values),
        };
        let made = graph.shape(node.output);
        let wanted = most.div_ceil(images).min(made.pixels());
        for number in 0..wanted {
            // Evenly spread, and elsewhere in every image: multiples of the golden ratio, modulo one.
            let fraction = ((image * wanted + number) as f64 * 0.618_033_988_749_895).fract();
            let pixel = ((number as f64 + fraction) / wanted as f64 * made.pixels() as f64) as usize;
            let start = self.rows.len();
            self.rows.resize(start + self.size, 0.0);
            let at = (pixel / made.width, pixel % made.width);
            copy_patch(window, shape, values, at, &mut self.rows[start..]);
        }
    }

    /// The samples.
    pub fn finish(self) -> Samples {
        let (size, count) = (self.size, self.rows.len() / self.size);
        let mut values = vec![0f32; self.rows.len()];
        // Transposed in bands, so that both sides stay in the cache.
        for first in (0..count).step_by(16) {
            let last = (first + 16).min(count);
            for input in 0..size {
                for sample in first..last {
                    values[input * count + sample] = self.rows[sample * size + input];
                }
            }
        }
        let mean: Vec<f32> = values
            .chunks_exact_mut(count)
            .map(|samples| {
                let mean = samples.iter().map(|value| *value as f64).sum::<f64>() / count as f64;
                samples.iter_mut().for_each(|value| *value -= mean as f32);
                mean as f32
            })
            .collect();
        Samples { size, values, mean }
    }
}

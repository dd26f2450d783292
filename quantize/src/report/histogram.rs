//! How weights and activations are spread, and the ranges chosen for them.

use super::markup::escape;
use crate::float::{self, InputLengthError};
use crate::graph::Graph;
use crate::network::Metadata;
use sepconv::model::Tensor;
use sepconv::operator::Operator;
use sepconv::{Element, Model};
use std::collections::HashMap;
use std::fmt::Write;

const BINS: usize = 64;

/// Counts of values in equally wide bins.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Whose values.
    pub name: String,
    /// The least value.
    pub low: f64,
    /// The greatest value.
    pub high: f64,
    /// Counts from the least to the greatest.
    pub counts: Vec<u64>,
    /// The real values that the quantized type reaches.
    pub range: (f64, f64),
    /// A remark.
    pub remark: String,
}

impl Histogram {
    fn new(name: String, (low, high): (f64, f64), range: (f64, f64)) -> Self {
        // A constant activation still gets a bin that has a width.
        let high = if high > low { high } else { low + 1e-9 };
        Histogram {
            name,
            low,
            high,
            counts: vec![0; BINS],
            range,
            remark: String::new(),
        }
    }

    fn add(&mut self, value: f64) {
        let position = (value - self.low) / (self.high - self.low) * BINS as f64;
        self.counts[(position.max(0.0) as usize).min(BINS - 1)] += 1;
    }

    /// The histogram as SVG. Heights are square roots of counts, so that tails can be seen.
    pub fn svg(&self, class: &str) -> String {
        let (width, height) = (256.0, 64.0);
        let low = self.low.min(self.range.0);
        let high = self.high.max(self.range.1);
        let x = |value: f64| (value - low) / (high - low) * width;
        let most = self.counts.iter().copied().max().unwrap_or(0).max(1) as f64;
        let bin_width = (self.high - self.low) / BINS as f64;
        let mut svg = format!("<svg viewBox=\"0 0 {width} {}\">", height + 14.0);
        for (bin, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let (left, tall) = (
                x(self.low + bin as f64 * bin_width),
                (*count as f64 / most).sqrt() * height,
            );
            let _ = write!(
                svg,
                "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"/>",
                height - tall,
                (x(low + bin_width) - 0.3).max(0.5)
            );
        }
        for (limit, anchor) in [(self.range.0, "start"), (self.range.1, "end")] {
            let at = x(limit);
            let _ = write!(
                svg,
                "<line class=\"limit\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{height}\"/>\
                 <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{limit:.3}</text>",
                height + 12.0
            );
        }
        svg + "</svg>"
    }

    /// The histogram with its name and remark.
    pub fn cell(&self, class: &str) -> String {
        let name = escape(&self.name);
        format!(
            "<div class=\"cell\"><b title=\"{name}\">{name}</b>{}<small>{}</small></div>",
            self.svg(class),
            escape(&self.remark)
        )
    }
}

/// The real weights of every linear operator that is stored in the plain layout.
pub fn weights(model: &Model) -> Vec<Histogram> {
    let metadata: Metadata = serde_json::from_slice(model.metadata()).unwrap_or_default();
    let histogram = |number: usize| {
        let (kind, operator) = model.operator(number)?;
        let (Operator::Convolution(linear)
        | Operator::Depthwise(linear)
        | Operator::Pointwise(linear)
        | Operator::FullyConnected(linear)) = operator
        else {
            return None;
        };
        let record = model.record(number)?;
        let (input, output) = (model.tensor(record.inputs[0]), model.tensor(record.output));
        let channels = output.shape.channels as usize;
        if linear.shifts.len() != channels {
            return None;
        }
        // The multiplier is input scale × weight scale ÷ output scale.
        let ratio = output.scale as f64 / input.scale as f64;
        let scales: Vec<f64> = (0..channels)
            .map(|c| linear.multiplier(c).to_real() * ratio)
            .collect();
        let quantized = unpacked(linear.weights, linear.weight_bits);
        let per_channel = quantized.len() / channels;
        let channel_last = kind == sepconv::operator::Kind::Depthwise;
        let real = |(index, weight): (usize, &i8)| {
            let channel = if channel_last {
                index % channels
            } else {
                (index / per_channel).min(channels - 1)
            };
            *weight as f64 * scales[channel]
        };
        let values: Vec<f64> = quantized.iter().enumerate().map(real).collect();
        let (least, greatest) = span(scales.iter().copied());
        let limit = greatest * if linear.weight_bits == 4 { 7.0 } else { 127.0 };
        let name = metadata
            .operators
            .get(number)
            .cloned()
            .unwrap_or_else(|| format!("operator {number}"));
        let mut histogram = Histogram::new(name, span(values.iter().copied()), (-limit, limit));
        values.iter().for_each(|value| histogram.add(*value));
        histogram.remark = format!("{channels} channels, scales {least:.2e} to {greatest:.2e}");
        Some(histogram)
    };
    (0..model.operator_count()).filter_map(histogram).collect()
}

fn unpacked(weights: &[u8], bits: u8) -> Vec<i8> {
    if bits == 4 {
        let signed = |nibble: u8| ((nibble << 4) as i8) >> 4;
        return weights
            .iter()
            .flat_map(|byte| [signed(byte & 15), signed(byte >> 4)])
            .collect();
    }
    weights.iter().map(|byte| *byte as i8).collect()
}

fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

/// The float activations that operators of the model stand for, over real inputs (NHWC), each with the range that its
/// tensor can hold. Two passes: the first finds the extremes.
///
/// # Errors
///
/// [`InputLengthError`] if an input does not fit the network.
pub fn activations(
    model: &Model,
    graph: &Graph,
    inputs: &[Vec<f32>],
) -> Result<Vec<Histogram>, InputLengthError> {
    let metadata: Metadata = serde_json::from_slice(model.metadata()).unwrap_or_default();
    let mut spans = HashMap::new();
    for input in inputs {
        float::run_with(graph, input, |tensor, values| {
            let (low, high) = span(values.iter().map(|value| *value as f64));
            let entry = spans.entry(tensor).or_insert((low, high));
            *entry = (entry.0.min(low), entry.1.max(high));
        })?;
    }
    let tensors: HashMap<&str, Tensor> = metadata
        .operators
        .iter()
        .enumerate()
        .filter_map(|(number, name)| Some((name.as_str(), model.tensor(model.record(number)?.output))))
        .collect();
    let mut order = Vec::new();
    let mut histograms = HashMap::new();
    for node in &graph.nodes {
        if let (Some(tensor), Some(span)) = (tensors.get(node.name.as_str()), spans.get(&node.output)) {
            order.push(node.output);
            histograms.insert(
                node.output,
                Histogram::new(node.name.clone(), *span, range(tensor)),
            );
        }
    }
    for input in inputs {
        float::run_with(graph, input, |tensor, values| {
            if let Some(histogram) = histograms.get_mut(&tensor) {
                values.iter().for_each(|value| histogram.add(*value as f64));
            }
        })?;
    }
    let finish = |tensor| {
        let mut histogram: Histogram = histograms.remove(&tensor)?;
        histogram.remark = format!("seen {:.3} to {:.3}", histogram.low, histogram.high);
        Some(histogram)
    };
    Ok(order.into_iter().filter_map(finish).collect())
}

/// The real values that a tensor can hold.
fn range(tensor: &Tensor) -> (f64, f64) {
    let (low, high) = match tensor.element {
        Element::Int8 => (-128, 127),
        Element::Int16 => (-32768, 32767),
    };
    let real = |value: i32| tensor.scale as f64 * (value - tensor.zero_point) as f64;
    (real(low), real(high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn every_weight_is_counted() {
        let network = testing::classifier(3);
        let file = testing::file(&network);
        let model = Model::new(&file).unwrap();
        let histograms = weights(&model);
        let counts: Vec<u64> = histograms
            .iter()
            .map(|histogram| histogram.counts.iter().sum())
            .collect();
        assert_eq!(counts, [27 * 8, 9 * 8, 8 * 16, 16 * 4]);
        // All tensors share a scale, so a weight's is the multiplier: 1 / (73 √27) in the convolution.
        let limit = 127.0 / (73.0 * 27f64.sqrt());
        assert!(
            (histograms[0].range.1 - limit).abs() < 1e-6,
            "{:?}",
            histograms[0].range
        );
        assert!(
            histograms
                .iter()
                .all(|h| h.low >= h.range.0 - 1e-9 && h.high <= h.range.1 + 1e-9)
        );
    }

    #[test]
    fn extremes_fall_into_the_outer_bins() {
        let mut histogram = Histogram::new("x".into(), (-1.0, 1.0), (-1.0, 1.0));
        [-1.0, 1.0, 5.0, -5.0]
            .into_iter()
            .for_each(|value| histogram.add(value));
        assert_eq!((histogram.counts[0], histogram.counts[BINS - 1]), (2, 2));
        assert_eq!(unpacked(&[0x7f, 0x80], 4), [-1, 7, 0, -8]);
    }
}

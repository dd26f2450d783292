//! From a float graph and calibration inputs to a quantized network: which techniques, in which order, and what each of
//! them brought.
//!
//! [`Recipe::Fast`] calibrates and converts. [`Recipe::Best`] tries several ways to choose ranges, equalization, and rounding
//! of weights layer after layer with biases to match, and keeps what brings the int8 outputs nearer to the float ones on
//! calibration inputs that it set aside.

mod equalize;
mod groups;
mod measure;
mod prefix;
mod reconstruct;
mod rounding;
mod samples;

pub use equalize::equalize;
pub use groups::{Group, groups};
pub use measure::{Fidelity, fidelity};
pub use reconstruct::{Rounding, reconstruct};

use crate::calibrate::{Method, Range, Statistics};
use crate::convert::{ConvertError, Precision, convert, pin};
use crate::float::{self, InputLengthError};
use crate::graph::Graph;
use crate::network::{Metadata, Network};

/// How much to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// Calibrate and convert: one pass over the inputs.
    Fast,
    /// Try what is known to help and keep what does.
    Best,
}

/// Why a graph could not be quantized.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// There is nothing to calibrate with.
    #[error("there are no calibration inputs; give a folder of images that the network is meant for")]
    NoInputs,
    /// A calibration input does not fit.
    #[error(transparent)]
    Input(#[from] InputLengthError),
    /// The graph has no integer form.
    #[error(transparent)]
    Convert(#[from] ConvertError),
}

/// What a recipe made.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The network.
    pub network: Network,
    /// The graph that it is the integer form of: the one given, with its weights equalized and its biases corrected.
    pub graph: Graph,
    /// What was tried, in order.
    pub trials: Vec<Trial>,
}

/// One thing that a recipe tried.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Trial {
    /// What, in words.
    pub technique: String,
    /// How near the int8 outputs are to the float ones, on the calibration inputs.
    pub fidelity: Fidelity,
    /// Whether it was kept.
    pub kept: bool,
}

/// Quantizes a rewritten graph. `inputs` are calibration inputs (NHWC); `progress` is told what is going on, and the share
/// of it that is done.
///
/// # Errors
///
/// [`RecipeError`] says what does not fit.
pub fn quantize(
    graph: &Graph,
    inputs: &[Vec<f32>],
    method: Method,
    recipe: Recipe,
    metadata: Metadata,
    progress: &dyn Fn(&str, f32),
) -> Result<Quantized, RecipeError> {
    if inputs.is_empty() {
        return Err(RecipeError::NoInputs);
    }
    if recipe == Recipe::Fast {
        let statistics = calibrate(graph, inputs, progress)?;
        let network = convert(graph, &statistics.ranges(method), &Precision::narrow(), metadata)?;
        return Ok(Quantized {
            network,
            graph: graph.clone(),
            trials: Vec::new(),
        });
    }
    best(graph, inputs, method, metadata, progress)
}

/// Every fourth input is set aside to judge by, if there are so many.
const JUDGED: usize = 4;

fn best(
    graph: &Graph,
    inputs: &[Vec<f32>],
    method: Method,
    metadata: Metadata,
    progress: &dyn Fn(&str, f32),
) -> Result<Quantized, RecipeError> {
    let is_judge = |index: &usize| index % JUDGED == JUDGED - 1;
    let of = |judges: bool| -> Vec<Vec<f32>> {
        let chosen = (0..inputs.len()).filter(|index| is_judge(index) == judges);
        chosen.map(|index| inputs[index].clone()).collect()
    };
    let (fitted, mut judges) = (of(false), of(true));
    if judges.is_empty() {
        judges = fitted.clone();
    }
    let precision = Precision::narrow();
    let statistics = calibrate(graph, &fitted, progress)?;
    let mut search = Search::new(graph, &judges, metadata, progress)?;
    let mut methods = vec![method];
    methods.extend(METHODS.into_iter().filter(|other| *other != method));
    for method in methods {
        search.attempt(&method.to_string(), graph, &statistics.ranges(method), method)?;
    }

    let mut equalized = graph.clone();
    if !equalize(&mut equalized, &statistics).is_empty() {
        let statistics = calibrate(&equalized, &fitted, progress)?;
        let (ranges, method) = (statistics.ranges(search.method), search.method);
        search.attempt(
            &format!("equalized channels, {method}"),
            &equalized,
            &ranges,
            method,
        )?;
    }

    for (what, rounding) in [
        (
            "weights rounded layer by layer, biases fitted",
            Rounding { clip: false },
        ),
        ("the same with clipped weights", Rounding { clip: true }),
    ] {
        let (mut rounded, ranges) = (search.exact.clone(), search.ranges.clone());
        pin(&mut rounded, &ranges, &precision);
        reconstruct(&mut rounded, &ranges, &precision, &fitted, rounding, progress)?;
        search.attempt_rounded(what, &rounded)?;
    }
    Ok(Quantized {
        network: search.network,
        graph: search.graph,
        trials: search.trials,
    })
}

/// Ways to choose ranges that [`Recipe::Best`] tries.
const METHODS: [Method; 5] = [
    Method::MinMax,
    Method::MovingAverage,
    Method::Percentile(1e-5),
    Method::Percentile(1e-4),
    Method::Mse,
];

fn calibrate(
    graph: &Graph,
    inputs: &[Vec<f32>],
    progress: &dyn Fn(&str, f32),
) -> Result<Statistics, InputLengthError> {
    let mut statistics = Statistics::new(graph);
    for (done, input) in inputs.iter().enumerate() {
        progress("calibrating", done as f32 / inputs.len() as f32);
        statistics.add(graph, input)?;
    }
    Ok(statistics)
}

/// The best network so far.
struct Search<'a> {
    inputs: &'a [Vec<f32>],
    /// The float outputs for the inputs.
    expected: Vec<Vec<f32>>,
    metadata: Metadata,
    progress: &'a dyn Fn(&str, f32),
    /// The graph with exact weights and the ranges that did best.
    exact: Graph,
    ranges: Vec<Range>,
    method: Method,
    graph: Graph,
    network: Network,
    best: Option<Fidelity>,
    trials: Vec<Trial>,
}

impl<'a> Search<'a> {
    fn new(
        graph: &Graph,
        inputs: &'a [Vec<f32>],
        metadata: Metadata,
        progress: &'a dyn Fn(&str, f32),
    ) -> Result<Self, InputLengthError> {
        let expected = inputs
            .iter()
            .map(|input| float::run(graph, input))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            inputs,
            expected,
            metadata,
            progress,
            exact: graph.clone(),
            ranges: Vec::new(),
            method: Method::MinMax,
            graph: graph.clone(),
            network: Network::default(),
            best: None,
            trials: Vec::new(),
        })
    }

    /// Quantizes with these ranges and keeps the network if its outputs are nearer to the float ones than all before.
    fn attempt(
        &mut self,
        technique: &str,
        graph: &Graph,
        ranges: &[Range],
        method: Method,
    ) -> Result<(), ConvertError> {
        if self.judge(technique, graph, ranges)? {
            (self.exact, self.ranges, self.method) = (graph.clone(), ranges.to_vec(), method);
        }
        Ok(())
    }

    /// Likewise with a graph whose weights are rounded and whose activations are pinned to the ranges that did best.
    fn attempt_rounded(&mut self, technique: &str, graph: &Graph) -> Result<(), ConvertError> {
        let ranges = self.ranges.clone();
        self.judge(technique, graph, &ranges)?;
        Ok(())
    }

    fn judge(&mut self, technique: &str, graph: &Graph, ranges: &[Range]) -> Result<bool, ConvertError> {
        (self.progress)(technique, 0.0);
        let network = convert(graph, ranges, &Precision::narrow(), self.metadata.clone())?;
        let fidelity = fidelity(&network, self.inputs, &self.expected);
        let kept = self.best.is_none_or(|best| fidelity.decibels > best.decibels);
        self.trials.push(Trial {
            technique: technique.into(),
            fidelity,
            kept,
        });
        if kept {
            (self.graph, self.network) = (graph.clone(), network);
            self.best = Some(fidelity);
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Clamp, Operator};
    use crate::rewrite::testing::{Builder, random};
    use sepconv::Element;

    /// Two residual blocks and a classifier.
    fn residual() -> Graph {
        let mut builder = Builder::new(8, 8, 3).convolution(16, 3, 1);
        for _ in 0..2 {
            let stream = builder.last();
            builder = builder
                .clamp(Clamp::RELU)
                .depthwise(3, 1)
                .convolution(16, 1, 0)
                .add(stream);
        }
        builder
            .clamp(Clamp::RELU)
            .operator(Operator::GlobalAveragePool)
            .fully_connected(10)
            .finish()
    }

    fn inputs(graph: &Graph, seeds: std::ops::Range<u64>) -> Vec<Vec<f32>> {
        let values = graph.shape(graph.input).elements();
        seeds.map(|seed| random(values, seed)).collect()
    }

    fn decibels(graph: &Graph, ranges: &[Range], precision: &Precision, of: &Graph) -> f32 {
        let network = convert(graph, ranges, precision, Metadata::default()).expect("it has an integer form");
        let inputs = inputs(of, 100..132);
        let expected: Vec<Vec<f32>> = inputs
            .iter()
            .map(|input| float::run(of, input).expect("it fits"))
            .collect();
        fidelity(&network, &inputs, &expected).decibels
    }

    #[test]
    fn wide_sums_bring_outputs_nearer() {
        let graph = residual();
        let statistics = calibrate(&graph, &inputs(&graph, 0..32), &|_, _| ()).unwrap();
        let ranges = statistics.ranges(Method::MinMax);
        let sums = graph
            .nodes
            .iter()
            .filter(|node| node.operator == Operator::Add)
            .map(|node| node.output);
        let precision = Precision { wide: sums.collect() };
        let network = convert(&graph, &ranges, &precision, Metadata::default()).unwrap();
        let wide = network
            .tensors
            .iter()
            .filter(|tensor| tensor.element == Element::Int16);
        assert!(wide.count() >= 4, "sums and what they add are wide");
        let (narrow, wide) = (
            decibels(&graph, &ranges, &Precision::narrow(), &graph),
            decibels(&graph, &ranges, &precision, &graph),
        );
        assert!(wide > narrow + 0.5, "{narrow} dB became {wide} dB");
    }

    #[test]
    fn wide_linear_layers_bring_outputs_nearer() {
        let graph = residual();
        let statistics = calibrate(&graph, &inputs(&graph, 0..32), &|_, _| ()).unwrap();
        let ranges = statistics.ranges(Method::MinMax);
        let wide = graph
            .nodes
            .iter()
            .filter(|node| Precision::can_be_wide(&node.operator))
            .map(|node| node.output);
        let precision = Precision { wide: wide.collect() };
        let (narrow, wide) = (
            decibels(&graph, &ranges, &Precision::narrow(), &graph),
            decibels(&graph, &ranges, &precision, &graph),
        );
        assert!(wide > narrow + 1.0, "{narrow} dB became {wide} dB");
    }

    #[test]
    fn rounding_layer_by_layer_brings_outputs_nearer() {
        let graph = residual();
        let seen = inputs(&graph, 0..32);
        let ranges = calibrate(&graph, &seen, &|_, _| ())
            .unwrap()
            .ranges(Method::MinMax);
        let precision = Precision::narrow();
        let nearest = decibels(&graph, &ranges, &precision, &graph);
        let mut rounded = graph.clone();
        pin(&mut rounded, &ranges, &precision);
        reconstruct(
            &mut rounded,
            &ranges,
            &precision,
            &seen,
            Rounding::default(),
            &|_, _| (),
        )
        .unwrap();
        let found = decibels(&rounded, &ranges, &precision, &graph);
        assert!(found > nearest + 0.3, "{nearest} dB became {found} dB");
        let all_rounded = rounded.nodes.iter().filter_map(|node| node.operator.weights());
        assert!(all_rounded.clone().count() > 0);
        assert!(all_rounded.into_iter().all(|weights| weights.quantized.is_some()));
    }

    #[test]
    fn the_best_of_all_trials_is_kept() {
        let graph = residual();
        let made = quantize(
            &graph,
            &inputs(&graph, 0..16),
            Method::MinMax,
            Recipe::Best,
            Metadata::default(),
            &|_, _| (),
        )
        .unwrap();
        let best = made
            .trials
            .iter()
            .max_by(|a, b| a.fidelity.decibels.total_cmp(&b.fidelity.decibels))
            .expect("there are trials");
        assert!(best.kept && made.trials[0].kept);
        let judges: Vec<Vec<f32>> = inputs(&graph, 0..16).into_iter().skip(3).step_by(4).collect();
        let expected: Vec<Vec<f32>> = judges
            .iter()
            .map(|input| float::run(&graph, input).unwrap())
            .collect();
        assert_eq!(fidelity(&made.network, &judges, &expected), best.fidelity);
    }
}

//! From a float graph and calibration inputs to a quantized network: which techniques, in which order, and what each of
//! them brought.
//!
//! [`Recipe::Fast`] calibrates and converts. [`Recipe::Best`] tries several ways to choose ranges, equalization, narrower and
//! wider ranges, rounding of weights layer after layer, copies of channels in place of unused ones, and correction of the
//! last biases, and keeps what brings the int8 outputs nearer to the float ones on calibration inputs that it set aside, by
//! more than chance. Last it tries 16 bits for the output and, within a budget, for the activations that gain most by it.

mod copies;
mod equalize;
mod groups;
mod measure;
mod mixed;
mod output_bias;
mod prefix;
mod reconstruct;
mod region;
mod rounding;
mod samples;

pub use copies::{Copies, copy_channels, set_apart};
pub use equalize::equalize;
pub use groups::{Group, groups};
pub(crate) use measure::infer;
pub use measure::{Comparison, Fidelity, compare, fidelity};
pub use output_bias::correct_output_bias;
pub use reconstruct::reconstruct;

use crate::calibrate::{Method, Range, Statistics};
use crate::convert::{ConvertError, Precision, convert, pin, symmetric_wide};
use crate::float::InputLengthError;
use crate::graph::{Graph, Node, Operator};
use crate::network::{Metadata, Network};

/// How much to try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recipe {
    /// Calibrate and convert: one pass over the inputs.
    Fast,
    /// Try what is known to help and keep what does.
    Best {
        /// The share of multiply-accumulates, from 0 to 1, that may have activations of 16 bits where that helps; sums count
        /// one for each value. At 0 everything has 8 bits. `None` tries the output only, before a last softmax, where it
        /// costs next to nothing.
        wide_share: Option<f64>,
    },
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
    /// The graph that it is the integer form of: the one given, with its weights equalized, its biases corrected, and unused
    /// channels made copies of others.
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
    let Recipe::Best { wide_share } = recipe else {
        let (statistics, _) = calibrate(graph, inputs, progress)?;
        let network = convert(graph, &statistics.ranges(method), &Precision::narrow(), metadata)?;
        return Ok(Quantized {
            network,
            graph: graph.clone(),
            trials: Vec::new(),
        });
    };
    best(graph, inputs, method, wide_share, metadata, progress)
}

fn best(
    graph: &Graph,
    inputs: &[Vec<f32>],
    method: Method,
    wide_share: Option<f64>,
    metadata: Metadata,
    progress: &dyn Fn(&str, f32),
) -> Result<Quantized, RecipeError> {
    // Probabilities near 0 and 1 hide what the values before them lost, so those are compared.
    let (body, softmax) = split_softmax(graph);
    let graph = &body;
    let (statistics, expected) = calibrate(graph, inputs, progress)?;
    // Every second input is set aside to judge by, if there are two.
    let half = |odd: usize| (0..inputs.len()).filter(move |index| index % 2 == odd || inputs.len() == 1);
    let of = |from: &[Vec<f32>]| -> Vec<Vec<f32>> { half(0).map(|index| from[index].clone()).collect() };
    let (fitted, fitted_expected) = (of(inputs), of(&expected));
    let judges = half(1).map(|index| (inputs[index].clone(), expected[index].clone()));
    let precision = Precision::narrow();
    let mut search = Search::new(graph, judges.unzip(), progress);
    let mut methods = vec![method];
    methods.extend(METHODS.into_iter().filter(|other| *other != method));
    for method in methods {
        search.attempt(&method.to_string(), graph, &statistics, method)?;
    }

    let mut equalized = graph.clone();
    if !equalize(&mut equalized, &statistics).is_empty() {
        let (statistics, _) = calibrate(&equalized, inputs, progress)?;
        let method = search.method;
        search.attempt(
            &format!("equalized channels, {method}"),
            &equalized,
            &statistics,
            method,
        )?;
    }

    search.scale_ranges()?;
    let (mut rounded, ranges) = (search.exact.clone(), search.ranges.clone());
    pin(&mut rounded, &ranges, &precision);
    reconstruct(&mut rounded, &ranges, &precision, &fitted, progress)?;
    search.attempt_pinned("weights rounded layer by layer", rounded)?;
    let mut copied = search.graph.clone();
    pin(&mut copied, &ranges, &precision);
    let some = &fitted[..fitted.len().min(SENSITIVITY_INPUTS)];
    let copies = copy_channels(&mut copied, some)?;
    if !copies.is_empty() {
        set_apart(&mut copied, &copies);
        search.attempt_pinned("unused channels made copies of others", copied)?;
    }
    let mut corrected = search.graph.clone();
    if correct_output_bias(&mut corrected, &ranges, &precision, &fitted, &fitted_expected)? {
        search.attempt_pinned("biases of the output corrected", corrected)?;
    }
    search.widen(wide_share)?;
    let Search {
        mut graph,
        ranges,
        precision,
        trials,
        ..
    } = search;
    if let Some(softmax) = softmax {
        graph.tensors[softmax.output.0].quantization = None;
        graph.output = softmax.output;
        graph.nodes.push(softmax);
    }
    Ok(Quantized {
        network: convert(&graph, &ranges, &precision, metadata)?,
        graph,
        trials,
    })
}

/// A graph without the softmax that it ends with, if it does, and that node. Tensors keep their numbers.
fn split_softmax(graph: &Graph) -> (Graph, Option<Node>) {
    let mut body = graph.clone();
    let is_last = |node: &mut Node| {
        matches!(node.operator, Operator::Softmax { .. })
            && node.output == graph.output
            && node.inputs[0] != graph.input
            && graph.tensor(node.output).quantization.is_none()
    };
    let softmax = body.nodes.pop_if(is_last);
    if let Some(softmax) = &softmax {
        body.output = softmax.inputs[0];
    }
    (body, softmax)
}

/// Ways to choose ranges that [`Recipe::Best`] tries.
const METHODS: [Method; 6] = [
    Method::MinMax,
    Method::MostInputs(0.9),
    Method::MostInputs(0.8),
    Method::MostInputs(0.7),
    Method::Percentile(1e-5),
    Method::Mse,
];

/// What the activations hold, and the outputs.
fn calibrate(
    graph: &Graph,
    inputs: &[Vec<f32>],
    progress: &dyn Fn(&str, f32),
) -> Result<(Statistics, Vec<Vec<f32>>), InputLengthError> {
    let mut statistics = Statistics::new(graph);
    let mut outputs = Vec::new();
    for (done, input) in inputs.iter().enumerate() {
        progress("calibrating", done as f32 / inputs.len() as f32);
        outputs.push(statistics.add(graph, input)?);
    }
    Ok((statistics, outputs))
}

/// Factors of ranges that are tried.
const SCALES: [f32; 2] = [0.85, 1.2];

/// Decibels that 16 bits must gain: they take memory and time.
const WORTH_WIDENING: f32 = 0.25;

/// The share of multiply-accumulates that an output in 16 bits may cost unless a budget says otherwise.
const OUTPUT_SHARE: f64 = 0.02;

/// Inputs that the sensitivity of each layer is measured with.
const SENSITIVITY_INPUTS: usize = 8;

/// A graph of which wide activations hold twice what was seen: 16 bits have steps to spare, so that nothing need be clipped
/// for the sake of smaller ones.
fn widened(graph: &Graph, precision: &Precision, full: &[Range]) -> Graph {
    let mut graph = graph.clone();
    for id in &precision.wide {
        let Range { min, max } = full[id.0];
        let range = Range {
            min: 2.0 * min,
            max: 2.0 * max,
        };
        graph.tensors[id.0].quantization = Some(symmetric_wide(range));
    }
    graph
}

/// The best network so far.
struct Search<'a> {
    inputs: Vec<Vec<f32>>,
    /// The float outputs for the inputs.
    expected: Vec<Vec<f32>>,
    progress: &'a dyn Fn(&str, f32),
    /// The graph with exact weights and the ranges that did best.
    exact: Graph,
    ranges: Vec<Range>,
    /// Everything that its activations held.
    full: Vec<Range>,
    method: Method,
    graph: Graph,
    precision: Precision,
    best: Option<Comparison>,
    trials: Vec<Trial>,
}

impl<'a> Search<'a> {
    fn new(
        graph: &Graph,
        (inputs, expected): (Vec<Vec<f32>>, Vec<Vec<f32>>),
        progress: &'a dyn Fn(&str, f32),
    ) -> Self {
        Self {
            inputs,
            expected,
            progress,
            exact: graph.clone(),
            ranges: Vec::new(),
            full: Vec::new(),
            method: Method::MinMax,
            graph: graph.clone(),
            precision: Precision::narrow(),
            best: None,
            trials: Vec::new(),
        }
    }

    /// Quantizes with ranges from these statistics and keeps the network if its outputs are nearer to the float ones than all before.
    fn attempt(
        &mut self,
        technique: &str,
        graph: &Graph,
        statistics: &Statistics,
        method: Method,
    ) -> Result<(), ConvertError> {
        let ranges = statistics.ranges(method);
        if self.judge(technique, graph, &ranges, &Precision::narrow(), 0.0)? {
            (self.exact, self.ranges, self.method) = (graph.clone(), ranges, method);
            self.full = statistics.ranges(Method::MinMax);
        }
        Ok(())
    }

    /// Likewise with other weights or biases, and the ranges that did best.
    fn attempt_pinned(&mut self, technique: &str, graph: Graph) -> Result<(), ConvertError> {
        let ranges = self.ranges.clone();
        self.judge(technique, &graph, &ranges, &Precision::narrow(), 0.0)?;
        Ok(())
    }

    /// Makes ranges narrower or wider, all of them and then those of one kind of operator: whether clipping or rounding costs
    /// more is the network's to say.
    fn scale_ranges(&mut self) -> Result<(), ConvertError> {
        let graph = self.exact.clone();
        type IsKind = fn(&Operator) -> bool;
        let kinds: [(&str, IsKind); 4] = [
            ("all ranges", |_| true),
            ("ranges of depthwise convolutions", |operator| {
                matches!(operator, Operator::Depthwise(_))
            }),
            ("ranges of convolutions", |operator| {
                matches!(operator, Operator::Convolution(_))
            }),
            ("ranges of sums", |operator| matches!(operator, Operator::Add)),
        ];
        for (what, is_kind) in kinds {
            let ranges = self.ranges.clone();
            let nodes: Vec<_> = graph
                .nodes
                .iter()
                .filter(|node| is_kind(&node.operator))
                .collect();
            for factor in SCALES.into_iter().filter(|_| !nodes.is_empty()) {
                let mut scaled = ranges.clone();
                for node in &nodes {
                    let (range, full) = (ranges[node.output.0], self.full[node.output.0]);
                    scaled[node.output.0] = Range {
                        min: (range.min * factor).max(full.min),
                        max: (range.max * factor).min(full.max),
                    };
                }
                if scaled == ranges {
                    continue;
                }
                let technique = format!("{what} {factor} times as wide");
                if self.judge(&technique, &graph, &scaled, &Precision::narrow(), 0.0)? {
                    self.ranges = scaled;
                }
            }
        }
        Ok(())
    }

    /// Gives 16 bits to the output, to sums, and then to the layers that gain most by it for what they cost, as long as no
    /// more than a share of all multiply-accumulates have them.
    fn widen(&mut self, wide_share: Option<f64>) -> Result<(), ConvertError> {
        let (graph, ranges, full) = (self.graph.clone(), self.ranges.clone(), self.full.clone());
        let widened = |precision: &Precision| widened(&graph, precision, &full);
        let mut chosen = mixed::Chosen::default();
        let (output, sums) = (mixed::output(&graph), mixed::sums(&graph));
        for (technique, candidate, share) in [
            ("output in 16 bits", output, wide_share.unwrap_or(OUTPUT_SHARE)),
            ("sums in 16 bits", sums, wide_share.unwrap_or(0.0)),
        ] {
            if let Some(candidate) = candidate
                && chosen.share_with(&graph, &candidate) <= share
            {
                let with = chosen.with(&candidate);
                let (wide, precision) = (widened(&with.precision), &with.precision);
                if self.judge(technique, &wide, &ranges, precision, WORTH_WIDENING)? {
                    chosen = with;
                }
            }
        }
        let Some(wide_share) = wide_share else {
            return Ok(());
        };
        // How much nearer each layer alone brings the outputs, for its share of the cost.
        let count = self.inputs.len().min(SENSITIVITY_INPUTS);
        let noise = |precision: &Precision| -> Result<f64, ConvertError> {
            let network = convert(&widened(precision), &ranges, precision, Metadata::default())?;
            let found = fidelity(&network, &self.inputs[..count], &self.expected[..count]);
            Ok(10f64.powf(-f64::from(found.decibels) / 10.0))
        };
        let affordable = |candidate: &mixed::Candidate| chosen.share_with(&graph, candidate) <= wide_share;
        let candidates: Vec<_> = mixed::layers(&graph).into_iter().filter(affordable).collect();
        if candidates.is_empty() {
            return Ok(());
        }
        let before = noise(&chosen.precision)?;
        let mut gains = Vec::new();
        for (number, candidate) in candidates.iter().enumerate() {
            (self.progress)("measuring sensitivity", number as f32 / candidates.len() as f32);
            let gain = before - noise(&chosen.with(candidate).precision)?;
            let cost =
                chosen.share_with(&graph, candidate) - chosen.share_with(&graph, &mixed::Candidate::NONE);
            if gain > 0.0 {
                gains.push((gain / cost.max(f64::MIN_POSITIVE), candidate));
            }
        }
        gains.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut layers = 0;
        for (_, candidate) in gains {
            if chosen.share_with(&graph, candidate) <= wide_share {
                chosen = chosen.with(candidate);
                layers += 1;
            }
        }
        if layers > 0 {
            let technique = format!("{layers} of the most sensitive layers in 16 bits");
            let wide = widened(&chosen.precision);
            self.judge(&technique, &wide, &ranges, &chosen.precision, WORTH_WIDENING)?;
        }
        Ok(())
    }

    /// Quantizes and keeps the network if its outputs are nearer to the float ones than all before, by more than so many
    /// decibels and by more than chance.
    fn judge(
        &mut self,
        technique: &str,
        graph: &Graph,
        ranges: &[Range],
        precision: &Precision,
        least_gain: f32,
    ) -> Result<bool, ConvertError> {
        (self.progress)(technique, 0.0);
        let network = convert(graph, ranges, precision, Metadata::default())?;
        let found = compare(&network, &self.inputs, &self.expected);
        let kept = self
            .best
            .as_ref()
            .is_none_or(|best| found.is_better(best, least_gain));
        self.trials.push(Trial {
            technique: technique.into(),
            fidelity: found.fidelity,
            kept,
        });
        if kept {
            (self.graph, self.precision) = (graph.clone(), precision.clone());
            self.best = Some(found);
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float;
    use crate::graph::Clamp;
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
        let (statistics, _) = calibrate(&graph, &inputs(&graph, 0..32), &|_, _| ()).unwrap();
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
        let (statistics, _) = calibrate(&graph, &inputs(&graph, 0..32), &|_, _| ()).unwrap();
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
            .0
            .ranges(Method::MinMax);
        let precision = Precision::narrow();
        let nearest = decibels(&graph, &ranges, &precision, &graph);
        let mut rounded = graph.clone();
        pin(&mut rounded, &ranges, &precision);
        reconstruct(&mut rounded, &ranges, &precision, &seen, &|_, _| ()).unwrap();
        let found = decibels(&rounded, &ranges, &precision, &graph);
        assert!(found > nearest + 0.3, "{nearest} dB became {found} dB");
        let all_rounded = rounded.nodes.iter().filter_map(|node| node.operator.weights());
        assert!(all_rounded.clone().count() > 0);
        assert!(all_rounded.into_iter().all(|weights| weights.quantized.is_some()));
    }

    #[test]
    fn layers_that_read_wide_sums_are_rounded_too() {
        let start = Builder::new(8, 8, 3).convolution(16, 3, 1);
        let stream = start.last();
        let graph = start
            .depthwise(3, 1)
            .convolution(16, 1, 0)
            .add(stream)
            .convolution(8, 1, 0)
            .operator(Operator::GlobalAveragePool)
            .fully_connected(10)
            .finish();
        let seen = inputs(&graph, 0..16);
        let ranges = calibrate(&graph, &seen, &|_, _| ())
            .unwrap()
            .0
            .ranges(Method::MinMax);
        let sums = mixed::sums(&graph).expect("there is one").tensors;
        let precision = Precision { wide: sums };
        let mut rounded = graph.clone();
        pin(&mut rounded, &ranges, &precision);
        reconstruct(&mut rounded, &ranges, &precision, &seen, &|_, _| ()).unwrap();
        let (before, after) = (
            decibels(&graph, &ranges, &precision, &graph),
            decibels(&rounded, &ranges, &precision, &graph),
        );
        assert!(after > before, "{before} dB became {after} dB");
    }

    #[test]
    fn sums_are_tried_in_16_bits_only_within_the_budget() {
        let graph = residual();
        let made = |wide_share: f64| {
            let recipe = Recipe::Best {
                wide_share: Some(wide_share),
            };
            let (inputs, metadata) = (inputs(&graph, 0..16), Metadata::default());
            quantize(&graph, &inputs, Method::MinMax, recipe, metadata, &|_, _| ()).unwrap()
        };
        let tried = |made: &Quantized| {
            let mut techniques = made.trials.iter().map(|trial| trial.technique.as_str());
            techniques.any(|technique| technique == "sums in 16 bits")
        };
        let wide = |made: &Quantized| {
            let mut tensors = made.network.tensors.iter();
            tensors.any(|tensor| tensor.element == Element::Int16)
        };
        // Two sums cost less than a tenth, and more than a hundredth.
        let [none, too_little, enough] = [0.0, 0.01, 0.1].map(made);
        assert_eq!([&none, &too_little, &enough].map(tried), [false, false, true]);
        let kept_wide = |trial: &Trial| trial.kept && trial.technique.contains("16 bits");
        for made in [&none, &too_little, &enough] {
            assert_eq!(wide(made), made.trials.iter().any(kept_wide));
        }
    }

    #[test]
    fn an_output_in_16_bits_is_tried_unless_nothing_may_have_them() {
        // A mean over all pixels takes the other noise away, so that the output's steps are most of what is left.
        let graph = Builder::new(16, 16, 3)
            .convolution(8, 3, 1)
            .operator(Operator::GlobalAveragePool)
            .fully_connected(4)
            .operator(Operator::Softmax { beta: 1.0 })
            .finish();
        let made = |wide_share| {
            let (inputs, metadata) = (inputs(&graph, 0..32), Metadata::default());
            let recipe = Recipe::Best { wide_share };
            quantize(&graph, &inputs, Method::MinMax, recipe, metadata, &|_, _| ()).unwrap()
        };
        let is_output = |trial: &&Trial| trial.technique == "output in 16 bits";
        let (narrow, wide) = (made(Some(0.0)), made(None));
        assert!(narrow.trials.iter().find(is_output).is_none());
        assert!(wide.trials.iter().find(is_output).expect("it is tried").kept);
        // Softmax reads what the fully connected layer writes; nothing is requantized between.
        let nodes = &wide.network.nodes;
        assert_eq!(nodes.len(), graph.nodes.len());
        let element = |tensor: usize| wide.network.tensors[tensor].element;
        let elements: Vec<_> = nodes.iter().map(|node| element(node.output)).collect();
        assert_eq!(elements[1..], [Element::Int8, Element::Int16, Element::Int8]);
        let judges: Vec<_> = inputs(&graph, 100..132);
        let expected: Vec<_> = judges
            .iter()
            .map(|input| float::run(&graph, input).unwrap())
            .collect();
        // Probabilities have steps of 1/256 either way.
        assert!(fidelity(&wide.network, &judges, &expected).decibels > 40.0);
    }

    #[test]
    fn ranges_are_scaled_where_that_helps() {
        // One input has values that no other has, so that ranges of everything seen are far too wide.
        let graph = residual();
        let mut inputs = inputs(&graph, 0..16);
        inputs[0].iter_mut().for_each(|value| *value *= 30.0);
        let (statistics, outputs) = calibrate(&graph, &inputs, &|_, _| ()).unwrap();
        let judges = inputs.into_iter().zip(outputs).skip(1).step_by(2);
        let mut search = Search::new(&graph, judges.unzip(), &|_, _| ());
        search
            .attempt("as seen", &graph, &statistics, Method::MinMax)
            .unwrap();
        let before = search.best.as_ref().unwrap().fidelity.decibels;
        search.scale_ranges().unwrap();
        let after = search.best.as_ref().unwrap().fidelity.decibels;
        assert!(after > before + 2.0, "{before} dB became {after} dB");
    }

    #[test]
    fn a_last_softmax_is_kept_and_what_it_reads_is_compared() {
        let graph = Builder::new(6, 6, 3)
            .convolution(8, 3, 1)
            .operator(Operator::GlobalAveragePool)
            .fully_connected(10)
            .operator(Operator::Softmax { beta: 1.0 })
            .finish();
        let (inputs, metadata) = (inputs(&graph, 0..16), Metadata::default());
        let recipe = Recipe::Best { wide_share: None };
        let made = quantize(&graph, &inputs, Method::MinMax, recipe, metadata, &|_, _| ()).unwrap();
        assert_eq!(made.graph.output, graph.output);
        assert_eq!(made.network.nodes.len(), graph.nodes.len());
        let output = &made.network.tensors[made.network.output];
        assert_eq!((output.scale, output.zero_point), (1.0 / 256.0, -128));
        let expected = |graph: &Graph| -> Vec<Vec<f32>> {
            let judges = inputs.iter().skip(1).step_by(2);
            judges.map(|input| float::run(graph, input).unwrap()).collect()
        };
        let judges: Vec<_> = inputs.iter().skip(1).step_by(2).cloned().collect();
        assert!(fidelity(&made.network, &judges, &expected(&graph)).decibels > 20.0);
        let (body, softmax) = split_softmax(&graph);
        assert!(softmax.is_some());
        let statistics = calibrate(&body, &inputs, &|_, _| ()).unwrap().0;
        let ranges = statistics.ranges(Method::MinMax);
        let first = convert(&body, &ranges, &Precision::narrow(), Metadata::default()).unwrap();
        assert_eq!(
            made.trials[0].fidelity,
            fidelity(&first, &judges, &expected(&body))
        );
    }

    #[test]
    fn the_best_of_all_trials_is_kept() {
        let graph = residual();
        let made = quantize(
            &graph,
            &inputs(&graph, 0..16),
            Method::MinMax,
            Recipe::Best { wide_share: None },
            Metadata::default(),
            &|_, _| (),
        )
        .unwrap();
        assert!(made.trials[0].kept);
        let best = made.trials.iter().rfind(|trial| trial.kept).expect("one is kept");
        let judges: Vec<Vec<f32>> = inputs(&graph, 0..16).into_iter().skip(1).step_by(2).collect();
        let expected: Vec<Vec<f32>> = judges
            .iter()
            .map(|input| float::run(&graph, input).unwrap())
            .collect();
        assert_eq!(fidelity(&made.network, &judges, &expected), best.fidelity);
    }
}

//! From a float graph and calibration inputs to a quantized network: which techniques, in which order, and what each of
//! them brought.
//!
//! [`Recipe::Fast`] calibrates and converts. [`Recipe::Best`] tries equalization, several ways to choose ranges, and bias
//! correction, and keeps what brings the int8 outputs nearer to the float ones on the calibration inputs.

mod bias;
mod channels;
mod equalize;
mod measure;

pub use channels::{ChannelStatistics, Channels};
pub use equalize::equalize;
pub use measure::{Fidelity, fidelity};

use crate::calibrate::{Method, Range, Statistics};
use crate::convert::{ConvertError, convert};
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
    let statistics = calibrate(graph, inputs, progress)?;
    let network = convert(graph, &statistics.ranges(method), metadata.clone())?;
    if recipe == Recipe::Fast {
        return Ok(Quantized {
            network,
            graph: graph.clone(),
            trials: Vec::new(),
        });
    }
    let mut search = Search::new(graph, inputs, metadata, progress)?;
    search.attempt(&format!("{method:?}"), graph, &statistics.ranges(method))?;

    let channels = ChannelStatistics::of(graph, inputs, progress)?;
    for share in [0.5, 0.75, 1.0] {
        let mut equalized = graph.clone();
        equalize(&mut equalized, &channels, share);
        let statistics = calibrate(&equalized, inputs, progress)?;
        for method in [
            Method::MinMax,
            Method::Percentile(1e-5),
            Method::Percentile(1e-4),
            Method::Mse,
        ] {
            let what = format!(
                "equalization with {share} of the activations' spread moved into weights, {method:?}"
            );
            search.attempt(&what, &equalized, &statistics.ranges(method))?;
        }
    }
    let (graph, ranges) = (search.graph.clone(), search.ranges.clone());
    let channels = ChannelStatistics::of(&graph, inputs, progress)?;
    let mut corrected = graph.clone();
    bias::correct(&mut corrected, &channels);
    search.attempt("bias correction", &corrected, &ranges)?;
    Ok(Quantized {
        network: search.network,
        graph: search.graph,
        trials: search.trials,
    })
}

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
    graph: Graph,
    ranges: Vec<Range>,
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
            graph: graph.clone(),
            ranges: Vec::new(),
            network: Network::default(),
            best: None,
            trials: Vec::new(),
        })
    }

    /// Quantizes with these ranges and keeps the network if its outputs are nearer to the float ones than all before.
    fn attempt(&mut self, technique: &str, graph: &Graph, ranges: &[Range]) -> Result<(), ConvertError> {
        (self.progress)(technique, 0.0);
        let network = convert(graph, ranges, self.metadata.clone())?;
        let fidelity = fidelity(&network, self.inputs, &self.expected);
        let kept = self.best.is_none_or(|best| fidelity.decibels > best.decibels);
        self.trials.push(Trial {
            technique: technique.into(),
            fidelity,
            kept,
        });
        if kept {
            (self.graph, self.ranges, self.network) = (graph.clone(), ranges.to_vec(), network);
            self.best = Some(fidelity);
        }
        Ok(())
    }
}

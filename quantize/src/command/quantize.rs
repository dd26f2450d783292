//! `sepconv quantize`: from ONNX or TFLite to a `.sepc` file.

use super::failure::Failure;
use super::model_file::ANY_LAYOUT;
use super::output::{self, thousands};
use super::samples::Samples;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use sepconv::build::Embed;
use sepconv::layout::Target as Layouts;
use sepconv::{Model, Shape};
use sepconv_quantize::calibrate::Method;
use sepconv_quantize::evaluate::layers;
use sepconv_quantize::graph::Graph;
use sepconv_quantize::network::{Metadata, Network, PlanFigures, Preprocess};
use sepconv_quantize::plan::{self, Options, Plan};
use sepconv_quantize::recipe::{self, Recipe, Trial};
use sepconv_quantize::report::{Report, activations};
use sepconv_quantize::summary::Summary;
use sepconv_quantize::tflite::TfliteError;
use sepconv_quantize::{constant_channels, convert, float, four_bits, onnx, qdq, rewrite, tflite, write};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// An .onnx or .tflite file, in floating point or quantized (int8 .tflite, QDQ .onnx), which needs no calibration.
    source: PathBuf,
    /// Images that the network is meant for: a folder of PNG, JPEG or BMP files, MNIST IDX or CIFAR-10 files; or inputs
    /// that are no images: an .npy array or an .npz archive with an array `input`, [n, height, width, channels]. Never
    /// those that accuracy is measured on.
    #[arg(long, value_name = "DIR|ARRAY")]
    calibrate: Option<PathBuf>,
    /// How many of them to use at most, evenly spread.
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
    images: u32,
    /// The input's size, to check that the network has it.
    #[arg(long, value_name = "HxW", value_parser = size)]
    size: Option<(u32, u32)>,
    /// Mean of the pixels: one number, or one a channel with commas. The input is (pixel - mean) / std. Likewise for
    /// integers in arrays: there the mean is their zero point, and the standard deviation 1 / scale.
    #[arg(long, value_name = "M", value_delimiter = ',', requires = "std")]
    mean: Option<Vec<f32>>,
    /// Standard deviation of the pixels, likewise.
    #[arg(long, value_name = "S", value_delimiter = ',', requires = "mean")]
    std: Option<Vec<f32>>,
    /// How images are resized.
    #[arg(long, default_value = "bicubic", value_parser = ["bilinear", "bicubic"])]
    resize: String,
    /// The order of the input's colours.
    #[arg(long, default_value = "RGB", value_parser = ["RGB", "BGR"])]
    channel_order: String,
    /// Use this fraction of the image's centre instead of the whole image.
    #[arg(long, value_name = "FRACTION")]
    crop: Option<f32>,
    /// fast: calibrate and convert. best: try what is known to help, and keep what does.
    #[arg(long, default_value = "fast")]
    recipe: RecipeName,
    /// How the range of an activation is chosen.
    #[arg(long, default_value = "minmax")]
    method: MethodName,
    /// With --recipe best: how many percent of all multiply-accumulates may have activations of 16 bits, if that brings the
    /// outputs nearer to the float ones. 1 is enough for the sums of residual networks, 0 keeps 8 bits throughout. Without
    /// it, only the output (before a last softmax) may have 16 bits, where that costs little.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    mixed_precision_budget: Option<f32>,
    /// What to plan and pack for. Without it, the smallest arena and a layout that every processor reads.
    #[arg(long)]
    target: Option<TargetName>,
    /// Take the input row by row, as a camera gives it: the arena never holds all of it.
    #[arg(long)]
    push_input: bool,
    /// By how much the arena may grow beyond its smallest size where that saves time.
    #[arg(long, value_name = "PERCENT", default_value = "10", value_parser = clap::value_parser!(u32).range(..=1000))]
    arena_growth: u32,
    /// Give weights 4 bits, in the layers that lose least by it, until the file has at most so many bytes. Microcontrollers
    /// run these layers without kernels of their own, and so more slowly.
    #[arg(long, value_name = "BYTES", requires = "calibrate")]
    max_flash: Option<usize>,
    /// Keep the channels of an int8 source that no input can change. They are left out otherwise: the outputs are the same.
    #[arg(long)]
    keep_channels: bool,
    /// The file to write.
    #[arg(short, long, value_name = "OUT.sepc")]
    output: PathBuf,
    /// Also write the quantized network as ONNX in QDQ format, for other runtimes.
    #[arg(long, value_name = "OUT.onnx")]
    qdq: Option<PathBuf>,
    /// Also write a Rust module that compiles the model in, with only the kernels that it uses. It lies beside the .sepc
    /// file, which it includes.
    #[arg(long, value_name = "OUT.rs")]
    rust: Option<PathBuf>,
    #[command(flatten)]
    report: super::report::Arguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RecipeName {
    Fast,
    Best,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MethodName {
    Minmax,
    /// The moving average of each image's least and greatest value.
    Moving,
    /// What 80 % of the images keep within, at each end.
    Most,
    Percentile,
    Mse,
    Entropy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TargetName {
    Host,
    CortexM0,
    CortexM3,
    CortexM4,
    CortexM55,
    Aarch64,
}

/// Bytes of depthwise rows that a host keeps between a depthwise convolution and the pointwise one after it.
const HOST_FUSE_BYTES: usize = 256 << 10;

/// The share of images that keep within the ranges of the method of that name.
const MOST: f64 = 0.8;

/// The share of values that the percentile method leaves out at each end.
const PERCENTILE: f64 = 1e-4;

pub fn main(arguments: &Arguments, as_json: bool) -> Result<(), Failure> {
    let start = Instant::now();
    let bytes = std::fs::read(&arguments.source).map_err(|error| Failure::input(&arguments.source, error))?;
    let bar = progress_bar(as_json);
    let Made {
        mut network,
        mut trials,
        float,
    } = network(arguments, &bytes, &bar)?;
    if float.is_none() && !arguments.keep_channels {
        let dropped = constant_channels::drop_constant_channels(&mut network);
        if dropped > 0 {
            network.metadata.settings += &format!(", without {dropped} channels that no input can change");
        }
    }
    if let (Some(wanted), Some(images)) = (arguments.max_flash, &arguments.calibrate) {
        trials.extend(shrink(
            arguments,
            &mut network,
            float.as_ref(),
            images,
            wanted,
            &bar,
        )?);
    }
    bar.set_message("planning memory");
    let (options, target) = arguments.plan();
    let plan = plan::plan(&network, &options);
    network.metadata.plan = Some(PlanFigures {
        lower_bound: plan.lower_bound,
        whole: plan.whole,
    });
    let file =
        write::to_bytes(&network, &plan, target).map_err(|error| Failure::input(&arguments.source, error))?;
    let module = arguments
        .rust
        .as_deref()
        .map(|path| rust_module(arguments, path, &file));
    let module = module.transpose()?;
    if let Some(path) = &arguments.qdq {
        let model = qdq::to_bytes(&network).map_err(|error| Failure::input(&arguments.source, error))?;
        write::write_file(path, &model).map_err(|error| Failure::Environment(error.to_string()))?;
    }
    write::write_file(&arguments.output, &file).map_err(|error| Failure::Environment(error.to_string()))?;
    if let (Some(path), Some(module)) = (&arguments.rust, module) {
        write::write_file(path, module.as_bytes())
            .map_err(|error| Failure::Environment(error.to_string()))?;
    }
    if arguments.report.wanted() {
        bar.set_message("writing the report");
        write_report(arguments, &network, &plan, &trials, float.as_ref())?;
    }
    bar.finish_and_clear();
    report(arguments, &file, &trials, start.elapsed(), as_json)
}

impl Arguments {
    /// How to plan memory, and for which kernels to pack.
    fn plan(&self) -> (Options, Layouts) {
        let small = Options {
            growth_percent: self.arena_growth as usize,
            ..Options::SMALLEST
        };
        let (options, target) = match self.target {
            None | Some(TargetName::Aarch64) => (small, Layouts::Plain),
            Some(TargetName::CortexM0 | TargetName::CortexM3) => (small, Layouts::CortexM3),
            Some(TargetName::CortexM4) => (small, Layouts::CortexM4),
            Some(TargetName::CortexM55) => (small, Layouts::CortexM55),
            // A host packs for its own instruction set when it loads the model.
            Some(TargetName::Host) => (
                Options {
                    alignment: 64,
                    fuse_bytes: HOST_FUSE_BYTES,
                    ..Options::WHOLE
                },
                Layouts::Plain,
            ),
        };
        // Rows can only be pushed into a schedule that streams.
        let stream = options.stream || self.push_input;
        (
            Options {
                push_input: self.push_input,
                stream,
                target,
                ..options
            },
            target,
        )
    }

    fn method(&self) -> Method {
        match self.method {
            MethodName::Minmax => Method::MinMax,
            MethodName::Moving => Method::MovingAverage,
            MethodName::Most => Method::MostInputs(MOST),
            MethodName::Percentile => Method::Percentile(PERCENTILE),
            MethodName::Mse => Method::Mse,
            MethodName::Entropy => Method::Entropy,
        }
    }
}

/// Bytes that the settings and figures take at most which a file gets after its weights are chosen.
const STILL_TO_COME: usize = 192;

/// Gives weights 4 bits until the file is small enough. How near the outputs are then to the float ones is said; without a
/// float network, to those before.
fn shrink(
    arguments: &Arguments,
    network: &mut Network,
    float: Option<&Float>,
    images: &Path,
    wanted: usize,
    bar: &ProgressBar,
) -> Result<Option<Trial>, Failure> {
    bar.set_message("weights of 4 bits");
    let mut inputs = match float {
        Some(float) => float.inputs.clone(),
        None => {
            let (shape, limit) = (network.tensors[network.input].shape, arguments.images as usize);
            Samples::calibration(images, network.metadata.preprocess.as_ref(), shape, limit)?.all_real()
        }
    };
    inputs.truncate(four_bits::INPUTS);
    let (options, target) = arguments.plan();
    let size = |network: &Network| {
        let file = write::to_bytes(network, &plan::plan(network, &options), target)?;
        Ok(file.len() + STILL_TO_COME)
    };
    let progress = |share: f32| bar.set_position((share * 100.0) as u64);
    let wrong = |error: &dyn std::fmt::Display| Failure::input(&arguments.source, error);
    let shrunken = four_bits::shrink(network, &inputs, wanted, &size, &progress);
    let Some(shrunken) = shrunken.map_err(|error| wrong(&error))? else {
        return Ok(None);
    };
    let mut fidelity = shrunken.fidelity;
    if let Some(float) = float {
        let expected = inputs.iter().map(|input| float::run(&float.source, input));
        let expected: Vec<_> = expected
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(&error))?;
        fidelity = recipe::fidelity(network, &inputs, &expected);
    }
    let technique = format!("weights of 4 bits in {} layers", shrunken.layers.len());
    network.metadata.settings += &format!(", {technique}");
    Ok(Some(Trial {
        technique,
        fidelity,
        kept: true,
    }))
}

/// The module that includes a model's file, which lies in the same folder.
fn rust_module(arguments: &Arguments, path: &Path, file: &[u8]) -> Result<String, Failure> {
    let model = &arguments.output;
    if path.parent() != model.parent() {
        return Err(Failure::Usage(format!(
            "--rust {}: the module includes {} and has to lie in its folder",
            path.display(),
            model.display()
        )));
    }
    let name = model.file_name().unwrap_or_default().to_string_lossy();
    let embed = Embed::new(model).name("model");
    let module = embed
        .module(file)
        .map_err(|error| Failure::Input(error.to_string()))?;
    let in_build_script = "concat!(env!(\"OUT_DIR\"), \"/model.sepc\")";
    Ok(format!(
        "//! {name}, compiled in. Written by `sepconv quantize --rust`.\n\n{}",
        module.replace(in_build_script, &format!("{name:?}"))
    ))
}

/// What became of the source.
struct Made {
    network: Network,
    trials: Vec<Trial>,
    /// Nothing if the source was in integers.
    float: Option<Float>,
}

/// The float network, for comparisons.
struct Float {
    /// As the source has it, simplified.
    source: Graph,
    /// As it was quantized: equalized and corrected.
    quantized: Graph,
    /// Calibration inputs.
    inputs: Vec<Vec<f32>>,
}

/// Calibration inputs that the report's noise and histograms are made from.
const REPORT_INPUTS: usize = 8;

/// Writes the page. Weights are shown from the plain layout, whatever the target's is.
fn write_report(
    arguments: &Arguments,
    network: &Network,
    plan: &Plan,
    trials: &[Trial],
    float: Option<&Float>,
) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::input(&arguments.source, error);
    let file = write::to_bytes(network, plan, Layouts::Plain).map_err(|error| wrong(&error))?;
    let model = Model::new(&file).map_err(|error| wrong(&error))?;
    let names = Summary::of(&model).metadata.operators;
    let (mut noise, mut histograms) = (Vec::new(), Vec::new());
    if let Some(float) = float {
        let inputs = &float.inputs[..float.inputs.len().min(REPORT_INPUTS)];
        noise = layers(&model, &names, &float.source, inputs);
        histograms = activations(&model, &float.quantized, inputs).map_err(|error| wrong(&error))?;
    }
    arguments.report.write(&Report {
        model: &model,
        accuracy: None,
        noise: &noise,
        activations: &histograms,
        trials,
        board: arguments.report.board(),
    })
}

/// Imports the source and, if it is in floating point, quantizes it.
fn network(arguments: &Arguments, bytes: &[u8], bar: &ProgressBar) -> Result<Made, Failure> {
    bar.set_message("reading the network");
    let wrong = |error: &dyn std::fmt::Display| Failure::input(&arguments.source, error);
    let mut metadata = Metadata {
        source: arguments
            .source
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        source_sha256: Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        tool: concat!("sepconv ", env!("CARGO_PKG_VERSION")).into(),
        ..Metadata::default()
    };
    let mut graph = match source(arguments, bytes)? {
        Source::Integers(mut network) => {
            metadata.settings = "the source's quantization".into();
            let input = network.tensors[network.input].shape;
            metadata.preprocess = preprocess(arguments, None, input);
            network.metadata = metadata;
            check_size(arguments, input)?;
            return Ok(Made {
                network,
                trials: Vec::new(),
                float: None,
            });
        }
        Source::Float(graph) => graph,
    };
    rewrite::simplify(&mut graph);
    let shape = graph.shape(graph.input);
    let shape = Shape::new(shape.height as u32, shape.width as u32, shape.channels as u32);
    check_size(arguments, shape)?;
    metadata.classes = graph
        .preprocess
        .as_ref()
        .map_or_else(Vec::new, |known| known.classes.clone());
    metadata.preprocess = preprocess(arguments, Some(&graph), shape);
    let uncalibrated = convert::uncalibrated(&graph);
    let Some(path) = &arguments.calibrate else {
        if let Some(tensor) = uncalibrated {
            let what = match graph.tensors.iter().any(|tensor| tensor.quantization.is_some()) {
                true => format!("is quantized only in part (tensor {tensor:?} is not)"),
                false => "is in floating point".into(),
            };
            return Err(Failure::Usage(format!(
                "{} {what}: give --calibrate DIR, a folder of images that it is meant for",
                arguments.source.display()
            )));
        }
        metadata.settings = "the source's quantization".into();
        let network = convert::convert_quantized(&graph, metadata).map_err(|error| wrong(&error))?;
        return Ok(Made {
            network,
            trials: Vec::new(),
            float: None,
        });
    };
    bar.set_message("reading images");
    let limit = arguments.images as usize;
    let samples = Samples::calibration(path, metadata.preprocess.as_ref(), shape, limit)?;
    if let (false, Some(preprocess)) = (samples.are_images(), &mut metadata.preprocess) {
        preprocess.channel_order = "NONE".into();
    }
    let inputs = samples.all_real();
    drop(samples);
    metadata.settings = format!(
        "recipe {:?}, method {:?}, {} calibration images",
        arguments.recipe,
        arguments.method(),
        inputs.len()
    );
    let recipe = match arguments.recipe {
        RecipeName::Fast => Recipe::Fast,
        RecipeName::Best => Recipe::Best {
            wide_share: arguments
                .mixed_precision_budget
                .map(|percent| f64::from(percent) / 100.0),
        },
    };
    let progress = |what: &str, share: f32| {
        bar.set_message(what.to_string());
        bar.set_position((share * 100.0) as u64);
    };
    let mut quantized = recipe::quantize(&graph, &inputs, arguments.method(), recipe, metadata, &progress)
        .map_err(|error| wrong(&error))?;
    if let RecipeName::Best = arguments.recipe {
        let kept = quantized.trials.iter().filter(|trial| trial.kept);
        let kept: Vec<&str> = kept.map(|trial| trial.technique.as_str()).collect();
        quantized.network.metadata.settings += &format!("; kept: {}", kept.join(", "));
    }
    Ok(Made {
        network: quantized.network,
        trials: quantized.trials,
        float: Some(Float {
            source: graph,
            quantized: quantized.graph,
            inputs,
        }),
    })
}

/// What a source holds.
enum Source {
    Float(Graph),
    Integers(Network),
}

/// Reads a source. Integers in an ONNX file are kept beside its floats.
fn source(arguments: &Arguments, bytes: &[u8]) -> Result<Source, Failure> {
    let path = &arguments.source;
    let wrong = |error: &dyn std::fmt::Display| Failure::input(path, error);
    if !is_tflite(path) {
        let graph = onnx::read_bytes_of(bytes, path);
        return graph.map(Source::Float).map_err(|error| wrong(&error));
    }
    match tflite::from_bytes(bytes) {
        Err(TfliteError::Float { .. }) => {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let graph = tflite::float_from_bytes(bytes, &name).map_err(|error| wrong(&error))?;
            Ok(Source::Float(graph))
        }
        network => network.map(Source::Integers).map_err(|error| wrong(&error)),
    }
}

fn is_tflite(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("tflite"))
}

/// How images become inputs: as the arguments say, else as the source does.
fn preprocess(arguments: &Arguments, graph: Option<&Graph>, shape: Shape) -> Option<Preprocess> {
    let known = graph.and_then(|graph| graph.preprocess.as_ref());
    let (mean, std) = match (&arguments.mean, &arguments.std, known) {
        (Some(mean), Some(std), _) => (mean.clone(), std.clone()),
        (_, _, Some(known)) => (known.mean.clone(), known.std.clone()),
        _ => return None,
    };
    let channel_order = match shape.channels {
        1 => "GRAY".into(),
        3 => arguments.channel_order.clone(),
        _ => "NONE".into(),
    };
    Some(Preprocess {
        mean,
        std,
        channel_order,
        resize: arguments.resize.clone(),
        crop: arguments.crop,
    })
}

fn check_size(arguments: &Arguments, shape: Shape) -> Result<(), Failure> {
    match arguments.size {
        Some(size) if size != (shape.height, shape.width) => Err(Failure::Usage(format!(
            "--size {}x{}: the network takes {}x{}",
            size.0, size.1, shape.height, shape.width
        ))),
        _ => Ok(()),
    }
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let parts = text
        .split_once(['x', 'X'])
        .and_then(|(h, w)| Some((h.parse().ok()?, w.parse().ok()?)));
    parts.ok_or_else(|| "a size is two numbers with an x between, such as 224x224".into())
}

fn percent(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "a percentage is a number from 0 to 100".into())
}

fn progress_bar(hidden: bool) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{elapsed:>4} {bar:30} {msg}").expect("the template is sound");
    let bar = ProgressBar::new(100).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// The most memory that this process has held, in bytes, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn report(
    arguments: &Arguments,
    file: &[u8],
    trials: &[Trial],
    took: Duration,
    as_json: bool,
) -> Result<(), Failure> {
    let model =
        Model::with_kernels(file, &ANY_LAYOUT).map_err(|error| Failure::input(&arguments.output, error))?;
    let summary = Summary::of(&model);
    let figures = summary.metadata.plan;
    if as_json {
        return output::json(&json!({
            "output": arguments.output,
            "arena_bytes": summary.arena_bytes,
            "arena_lower_bound_bytes": figures.map(|figures| figures.lower_bound),
            "arena_whole_bytes": figures.map(|figures| figures.whole),
            "flash_bytes": summary.flash_bytes,
            "macs": summary.macs,
            "operators": summary.ops.len(),
            "steps": summary.steps,
            "settings": summary.metadata.settings,
            "trials": trials,
            "seconds": took.as_secs_f64(),
            "peak_rss_bytes": peak_memory(),
        }));
    }
    if !trials.is_empty() {
        let mut table = output::table(
            &[
                "tried on the calibration images",
                "kept",
                "output SNR",
                "same class",
            ],
            1,
        );
        for trial in trials {
            table.add_row([
                trial.technique.clone(),
                if trial.kept { "yes" } else { "no" }.into(),
                format!("{:.2} dB", trial.fidelity.decibels),
                format!("{:.1} %", 100.0 * trial.fidelity.agreement),
            ]);
        }
        output::text(&format!("{table}\n"))?;
    }
    let bytes = |bytes: usize| format!("{} bytes", thousands(bytes as u64));
    let mut table = output::table(&["written", &arguments.output.display().to_string()], 0);
    table.add_row(["flash".to_string(), bytes(summary.flash_bytes)]);
    table.add_row(["arena".to_string(), bytes(summary.arena_bytes)]);
    if let Some(figures) = figures {
        table.add_row(["  most alive at one time".to_string(), bytes(figures.lower_bound)]);
        table.add_row(["  with every operator whole".to_string(), bytes(figures.whole)]);
        let saved = figures.whole.saturating_sub(summary.arena_bytes);
        table.add_row(["  saved by streaming rows".to_string(), bytes(saved)]);
    }
    table.add_row(["multiply-accumulates".to_string(), thousands(summary.macs)]);
    table.add_row([
        "operators, steps".to_string(),
        format!("{}, {}", summary.ops.len(), summary.steps),
    ]);
    table.add_row(["time".to_string(), format!("{:.1} s", took.as_secs_f64())]);
    if let Some(peak) = peak_memory() {
        table.add_row([
            "memory used here, at most".to_string(),
            format!("{} MiB", peak >> 20),
        ]);
    }
    output::text(&table.to_string())
}

/// The float graph of a source, as it was quantized; for comparisons.
pub fn float_graph(source: &Path) -> Result<Graph, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::input(source, error);
    let mut graph = if is_tflite(source) {
        tflite::read_float(source).map_err(|error| wrong(&error))?
    } else {
        onnx::read(source).map_err(|error| wrong(&error))?
    };
    rewrite::simplify(&mut graph);
    Ok(graph)
}

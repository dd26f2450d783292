//! `cargo xtask peers`: latency side by side with OpenVINO, ONNX Runtime and LiteRT, in one run on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::command;
use crate::error::Error;
use crate::sepconv;
use crate::table::render;
use crate::workspace::{root, target};

/// Measure this project against its peers. Needs Python 3 and, the first time, the network.
#[derive(clap::Args)]
pub struct Arguments {
    /// The folder of networks: xception-imagenet.onnx, efficientnet-lite0.onnx, mobilenet-v2-ptq.tflite [default:
    /// $SEPCONV_SHARED/models, else ../shared/models]
    #[arg(long)]
    models: Option<PathBuf>,
    /// A folder of calibration images; noise where absent
    #[arg(long)]
    images: Option<PathBuf>,
    /// Threads to measure with
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<u16>,
    /// Seconds to measure each peer
    #[arg(long, default_value = "4")]
    seconds: u32,
}

/// How long a peer may take to load a network and run it.
const LIMIT: Duration = Duration::from_secs(600);

/// A network and who can run it.
struct Network {
    name: &'static str,
    file: &'static str,
    /// The normalization of its float input, for networks that the peers' quantizer must quantize.
    normalization: Option<(&'static str, &'static str)>,
    peers: &'static [&'static str],
}

const NETWORKS: &[Network] = &[
    Network {
        name: "Xception 299",
        file: "xception-imagenet.onnx",
        normalization: Some(("127.5", "127.5")),
        peers: &["openvino", "onnxruntime"],
    },
    Network {
        name: "EfficientNet-Lite0 224",
        file: "efficientnet-lite0.onnx",
        normalization: Some(("127", "128")),
        peers: &["openvino", "onnxruntime"],
    },
    Network {
        name: "MobileNetV2 224",
        file: "mobilenet-v2-ptq.tflite",
        normalization: None,
        peers: &["openvino", "litert"],
    },
];

/// Measures and prints the table.
///
/// # Errors
///
/// [`Error`] if the peers do not install, or a network cannot be quantized or run.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let shared = std::env::var_os("SEPCONV_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let models = arguments.models.clone().unwrap_or_else(|| shared.join("models"));
    let images = arguments.images.clone().or_else(|| {
        let images = shared.join("data/imagenet-calibration");
        images.is_dir().then_some(images)
    });
    let python = install()?;
    let mut rows = vec![["network", "threads", "who", "median ms", "min ms", "to the best peer"].map(String::from).to_vec()];
    let mut measured = false;
    for network in NETWORKS {
        let source = models.join(network.file);
        if !source.is_file() {
            println!("left out: {} (there is no {})", network.name, source.display());
            continue;
        }
        measured = true;
        let (ours, theirs) = prepare(network, &source, images.as_deref(), &python)?;
        for threads in &arguments.threads {
            rows.extend(measure(arguments, network, &ours, &theirs, &python, *threads)?);
        }
    }
    if !measured {
        return Err(Error::Input(format!("there is none of the networks in {}", models.display())));
    }
    println!("{}\n\n{}", processor(), render(&rows));
    Ok(())
}

/// Installs the peers in an environment of their own and returns its Python.
fn install() -> Result<PathBuf, Error> {
    let environment = target().join("peers-venv");
    let python = environment.join("bin/python");
    if !python.is_file() {
        command::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    let requirements = root().join("tests/peers/requirements.txt");
    command::run(Command::new(&python).args(install).arg(requirements))?;
    Ok(python)
}

/// Quantizes a network for us and for the peers, once.
fn prepare(
    network: &Network,
    source: &Path,
    images: Option<&Path>,
    python: &Path,
) -> Result<(PathBuf, PathBuf), Error> {
    let folder = target().join("peers");
    std::fs::create_dir_all(&folder)
        .map_err(|error| Error::Environment(format!("cannot make {}: {error}", folder.display())))?;
    let ours = folder.join(network.file).with_extension("sepc");
    let mut quantize = sepconv::command()?;
    quantize.arg("quantize").arg(source).args(["--target", "host", "-o"]).arg(&ours);
    let Some((mean, std)) = network.normalization else {
        sepconv::json(&mut quantize)?;
        return Ok((ours, source.to_path_buf()));
    };
    quantize.args(["--mean", mean, "--std", std]);
    let theirs = folder.join(network.file);
    let mut script = Command::new(python);
    script.arg(root().join("tests/peers/quantize.py")).arg(source).arg(&theirs);
    script.args(["--mean", mean, "--std", std]);
    if let Some(images) = images {
        quantize.arg("--calibrate").arg(images);
        script.arg("--images").arg(images);
    }
    sepconv::json(&mut quantize)?;
    if !theirs.is_file() {
        command::run(&mut script)?;
    }
    Ok((ours, theirs))
}

/// A latency in milliseconds.
struct Latency {
    who: String,
    median: f64,
    least: f64,
}

/// The rows of one network with so many threads: the peers, then ours.
fn measure(
    arguments: &Arguments,
    network: &Network,
    ours: &Path,
    theirs: &Path,
    python: &Path,
    threads: u16,
) -> Result<Vec<Vec<String>>, Error> {
    let mut latencies = Vec::new();
    for peer in network.peers {
        let mut script = Command::new(python);
        script.arg(root().join("tests/peers/measure.py")).arg(peer).arg(theirs);
        script.args(["--threads", &threads.to_string(), "--seconds", &arguments.seconds.to_string()]);
        let (output, _) = command::output_within(&mut script, LIMIT)?;
        let report: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| Error::Failed(format!("{peer} reported no JSON: {error}")))?;
        let version = report["version"].as_str().unwrap_or("");
        latencies.push(latency(format!("{peer} {version}"), &report)?);
    }
    let best = latencies.iter().map(|latency| latency.median).fold(f64::INFINITY, f64::min);
    let mut bench = sepconv::command()?;
    bench.arg("bench").arg(ours).args(["--threads", &threads.to_string()]);
    let report = sepconv::json(&mut bench)?;
    let isa = report["isa"].as_str().unwrap_or("");
    latencies.push(latency(format!("sepconv {isa}"), &report)?);
    Ok(latencies
        .into_iter()
        .map(|latency| {
            vec![
                network.name.to_string(),
                threads.to_string(),
                latency.who,
                format!("{:.2}", latency.median),
                format!("{:.2}", latency.least),
                format!("{:.2}", latency.median / best),
            ]
        })
        .collect())
}

fn latency(who: String, report: &Value) -> Result<Latency, Error> {
    match (report["median_ms"].as_f64(), report["min_ms"].as_f64()) {
        (Some(median), Some(least)) => Ok(Latency { who, median, least }),
        _ => Err(Error::Failed(format!("{who} reported no median_ms and min_ms"))),
    }
}

/// The processor's name, as far as the operating system tells.
fn processor() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or("unknown processor", |(_, name)| name.trim()).to_string()
}

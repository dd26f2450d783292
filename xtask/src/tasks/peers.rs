//! `cargo xtask peers`: latency side by side with OpenVINO, ONNX Runtime and LiteRT, in one run on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::command;
use crate::error::Error;
use crate::python;
use crate::sepconv;
use crate::table::render;
use crate::workspace::{cargo, root, shared, target};

/// Measure this project against its peers. Needs Python 3 and, the first time, the network.
#[derive(clap::Args)]
pub struct Arguments {
    /// The folder of networks: xception-imagenet.onnx, efficientnet-lite0.onnx, mobilenet-v2-ptq.tflite [default:
    /// $SEPCONV_SHARED/models, else ../shared/models]
    #[arg(long)]
    models: Option<PathBuf>,
    /// A folder of calibration images; noise for the peers' quantizer where absent
    #[arg(long)]
    images: Option<PathBuf>,
    /// Threads to measure with
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<u16>,
    /// Images at a time
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// Measure everyone so many times, in turn
    #[arg(long, default_value = "5")]
    rounds: usize,
    /// Our kernels, one of `sepconv isa`; OpenVINO is held to the same instruction set (others cannot be)
    #[arg(long)]
    isa: Option<String>,
    /// Compare our int8 with the peers' fp32 on single layers instead
    #[arg(long)]
    layers: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// How long a peer may take to load a network and run it.
const LIMIT: Duration = Duration::from_secs(600);

/// Seconds of one measurement of one contender.
const SECONDS: &str = "1.5";

/// A network and who can run it.
struct Network {
    name: &'static str,
    file: &'static str,
    /// The normalization of its float input, for networks that are still to be quantized.
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

/// What every clone has, for machines without the others.
const OWN: Network = Network {
    name: "micro Xception 28",
    file: "micro-xception.onnx",
    normalization: Some(("0", "255")),
    peers: &["openvino", "onnxruntime"],
};

/// Measures and prints the table.
///
/// # Errors
///
/// [`Error`] if the peers do not install, or a network cannot be quantized or run.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let python = python::install("peers-venv", &["tests/peers/requirements.txt"])?;
    if arguments.layers {
        return layers(&python);
    }
    let shared = shared();
    let models = arguments.models.clone().unwrap_or_else(|| shared.join("models"));
    let images = arguments.images.clone().or_else(|| {
        let images = shared.join("data/imagenet-calibration");
        images.is_dir().then_some(images)
    });
    let mut measured = Vec::new();
    for network in NETWORKS {
        let source = models.join(network.file);
        if source.is_file() {
            measured.extend(contest(arguments, network, &source, images.as_deref(), &python)?);
        } else {
            eprintln!("left out: {} (there is no {})", network.name, source.display());
        }
    }
    if measured.is_empty() {
        let source = root().join("models").join(OWN.file);
        let digits = root().join("host-train/data");
        measured = contest(arguments, &OWN, &source, Some(&digits), &python)?;
    }
    print(arguments, &measured)
}

/// Quantizes a network for us and for the peers: the same network and images, each by its own quantizer.
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
    quantize
        .arg("quantize")
        .arg(source)
        .args(["--target", "host", "-o"])
        .arg(&ours);
    let Some((mean, std)) = network.normalization else {
        sepconv::json(&mut quantize)?;
        return Ok((ours, source.to_path_buf()));
    };
    quantize.args(["--mean", mean, "--std", std, "--images", "16"]);
    let theirs = folder.join(network.file);
    let mut script = Command::new(python);
    script
        .arg(root().join("tests/peers/quantize.py"))
        .arg(source)
        .arg(&theirs);
    script.args(["--mean", mean, "--std", std, "--count", "16"]);
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

/// One contender on one network with a number of threads.
struct Measured {
    network: &'static str,
    threads: u16,
    who: String,
    ours: bool,
    /// Milliseconds of a batch: the median of the rounds' medians, and the least of all.
    median: f64,
    least: f64,
    /// The median to that of the fastest peer.
    ratio: f64,
}

/// Measures everyone on one network, in turn, so that what else the machine does falls on all alike.
fn contest(
    arguments: &Arguments,
    network: &Network,
    source: &Path,
    images: Option<&Path>,
    python: &Path,
) -> Result<Vec<Measured>, Error> {
    let (ours, theirs) = prepare(network, source, images, python)?;
    let mut all = Vec::new();
    for &threads in &arguments.threads {
        let peers = network.peers.iter().copied().map(Some);
        let mut contenders: Vec<Contender> = peers.chain([None]).map(Contender::new).collect();
        for round in 0..arguments.rounds.max(1) {
            eprintln!("{}, {threads} threads, round {}", network.name, round + 1);
            for mut contender in std::mem::take(&mut contenders) {
                let latency = match contender.peer {
                    Some(peer) => peer_latency(arguments, python, peer, &theirs, threads),
                    None => our_latency(arguments, &ours, threads),
                };
                match (latency, contender.peer) {
                    (Ok((who, median, least)), _) => {
                        contender.who = who;
                        contender.medians.push(median);
                        contender.least = contender.least.min(least);
                        contenders.push(contender);
                    }
                    // OpenVINO held to an older instruction set cannot run every network.
                    (Err(error), Some(peer)) => eprintln!("left out: {peer} with {}: {error}", network.name),
                    (Err(error), None) => return Err(error),
                }
            }
        }
        let peers = contenders.len() - 1;
        if peers == 0 {
            return Err(Error::Failed(format!("no peer could run {}", network.name)));
        }
        let mut found: Vec<Measured> = contenders
            .into_iter()
            .map(|mut contender| {
                contender.medians.sort_by(f64::total_cmp);
                Measured {
                    network: network.name,
                    threads,
                    who: contender.who,
                    ours: contender.peer.is_none(),
                    median: contender.medians[contender.medians.len() / 2],
                    least: contender.least,
                    ratio: 0.0,
                }
            })
            .collect();
        let best = found[..peers]
            .iter()
            .map(|measured| measured.median)
            .fold(f64::INFINITY, f64::min);
        found
            .iter_mut()
            .for_each(|measured| measured.ratio = measured.median / best);
        all.extend(found);
    }
    Ok(all)
}

/// One of those that run a network in turn, and what it took.
struct Contender {
    /// `None` for ourselves.
    peer: Option<&'static str>,
    who: String,
    medians: Vec<f64>,
    least: f64,
}

impl Contender {
    fn new(peer: Option<&'static str>) -> Self {
        Self {
            peer,
            who: String::new(),
            medians: Vec::new(),
            least: f64::INFINITY,
        }
    }
}

fn peer_latency(
    arguments: &Arguments,
    python: &Path,
    peer: &str,
    network: &Path,
    threads: u16,
) -> Result<(String, f64, f64), Error> {
    let mut script = urgently(python);
    script
        .arg(root().join("tests/peers/measure.py"))
        .arg(peer)
        .arg(network);
    script.args(["--threads", &threads.to_string(), "--seconds", SECONDS]);
    script.args(["--batch", &arguments.batch.to_string()]);
    let limit = arguments.isa.as_deref().and_then(onednn_name);
    if let Some(limit) = limit {
        script.env("ONEDNN_MAX_CPU_ISA", limit);
    }
    let report = python::json(&mut script, LIMIT, &format!("{peer} reported no JSON"))?;
    let mut who = format!("{peer} {}", report["version"].as_str().unwrap_or(""));
    if let (Some(limit), "openvino") = (limit, peer) {
        who += &format!(" ({limit})");
    }
    latency(who, &report)
}

fn our_latency(arguments: &Arguments, model: &Path, threads: u16) -> Result<(String, f64, f64), Error> {
    let mut bench = urgently(sepconv::path()?);
    bench
        .arg("bench")
        .arg(model)
        .args(["--threads", &threads.to_string()])
        .args(["--batch", &arguments.batch.to_string()]);
    if let Some(isa) = &arguments.isa {
        bench.args(["--isa", isa]);
    }
    let report = sepconv::json(&mut bench)?;
    let who = format!("sepconv {}", report["isa"].as_str().unwrap_or(""));
    latency(who, &report)
}

/// OpenVINO's name (oneDNN's) for one of our instruction sets.
fn onednn_name(isa: &str) -> Option<&'static str> {
    match isa {
        "avx2" => Some("AVX2"),
        "avxvnni" => Some("AVX2_VNNI"),
        "avx512vnni" => Some("AVX512_CORE_VNNI"),
        "amx" => Some("AVX512_CORE_AMX"),
        _ => None,
    }
}

/// A program with the highest priority, where this user may give it: other programs disturb less then.
fn urgently(program: &Path) -> Command {
    let nice = ["-n", "-19"];
    let may = Command::new("nice").args(nice).arg("true").output();
    // `nice` runs the program either way, but says so on standard error if it could not change the priority.
    if may.is_ok_and(|output| output.status.success() && output.stderr.is_empty()) {
        let mut command = Command::new("nice");
        command.args(nice).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn latency(who: String, report: &Value) -> Result<(String, f64, f64), Error> {
    match (report["median_ms"].as_f64(), report["min_ms"].as_f64()) {
        (Some(median), Some(least)) => Ok((who, median, least)),
        _ => Err(Error::Failed(format!("{who} reported no median_ms and min_ms"))),
    }
}

fn print(arguments: &Arguments, all: &[Measured]) -> Result<(), Error> {
    let (date, processor) = (today(), processor());
    let per_second = |m: &Measured| f64::from(arguments.batch) / m.median * 1e3;
    if arguments.json {
        let object = |m: &Measured| {
            json!({
                "network": m.network, "threads": m.threads, "who": m.who, "ours": m.ours,
                "batch": arguments.batch,
                "median_ms": m.median, "min_ms": m.least, "images_per_second": per_second(m), "ratio": m.ratio,
            })
        };
        let latencies: Vec<Value> = all.iter().map(object).collect();
        println!(
            "{}",
            json!({ "date": date, "processor": processor, "latencies": latencies })
        );
        return Ok(());
    }
    let heading = [
        "network",
        "threads",
        "who",
        "median ms",
        "min ms",
        "images/s",
        "to the best peer",
    ];
    let mut rows = vec![heading.map(String::from).to_vec()];
    rows.extend(all.iter().map(|m| {
        vec![
            m.network.to_string(),
            m.threads.to_string(),
            m.who.clone(),
            format!("{:.2}", m.median),
            format!("{:.2}", m.least),
            format!("{:.1}", per_second(m)),
            format!("{:.2}", m.ratio),
        ]
    }));
    println!("{date}, {processor}\n\n{}", render(&rows));
    Ok(())
}

/// Our int8 layers beside the peers' fp32 layers of the same shapes, one thread.
fn layers(python: &Path) -> Result<(), Error> {
    let mut example = cargo();
    example.args([
        "build",
        "--release",
        "--quiet",
        "--package",
        "sepconv-tests",
        "--example",
        "layers",
    ]);
    command::run(&mut example)?;
    let (ours, _) = command::output_within(&mut urgently(&target().join("release/examples/layers")), LIMIT)?;
    let file = target().join("peers-layers.json");
    std::fs::write(&file, &ours.stdout)
        .map_err(|error| Error::Environment(format!("cannot write {}: {error}", file.display())))?;
    let mut script = urgently(python);
    script.arg(root().join("tests/peers/layers.py")).arg(&file);
    let (output, _) = command::output_within(&mut script, LIMIT)?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim_end().to_string();
        return Err(Error::Failed(message));
    }
    let table = String::from_utf8_lossy(&output.stdout);
    println!("{}, {}\n\n{}", today(), processor(), table.trim_end());
    Ok(())
}

fn today() -> String {
    command::first_line("date", &["-u", "+%Y-%m-%d"]).unwrap_or_else(|| "unknown date".into())
}

/// The processor's name, as far as the operating system tells.
fn processor() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_string())
    };
    let name = field("model name").unwrap_or_else(|| "unknown processor".into());
    match (field("cpu family"), field("model\t")) {
        (Some(family), Some(model)) => format!("{name} (family {family}, model {model})"),
        _ => name,
    }
}

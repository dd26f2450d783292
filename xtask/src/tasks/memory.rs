//! `cargo xtask memory`: the arena that networks need, beside TensorFlow Lite Micro's.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::error::Error;
use crate::sepconv;
use crate::table::{render, thousands};
use crate::workspace::{root, shared, target};

/// Arguments of `memory`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A network, what TensorFlow Lite Micro takes for it (as `tests/conformance/arena.py` prints it), and our bars.
struct Network {
    name: &'static str,
    /// The file, in the folder of models for measuring.
    file: &'static str,
    micro_arena: u64,
    micro_activations: u64,
    /// The most bytes that the arena may have, for any processor and packed for a Cortex-M4 alike.
    bar: Option<u64>,
    /// The most bytes with pushed input rows.
    pushed_bar: Option<u64>,
}

const NETWORKS: [Network; 4] = [
    Network {
        name: "VWW",
        file: "mlperf-tiny/vww_int8.tflite",
        micro_arena: 103_680,
        micro_activations: 73_728,
        bar: Some(40 << 10),
        pushed_bar: Some(24 << 10),
    },
    Network {
        name: "KWS",
        file: "mlperf-tiny/kws_int8.tflite",
        micro_arena: 24_272,
        micro_activations: 16_000,
        bar: Some(10 << 10),
        pushed_bar: None,
    },
    Network {
        name: "IC",
        file: "mlperf-tiny/ic_int8.tflite",
        micro_arena: 55_984,
        micro_activations: 49_152,
        bar: Some(24 << 10),
        pushed_bar: None,
    },
    Network {
        name: "AD",
        file: "mlperf-tiny/ad_int8.tflite",
        micro_arena: 3_984,
        micro_activations: 768,
        bar: None,
        pushed_bar: None,
    },
];

/// The network in the project. TensorFlow Lite Micro has no file of it: an equivalent was measured.
const MICRO_XCEPTION: Network = Network {
    name: "micro Xception",
    file: "models/micro-xception.onnx",
    micro_arena: 35_056,
    micro_activations: 13_824,
    bar: None,
    pushed_bar: None,
};

/// Bytes of arenas of one network.
struct Arenas {
    /// With every operator run whole.
    whole: u64,
    planned: u64,
    /// The most bytes alive at one time under the planned schedule.
    lower_bound: u64,
    /// With pushed input rows.
    pushed: u64,
    /// Packed for the kernels of a Cortex-M4, scratch memory included.
    packed: u64,
}

/// Plans the networks and prints a table.
///
/// # Errors
///
/// [`Error::Failed`] if an arena is larger than its bar, else as [`sepconv::json`].
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let heading = [
        "bytes",
        "TFLM arena",
        "of it activations",
        "whole",
        "planned",
        "lower bound",
        "rows pushed",
        "packed for M4",
    ];
    let mut rows = vec![heading.map(String::from).to_vec()];
    let (mut objects, mut over) = (Vec::new(), Vec::new());
    let mut add = |network: &Network, source: PathBuf, calibrate: bool| -> Result<(), Error> {
        let arenas = measure(&source, calibrate)?;
        let figures = [
            network.micro_arena,
            network.micro_activations,
            arenas.whole,
            arenas.planned,
            arenas.lower_bound,
            arenas.pushed,
            arenas.packed,
        ];
        rows.push(
            std::iter::once(network.name.to_string())
                .chain(figures.map(thousands))
                .collect(),
        );
        objects.push(json!({
            "network": network.name,
            "tflite_micro_arena": network.micro_arena,
            "tflite_micro_activations": network.micro_activations,
            "whole": arenas.whole,
            "planned": arenas.planned,
            "lower_bound": arenas.lower_bound,
            "rows_pushed": arenas.pushed,
            "packed_for_cortex_m4": arenas.packed,
        }));
        for (what, bytes, bar) in [
            ("planned", arenas.planned, network.bar),
            ("packed for a Cortex-M4", arenas.packed, network.bar),
            ("with rows pushed", arenas.pushed, network.pushed_bar),
        ] {
            if bar.is_some_and(|bar| bytes > bar) {
                over.push(format!("{} {what}: {bytes} bytes", network.name));
            }
        }
        Ok(())
    };
    let shared = shared();
    for network in &NETWORKS {
        let source = shared.join("models").join(network.file);
        if source.is_file() {
            add(network, source, false)?;
        } else {
            eprintln!("left out: {} (no {})", network.name, source.display());
        }
    }
    add(&MICRO_XCEPTION, root().join(MICRO_XCEPTION.file), true)?;
    if arguments.json {
        println!("{}", json!({ "networks": objects }));
    } else {
        print!("{}", render(&rows));
    }
    if over.is_empty() {
        Ok(())
    } else {
        Err(Error::Failed(format!(
            "arenas above their bars: {}",
            over.join(", ")
        )))
    }
}

fn measure(source: &std::path::Path, calibrate: bool) -> Result<Arenas, Error> {
    let quantize = |arguments: &[&str]| -> Result<Value, Error> {
        let mut command: Command = sepconv::command()?;
        command.arg("quantize").arg(source).args(arguments);
        command.arg("-o").arg(target().join("memory.sepc"));
        if calibrate {
            command.arg("--calibrate").arg(root().join("host-train/data"));
        }
        sepconv::json(&mut command)
    };
    let of = |report: &Value, key: &str| {
        report[key]
            .as_u64()
            .ok_or_else(|| Error::Failed(format!("`sepconv quantize --json` lacks {key}")))
    };
    let planned = quantize(&[])?;
    Ok(Arenas {
        whole: of(&planned, "arena_whole_bytes")?,
        planned: of(&planned, "arena_bytes")?,
        lower_bound: of(&planned, "arena_lower_bound_bytes")?,
        pushed: of(&quantize(&["--push-input"])?, "arena_bytes")?,
        packed: of(&quantize(&["--target", "cortex-m4"])?, "arena_bytes")?,
    })
}

//! `cargo xtask qdq`: exports in QDQ format, as ONNX Runtime computes them, beside our own output.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::Error;
use crate::python;
use crate::sepconv;
use crate::table::render;
use crate::tasks::conformance;
use crate::workspace::{root, shared, target};

/// Compare exports in QDQ format, computed by ONNX Runtime, with the models themselves.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// How long ONNX Runtime may take for a network.
const LIMIT: Duration = Duration::from_secs(600);

/// How many steps an operator may be apart: its result is rounded once there, and twice here.
const STEPS: u64 = 1;

/// A network, and the quantized inputs that both compute it for.
struct Network {
    name: &'static str,
    source: &'static str,
    inputs: Inputs,
}

enum Inputs {
    /// A float network is calibrated with these images, and gets some of them.
    Images {
        folder: &'static str,
        /// Of `sepconv quantize`.
        arguments: &'static [&'static str],
        count: &'static str,
    },
    /// An array that is there already.
    Array(&'static str),
}

/// What every clone has.
const OWN: [Network; 3] = [
    digits("micro Xception", &[]),
    digits(
        "micro Xception, partly 16-bit activations",
        &["--recipe", "best", "--mixed-precision-budget", "30"],
    ),
    digits("micro Xception, partly 4-bit weights", &["--max-flash", "45000"]),
];

const fn digits(name: &'static str, arguments: &'static [&'static str]) -> Network {
    Network {
        name,
        source: "models/micro-xception.onnx",
        inputs: Inputs::Images {
            folder: "host-train/data",
            arguments,
            count: "16",
        },
    }
}

/// What is in the folder of data for measuring.
const SHARED: [Network; 7] = [
    quantized(
        "DS-CNN, keywords",
        "models/mlperf-tiny/kws_int8.tflite",
        "models/conformance/kws_int8.npz",
    ),
    quantized(
        "ResNet-8, CIFAR-10",
        "models/mlperf-tiny/ic_int8.tflite",
        "models/conformance/ic_int8.npz",
    ),
    quantized(
        "MobileNetV1, persons",
        "models/mlperf-tiny/vww_int8.tflite",
        "models/conformance/vww_int8.npz",
    ),
    quantized(
        "autoencoder",
        "models/mlperf-tiny/ad_int8.tflite",
        "models/conformance/ad_int8.npz",
    ),
    quantized(
        "MobileNetV2",
        "models/mobilenet-v2-ptq.tflite",
        "models/conformance/mobilenet-v2-ptq.npz",
    ),
    Network {
        name: "EfficientNet-Lite0",
        source: "models/efficientnet-lite0.onnx",
        inputs: imagenet(&["--images", "8", "--mean", "127", "--std", "128"]),
    },
    Network {
        name: "Xception",
        source: "models/xception-imagenet.onnx",
        inputs: imagenet(&["--images", "8", "--mean", "127.5", "--std", "127.5"]),
    },
];

const fn quantized(name: &'static str, source: &'static str, inputs: &'static str) -> Network {
    let inputs = Inputs::Array(inputs);
    Network { name, source, inputs }
}

const fn imagenet(arguments: &'static [&'static str]) -> Inputs {
    Inputs::Images {
        folder: "data/imagenet-calibration",
        arguments,
        count: "2",
    }
}

/// Compares and prints the table.
///
/// # Errors
///
/// [`Error`] if ONNX Runtime does not install, a network cannot be exported or run, or an operator is more than a step apart.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let python = install()?;
    let compared = compare_all(&python)?;
    if arguments.json {
        let rows = compared
            .iter()
            .map(|(network, found)| json!({"network": network, "found": found}));
        println!("{}", json!({"rows": rows.collect::<Vec<_>>()}));
    } else {
        print!("{}", table(&compared));
    }
    check(&compared)
}

/// Installs ONNX Runtime in the environment of the conformance cases and returns its Python.
///
/// # Errors
///
/// [`Error`] if there is no Python, or its packages do not install.
pub fn install() -> Result<PathBuf, Error> {
    conformance::install("qdq.txt")
}

/// Compares every network that is there, prints the table to standard error, and fails if an operator is more than a step
/// apart.
///
/// # Errors
///
/// As [`run`].
pub fn test(python: &Path) -> Result<(), Error> {
    let compared = compare_all(python)?;
    eprint!("{}", table(&compared));
    check(&compared)
}

fn compare_all(python: &Path) -> Result<Vec<(&'static str, Value)>, Error> {
    let mut compared = Vec::new();
    for network in &OWN {
        compared.push((network.name, compare(python, network, root())?));
    }
    let shared = shared();
    for network in &SHARED {
        let (Inputs::Images { folder: inputs, .. } | Inputs::Array(inputs)) = network.inputs;
        let parts = [network.source, inputs].map(|part| shared.join(part));
        match parts.iter().find(|part| !part.exists()) {
            Some(missing) => eprintln!("left out: {} (there is no {})", network.name, missing.display()),
            None => compared.push((network.name, compare(python, network, &shared)?)),
        }
    }
    Ok(compared)
}

/// Exports a network from a folder and lets ONNX Runtime compute it.
fn compare(python: &Path, network: &Network, folder: &Path) -> Result<Value, Error> {
    let place = target().join("qdq");
    std::fs::create_dir_all(&place)
        .map_err(|error| Error::Environment(format!("cannot make {}: {error}", place.display())))?;
    let [model, export, array] = ["model.sepc", "model.onnx", "inputs.npy"].map(|file| place.join(file));
    let mut quantize = sepconv::command()?;
    quantize.arg("quantize").arg(folder.join(network.source));
    quantize.arg("-o").arg(&model).arg("--qdq").arg(&export);
    let inputs = match network.inputs {
        Inputs::Array(array) => {
            sepconv::json(&mut quantize)?;
            folder.join(array)
        }
        Inputs::Images {
            folder: images,
            arguments,
            count,
        } => {
            let images = folder.join(images);
            sepconv::json(quantize.args(arguments).arg("--calibrate").arg(&images))?;
            let mut inputs = sepconv::command()?;
            inputs.arg("inputs").arg(&model).arg("--calibrate").arg(&images);
            sepconv::json(inputs.args(["--count", count, "--output"]).arg(&array))?;
            array
        }
    };
    let mut script = Command::new(python);
    script
        .arg(root().join("tests/conformance/qdq.py"))
        .arg(sepconv::path()?);
    let failure = format!("{}: ONNX Runtime could not be compared", network.name);
    python::json(script.args([model, export, inputs]), LIMIT, &failure)
}

/// Sums over kinds of operators: how many there are, their values, those that are apart, and the steps at most.
fn operators(found: &Value) -> [u64; 4] {
    let kinds = found["operators"].as_object().into_iter().flatten();
    kinds.fold([0; 4], |[operators, values, apart, steps], (_, kind)| {
        let number = |key: &str| kind[key].as_u64().unwrap_or(u64::MAX);
        [
            operators + number("operators"),
            values + number("values"),
            apart + number("apart"),
            steps.max(number("steps")),
        ]
    })
}

fn table(compared: &[(&str, Value)]) -> String {
    let heading = [
        "network",
        "operators",
        "values apart",
        "steps at most",
        "whole: values apart",
        "steps at most",
        "same class",
    ];
    let mut rows = vec![heading.map(String::from).to_vec()];
    rows.extend(compared.iter().map(|(network, found)| {
        let share = |part: u64, of: u64| format!("{:.2} %", 100.0 * part as f64 / of as f64);
        let ([count, values, apart, steps], whole) = (operators(found), &found["whole"]);
        let number = |key: &str| whole[key].as_u64().unwrap_or(0);
        vec![
            (*network).to_string(),
            count.to_string(),
            share(apart, values),
            steps.to_string(),
            share(number("apart"), number("values")),
            number("steps").to_string(),
            format!("{} of {}", number("same"), found["inputs"]),
        ]
    }));
    render(&rows)
}

/// Fails if an operator is too far apart. How far the whole is follows from the network: steps add up.
fn check(compared: &[(&str, Value)]) -> Result<(), Error> {
    for (network, found) in compared {
        let [count, _, _, steps] = operators(found);
        if count == 0 || steps > STEPS {
            return Err(Error::Failed(format!(
                "{network}: of {count} operators one is {steps} steps apart from ONNX Runtime's"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_two_steps_apart_fails() {
        let found = |steps: u64| {
            let convolution = json!({"operators": 3, "values": 200, "apart": 1, "steps": steps});
            let mean = json!({"operators": 1, "values": 4, "apart": 1, "steps": 1});
            let whole = json!({"values": 10, "apart": 5, "steps": 7, "same": 2});
            json!({"inputs": 2, "operators": {"Conv": convolution, "Mean": mean}, "whole": whole})
        };
        assert_eq!(operators(&found(1)), [4, 204, 2, 1]);
        assert!(check(&[("N", found(1))]).is_ok());
        assert!(check(&[("N", found(2))]).is_err());
        assert!(check(&[("N", json!({}))]).is_err());
        let printed = table(&[("N", found(1))]);
        assert!(
            printed.contains("0.98 %") && printed.contains("2 of 2"),
            "{printed}"
        );
    }
}

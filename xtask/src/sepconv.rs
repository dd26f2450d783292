//! The `sepconv` command, which tasks use as a user would.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::command::{self, display};
use crate::error::Error;
use crate::provision::torch;
use crate::workspace::{cargo, target};

/// An operator of a model.
pub struct Operator {
    /// Its name in reports.
    pub name: String,
    /// Its multiply-accumulates.
    pub macs: u64,
}

/// What a task needs to know of a model.
pub struct Model {
    /// Height, width and channels of the input.
    pub input_shape: [usize; 3],
    /// The operators in their order.
    pub operators: Vec<Operator>,
}

/// Where the command is, once it is known.
static PATH: OnceLock<PathBuf> = OnceLock::new();

/// The variable that names a command which is built already. Tests are given it.
pub const VARIABLE: &str = "SEPCONV_COMMAND";

/// Where the command is: where [`VARIABLE`] says, else built here, once.
///
/// # Errors
///
/// [`Error::Failed`] if it cannot be built.
pub fn path() -> Result<&'static Path, Error> {
    if let Some(path) = PATH.get() {
        return Ok(path);
    }
    match std::env::var_os(VARIABLE) {
        Some(path) => Ok(PATH.get_or_init(|| path.into())),
        None => build(&["--package", "sepconv-quantize"]),
    }
}

/// Builds the command as one of a choice of packages. Dependencies have the features that all of the choice ask for;
/// with the choice that is built next, the long ones are not compiled twice.
///
/// # Errors
///
/// [`Error::Failed`] if it cannot be built.
pub fn build(packages: &[&str]) -> Result<&'static Path, Error> {
    let mut command = cargo();
    command.args(["build", "--release", "--quiet"]).args(packages);
    command::run(command.args(["--bin", "sepconv"]).envs(torch::variables()))?;
    Ok(PATH.get_or_init(|| target().join("release/sepconv")))
}

/// `sepconv` with arguments.
///
/// # Errors
///
/// As [`path`].
pub fn command() -> Result<Command, Error> {
    Ok(Command::new(path()?))
}

/// Runs `sepconv ... --json` and returns the object that it prints. Its exit code decides whose fault a failure is.
///
/// # Errors
///
/// [`Error::Input`] with its message if the input is bad, [`Error::Environment`] if the machine lacks something.
pub fn json(command: &mut Command) -> Result<Value, Error> {
    command.arg("--json");
    let output = command
        .output()
        .map_err(|error| Error::Environment(format!("cannot run `{}`: {error}", display(command))))?;
    let message = String::from_utf8_lossy(&output.stderr).trim_end().to_string();
    match output.status.code() {
        Some(0) => serde_json::from_slice(&output.stdout)
            .map_err(|error| Error::Failed(format!("`{}` printed no JSON: {error}", display(command)))),
        Some(1) => Err(Error::Input(message)),
        Some(3) => Err(Error::Environment(message)),
        _ => Err(Error::Failed(format!(
            "`{}` failed ({})\n{message}",
            display(command),
            output.status
        ))),
    }
}

/// Looks into a model.
///
/// # Errors
///
/// [`Error::Input`] if there is none, or no valid one.
pub fn inspect(model: &Path) -> Result<Model, Error> {
    let report = json(command()?.arg("inspect").arg(model))?;
    model_of(&report).ok_or_else(|| Error::Failed("`sepconv inspect --json` lacks a key".into()))
}

fn model_of(report: &Value) -> Option<Model> {
    let shape: Vec<usize> = report["input"]["shape"]
        .as_array()?
        .iter()
        .map(|length| Some(length.as_u64()? as usize))
        .collect::<Option<_>>()?;
    let operator = |operator: &Value| {
        Some(Operator {
            name: operator["name"].as_str()?.to_string(),
            macs: operator["macs"].as_u64()?,
        })
    };
    Some(Model {
        input_shape: shape.try_into().ok()?,
        operators: report["ops"]
            .as_array()?
            .iter()
            .map(operator)
            .collect::<Option<_>>()?,
    })
}

/// One inference on this machine: the input and the output are `.npy` files of int8.
///
/// # Errors
///
/// As [`json`].
pub fn run(model: &Path, input: &Path, output: &Path) -> Result<(), Error> {
    let mut command = command()?;
    command
        .arg("run")
        .arg(model)
        .arg("--input")
        .arg(input)
        .arg("--output")
        .arg(output);
    json(&mut command).map(|_| ())
}

/// Imports a network that is quantized already.
///
/// # Errors
///
/// As [`json`].
pub fn import(network: &Path, model: &Path) -> Result<(), Error> {
    let mut command = command()?;
    command.arg("quantize").arg(network).arg("-o").arg(model);
    json(&mut command).map(|_| ())
}

/// Quantizes a network with the calibration images of a data set, and with further options.
///
/// # Errors
///
/// As [`json`].
pub fn quantize(network: &Path, calibration: &Path, model: &Path, options: &[&str]) -> Result<(), Error> {
    let mut command = command()?;
    command
        .arg("quantize")
        .arg(network)
        .arg("--calibrate")
        .arg(calibration)
        .arg("-o")
        .arg(model)
        .args(options);
    json(&mut command).map(|_| ())
}

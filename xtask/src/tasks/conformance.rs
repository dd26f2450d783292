//! Conformance cases: random single-operator models with the outputs of TensorFlow Lite Micro, to be compared with ours.

use std::path::PathBuf;
use std::process::Command;

use crate::command;
use crate::error::Error;
use crate::python;
use crate::workspace::{root, target};

/// How many cases are generated.
const CASES: &str = "1000";

/// Installs the packages that a file in the folder of conformance asks for, in an environment of their own, and returns its
/// Python.
///
/// # Errors
///
/// [`Error`] if there is no Python, or they do not install.
pub fn install(requirements: &str) -> Result<PathBuf, Error> {
    let requirements = format!("tests/conformance/{requirements}");
    python::install("conformance-venv", &[&requirements])
}

/// Generates cases in the folder for all that is built. The cases are the same every time.
///
/// # Errors
///
/// [`Error`] if there is no Python, or its packages do not install.
pub fn generate() -> Result<PathBuf, Error> {
    let cases = target().join("conformance");
    let script = root().join("tests/conformance/generate.py");
    let mut python = Command::new(install("requirements.txt")?);
    command::run(python.arg(script).args(["--cases", CASES]).arg(&cases))?;
    Ok(cases)
}

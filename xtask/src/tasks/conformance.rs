//! Conformance cases: random single-operator models with the outputs of TensorFlow Lite Micro, to be compared with ours.

use std::path::PathBuf;
use std::process::Command;

use crate::command;
use crate::error::Error;
use crate::workspace::{root, target};

/// How many cases are generated.
const CASES: &str = "1000";

/// Generates cases in the folder for all that is built, in an environment of Python packages of its own. The cases are
/// the same every time.
///
/// # Errors
///
/// [`Error`] if there is no Python, or its packages do not install.
pub fn generate() -> Result<PathBuf, Error> {
    let (environment, cases) = (target().join("conformance-venv"), target().join("conformance"));
    let folder = root().join("tests/conformance");
    if !environment.join("bin/python").is_file() {
        command::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    let python = || Command::new(environment.join("bin/python"));
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ];
    command::run(python().args(install).arg(folder.join("requirements.txt")))?;
    command::run(
        python()
            .arg(folder.join("generate.py"))
            .args(["--cases", CASES])
            .arg(&cases),
    )?;
    Ok(cases)
}

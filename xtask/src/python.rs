//! Python, for what only Python packages can be asked: environments of this workspace's own, and scripts that answer in JSON.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::command;
use crate::error::Error;
use crate::workspace::{root, target};

/// Installs the packages that some files (paths from the workspace's root) ask for, in an environment of this name, and
/// returns its Python.
///
/// # Errors
///
/// [`Error`] if there is no Python, or they do not install.
pub fn install(environment: &str, requirements: &[&str]) -> Result<PathBuf, Error> {
    let environment = target().join(environment);
    let python = environment.join("bin/python");
    if !python.is_file() {
        command::run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    for file in requirements {
        pip.arg("-r").arg(root().join(file));
    }
    command::run(&mut pip)?;
    Ok(python)
}

/// Runs a script quietly for at most `limit` and returns the JSON that it prints.
///
/// # Errors
///
/// [`Error::Failed`] with `failure` and what the script wrote to standard error, if it prints none.
pub fn json(script: &mut Command, limit: Duration, failure: &str) -> Result<Value, Error> {
    let (output, _) = command::output_within(script, limit)?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let message = String::from_utf8_lossy(&output.stderr).trim_end().to_string();
        Error::Failed(format!("{failure}\n{message}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_without_json_fails_with_what_it_wrote() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            json(&mut command, Duration::from_secs(60), "no answer")
        };
        assert_eq!(shell("echo '{\"a\": 1}'").unwrap()["a"], 1);
        let error = shell("echo reason >&2; exit 1").unwrap_err().to_string();
        assert!(error.contains("no answer\nreason"), "{error}");
    }
}

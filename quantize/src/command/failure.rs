//! Why a command ends early, and with which exit code.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

/// Whose fault it is, with a message that names the thing and the way out.
#[derive(Debug)]
pub enum Failure {
    /// Bad input: exit code 1.
    Input(String),
    /// Arguments that contradict each other or the model: exit code 2.
    Usage(String),
    /// The machine lacks something: exit code 3.
    Environment(String),
}

impl Failure {
    /// The exit code that the design fixes.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Input(_) => 1,
            Failure::Usage(_) => 2,
            Failure::Environment(_) => 3,
        })
    }

    /// A file that cannot be read or is not what it should be.
    pub fn input(path: &Path, what: impl fmt::Display) -> Self {
        Failure::Input(format!("{}: {what}", path.display()))
    }

    /// A file that cannot be written.
    pub fn output(path: &Path, what: impl fmt::Display) -> Self {
        Failure::Environment(format!("cannot write {}: {what}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Failure::Input(message) | Failure::Usage(message) | Failure::Environment(message)) = self;
        f.write_str(message)
    }
}

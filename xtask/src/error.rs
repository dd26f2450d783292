//! What can go wrong in a task, by who can mend it.

/// Why a task stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the task was given is not right; exit code 1.
    #[error("{0}")]
    Input(String),
    /// A check or a program that the task ran failed; exit code 1.
    #[error("{0}")]
    Failed(String),
    /// The machine lacks something; exit code 3.
    #[error("{0}")]
    Environment(String),
}

impl Error {
    /// The exit code of a process that ends with this error. (2, usage, is clap's.)
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) | Self::Failed(_) => 1,
            Self::Environment(_) => 3,
        }
    }
}

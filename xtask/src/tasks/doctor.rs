//! `cargo xtask doctor`: what is there, what is missing, and how to get it.

use crate::error::Error;
use crate::provision::{self, Requirement, Status};

/// Arguments of `doctor`.
#[derive(clap::Args)]
pub struct Arguments {}

/// Lists what the tasks need. Installs nothing.
///
/// # Errors
///
/// [`Error::Environment`] if something that `demo` and `test` need is missing.
pub fn run(_arguments: &Arguments) -> Result<(), Error> {
    let missing = list(provision::ALL);
    println!("\nuseful, but needed by nothing:");
    let mut missing_optional = list(provision::OPTIONAL);
    missing_optional.extend(list(provision::USER_MODE));
    missing_optional.extend(list(provision::EMULATED_PC));
    if !missing_optional.is_empty() {
        println!("\n{}", missing_optional.join("\n"));
    }
    if missing.is_empty() {
        println!("\nall that `cargo xtask demo` and `cargo xtask test` need is there");
        return Ok(());
    }
    let list = missing.join("\n");
    Err(Error::Environment(format!(
        "missing (`cargo xtask demo` and `cargo xtask test` run these commands where they can):\n{list}"
    )))
}

/// Prints a line for each requirement and returns descriptions of the missing ones.
fn list(requirements: &[Requirement]) -> Vec<String> {
    let mut missing = Vec::new();
    for requirement in requirements {
        let state = match (requirement.check)() {
            Status::Present(what) => what,
            Status::Missing(reason) => {
                missing.push(provision::describe_missing(requirement, &reason));
                format!("MISSING: {reason}")
            }
        };
        println!("{:<22} {state}", requirement.name);
    }
    missing
}

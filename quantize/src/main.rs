//! The command `sepconv`; see the crate's README.

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::main()
}

//! The command `sepconv-train`.

mod commands;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sepconv_train::TrainError;

/// Trains networks of the Xception family and exports them to ONNX.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit status: 1 for bad input, 2 for wrong usage, 3 for a lacking environment."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a network; writes a checkpoint after every epoch.
    Train(commands::train::Arguments),
    /// Measure a checkpoint's accuracy on the test images.
    Eval(commands::eval::Arguments),
    /// Write a checkpoint's network as ONNX, after checking that tract computes the same from it.
    Export(commands::export::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Train(arguments) => commands::train::run(&arguments),
        Command::Eval(arguments) => commands::eval::run(&arguments),
        Command::Export(arguments) => commands::export::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if matches!(error, TrainError::NoCuda) { 3 } else { 1 })
        }
    }
}

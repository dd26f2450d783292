//! Subcommands, one a file. Each prints a table for people, or with `--json` one object and nothing else on standard
//! output; errors and progress go to standard error.

mod bench;
mod eval;
mod failure;
mod images;
mod inputs;
mod inspect;
mod isa;
mod model_file;
mod npy;
mod output;
mod quantize;
mod report;
mod run;
mod samples;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Quantizes image classifiers to int8 and runs them, with the same bits as on the board.
#[derive(Parser)]
#[command(name = "sepconv", version)]
struct Cli {
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Quantize a network, plan its memory, and write a .sepc file.
    Quantize(quantize::Arguments),
    /// Measure accuracy on labelled images.
    Eval(eval::Arguments),
    /// Show a model's operators, shapes, scales, flash, arena and multiply-accumulates.
    Inspect(inspect::Arguments),
    /// Write images as a model takes them: quantized, in one array.
    Inputs(inputs::Arguments),
    /// Run inferences on a raw array.
    Run(run::Arguments),
    /// Measure the latency of one inference.
    Bench(bench::Arguments),
    /// List the instruction sets that kernels exist for.
    Isa,
}

/// Parses the command line, runs the subcommand, and turns its failure into a message and an exit code.
pub fn main() -> ExitCode {
    // Wrong usage ends here, with exit code 2.
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Quantize(arguments) => quantize::main(arguments, cli.json),
        Command::Eval(arguments) => eval::main(arguments, cli.json),
        Command::Inspect(arguments) => inspect::main(arguments, cli.json),
        Command::Inputs(arguments) => inputs::main(arguments, cli.json),
        Command::Run(arguments) => run::main(arguments, cli.json),
        Command::Bench(arguments) => bench::main(arguments, cli.json),
        Command::Isa => isa::main(cli.json),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

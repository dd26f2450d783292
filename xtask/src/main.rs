//! Development tasks of sepconv: `cargo xtask doctor`, `demo`, `test`, `icount`, `flash`, `runtime-size`,
//! `emulated-pc`, `peers`, `accuracy`, `qdq`.
//!
//! Every task is a module of [`tasks`]. This program depends on little, so that it builds in seconds on a machine that
//! has nothing else yet; what tasks need beyond Rust is listed and installed by [`provision`].

mod board;
mod command;
mod cycles;
mod elf;
mod emulator;
mod error;
mod firmware;
mod images;
mod npy;
mod progress;
mod provision;
mod python;
mod report;
mod sepconv;
mod table;
mod tasks;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// Development tasks of sepconv.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand)]
enum Task {
    /// List what is there, what is missing, and the commands that install it.
    Doctor(tasks::doctor::Arguments),
    /// Train, quantize, run on host and board, and compare: everything in one go.
    Demo(tasks::demo::Arguments),
    /// Check everything: formatting, lints, tests, documentation, firmware in the emulator.
    Test(tasks::test::Arguments),
    /// Count the instructions of one inference on an emulated core.
    Icount(tasks::icount::Arguments),
    /// Build firmware with a model in it, report its memory, and run the board.
    Flash(tasks::flash::Arguments),
    /// Plan the memory of networks, beside TensorFlow Lite Micro's.
    Memory(tasks::memory::Arguments),
    /// Run the runtime under AddressSanitizer, valgrind and the fuzzer.
    Sanitize(tasks::sanitize::Arguments),
    /// Compare x86-64 kernels with the specification on emulated processors that have AVX-VNNI, AVX-512 and AMX.
    EmulatedPc(tasks::emulated_pc::Arguments),
    /// Measure the flash that the runtime takes for each of some models.
    RuntimeSize(tasks::runtime_size::Arguments),
    /// Measure accuracy: floating point, and int8 by each recipe.
    Accuracy(tasks::accuracy::Arguments),
    /// Measure latency beside OpenVINO, ONNX Runtime and LiteRT.
    Peers(tasks::peers::Arguments),
    /// Compare exports in QDQ format, computed by ONNX Runtime, with the models themselves.
    Qdq(tasks::qdq::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Doctor(arguments) => tasks::doctor::run(&arguments),
        Task::Demo(arguments) => tasks::demo::run(&arguments),
        Task::Test(arguments) => tasks::test::run(&arguments),
        Task::Icount(arguments) => tasks::icount::run(&arguments),
        Task::Flash(arguments) => tasks::flash::run(&arguments),
        Task::Memory(arguments) => tasks::memory::run(&arguments),
        Task::Sanitize(arguments) => tasks::sanitize::run(&arguments),
        Task::EmulatedPc(arguments) => tasks::emulated_pc::run(&arguments),
        Task::RuntimeSize(arguments) => tasks::runtime_size::run(&arguments),
        Task::Accuracy(arguments) => tasks::accuracy::run(&arguments),
        Task::Peers(arguments) => tasks::peers::run(&arguments),
        Task::Qdq(arguments) => tasks::qdq::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

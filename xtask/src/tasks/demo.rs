//! `cargo xtask demo`: everything once, on real images: train, export, quantize, compare, run on a board.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::board;
use crate::command;
use crate::emulator;
use crate::error::Error;
use crate::firmware::{self, Firmware};
use crate::images;
use crate::progress::spinner;
use crate::provision::{self, cargo_tools, qemu, rust, torch};
use crate::report::Report;
use crate::sepconv;
use crate::table::{render, thousands};
use crate::tasks::flash;
use crate::workspace::{in_shell, root, target};

/// The emulated board.
const BOARD: &str = "mps2-an386";
/// Test images that are embedded in the firmware.
const BOARD_IMAGES: u32 = 10;

/// Arguments of `demo`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Start from the network in `models/` instead of training one: needs neither Python nor libtorch.
    #[arg(long)]
    pretrained: bool,
}

/// Runs the demonstration and prints its table.
///
/// # Errors
///
/// [`Error::Environment`] if the machine lacks something that cannot be installed, [`Error::Failed`] if a step fails or
/// the board's bytes are not the host's.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let mut needed = vec![&rust::CROSS_TARGETS, &qemu::QEMU_ARM, &cargo_tools::DEFMT_PRINT];
    if !arguments.pretrained {
        needed.extend([&torch::COMPILER, &torch::PYTHON, &torch::LIBTORCH]);
    }
    provision::ensure(&needed)?;
    let start = Instant::now();
    let files = Files::new()?;
    let data = root().join("host-train/data");

    let network = if arguments.pretrained {
        sepconv::path()?;
        root().join("models/micro-xception.onnx")
    } else {
        train(&files, &data)?;
        files.network.clone()
    };
    spinner("quantizing to int8", || {
        sepconv::quantize(&network, &data, &files.model, &[])
    })?;
    let evaluation = spinner("comparing int8 with fp32 on the test images", || {
        let mut command = sepconv::command()?;
        command
            .arg("eval")
            .arg(&files.model)
            .arg("--images")
            .arg(&data)
            .arg("--float")
            .arg(&network);
        sepconv::json(&mut command)
    })?;
    let latency = spinner("measuring latency", || {
        sepconv::json(
            sepconv::command()?
                .arg("bench")
                .arg(&files.model)
                .arg("--float")
                .arg(&network),
        )
    })?;
    let board = run_board(&files, &data)?;

    println!("\n{}", comparison(&files, &network, &evaluation, &latency)?);
    println!("{}", board_table(&board));
    println!("artefacts, in {}:", in_shell(&target().join("demo")));
    println!("  network (ONNX, fp32)    {}", in_shell(&network));
    println!("  model (.sepc, int8)     {}", in_shell(&files.model));
    println!("  test images, quantized  {}", in_shell(&files.images));
    println!("  firmware (ELF)          {}", in_shell(&board.firmware.elf));
    println!("  the board's log         {}", in_shell(&files.log));
    println!(
        "all of this took {:.0} s, set-up and builds included",
        start.elapsed().as_secs_f64()
    );
    if board.equal < board.report.images.len() {
        return Err(Error::Failed("the board's outputs are not the host's".into()));
    }
    Ok(())
}

/// Where the demonstration writes.
struct Files {
    checkpoint: PathBuf,
    network: PathBuf,
    model: PathBuf,
    images: PathBuf,
    log: PathBuf,
}

impl Files {
    fn new() -> Result<Self, Error> {
        let folder = target().join("demo");
        std::fs::create_dir_all(&folder)
            .map_err(|error| Error::Environment(format!("cannot make {}: {error}", folder.display())))?;
        Ok(Self {
            checkpoint: folder.join("micro-xception.safetensors"),
            network: folder.join("micro-xception.onnx"),
            model: folder.join("micro-xception.sepc"),
            images: folder.join("images.npy"),
            log: folder.join("board.log"),
        })
    }
}

/// Trains a micro Xception and exports it to ONNX.
fn train(files: &Files, data: &Path) -> Result<(), Error> {
    let trainer = ["--package", "sepconv-train", "--bin", "sepconv-train"];
    sepconv::build(&[&trainer[..], &["--package", "sepconv-quantize"]].concat())?;
    let trainer = || {
        let mut command = Command::new(target().join("release/sepconv-train"));
        // The micro network's operators are too small to gain from more threads; models/README.md names the same.
        command.envs(torch::variables()).env("OMP_NUM_THREADS", "1");
        command
    };
    command::run(
        trainer()
            .arg("train")
            .arg("--data")
            .arg(data)
            .arg("--output")
            .arg(&files.checkpoint),
    )?;
    command::run(
        trainer()
            .arg("export")
            .arg(&files.checkpoint)
            .arg("--output")
            .arg(&files.network),
    )
}

/// What the board did.
struct BoardRun {
    firmware: Firmware,
    report: Report,
    /// Images whose output bytes are the host's.
    equal: usize,
}

fn run_board(files: &Files, data: &Path) -> Result<BoardRun, Error> {
    let board = board::find(BOARD)?;
    let mut export = sepconv::command()?;
    export.arg("inputs").arg(&files.model).arg("--images").arg(data);
    export
        .args(["--count", &BOARD_IMAGES.to_string()])
        .arg("--output")
        .arg(&files.images);
    sepconv::json(&mut export)?;
    let images = images::read(&sepconv::inspect(&files.model)?, &files.images)?;
    let firmware = spinner("building the firmware", || {
        firmware::build(board, &files.model, &images.path)
    })?;
    let run = spinner("running the emulated board", || {
        emulator::run(board, &firmware.elf)
    })?;
    flash::check_stack(&firmware, &run.report)?;
    let log = run.log.unwrap_or_else(|reason| reason);
    std::fs::write(&files.log, log)
        .map_err(|error| Error::Environment(format!("cannot write {}: {error}", files.log.display())))?;
    let host = images::host_outputs(&files.model, &images)?;
    if host.len() != run.report.images.len() {
        return Err(Error::Failed(
            "board and host did not run the same number of images".into(),
        ));
    }
    let equal = host
        .iter()
        .zip(&run.report.images)
        .filter(|(host, board)| **host == board.output)
        .count();
    Ok(BoardRun {
        firmware,
        report: run.report,
        equal,
    })
}

/// int8 beside fp32.
fn comparison(files: &Files, network: &Path, evaluation: &Value, latency: &Value) -> Result<String, Error> {
    let number = |object: &Value, key: &str| {
        object[key]
            .as_f64()
            .ok_or_else(|| Error::Failed(format!("a report of `sepconv` lacks the key {key}")))
    };
    let percent = |part: f64| format!("{:.2} %", 100.0 * part);
    let bytes = |path: &Path| {
        std::fs::metadata(path)
            .map(|file| thousands(file.len()))
            .unwrap_or_else(|_| "-".into())
    };
    let row = |what: &str, float: String, int8: String| vec![what.to_string(), float, int8];
    let count = number(evaluation, "count")?;
    let milliseconds = |ms: f64| format!("{ms:.3} ms");
    let rows = [
        row("on this machine", "fp32".into(), "int8".into()),
        row(
            &format!("accuracy on {count:.0} test images"),
            percent(number(evaluation, "float_top1")?),
            percent(number(evaluation, "top1")?),
        ),
        row(
            "same class as fp32",
            String::new(),
            percent(number(evaluation, "agreement")?),
        ),
        row("size, bytes", bytes(network), bytes(&files.model)),
        row(
            "latency, median, one thread",
            milliseconds(number(latency, "float_median_ms")?),
            milliseconds(number(latency, "median_ms")?),
        ),
    ];
    Ok(render(&rows))
}

fn board_table(board: &BoardRun) -> String {
    let images = &board.report.images;
    let instructions =
        images.iter().map(|image| image.instructions).sum::<u64>() / (images.len().max(1) as u64);
    let row = |what: &str, value: String| vec![what.to_string(), value];
    let of = |used: u64, total: u64| format!("{} of {}", thousands(used), thousands(total));
    let (usage, memory) = (&board.firmware.usage, &board.firmware.memory);
    render(&[
        row("on the board", format!("{BOARD} (Cortex-M4F, emulated)")),
        row(
            "outputs with the host's bytes",
            format!("{} of {}", board.equal, images.len()),
        ),
        row("flash, bytes", of(usage.flash, memory.flash.length)),
        row("RAM, bytes, without stack", of(usage.ram, memory.ram.length)),
        row("stack at worst, bytes", thousands(board.report.stack)),
        row("instructions an inference", thousands(instructions)),
    ])
}

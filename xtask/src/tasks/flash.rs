//! `cargo xtask flash`: firmware with a model in it, for a board.

use std::path::PathBuf;

use serde_json::json;

use crate::board::{self, Board};
use crate::emulator;
use crate::error::Error;
use crate::firmware::{self, Firmware};
use crate::images;
use crate::progress;
use crate::provision;
use crate::report::Report;
use crate::sepconv;
use crate::table::{render, thousands};

/// Arguments of `flash`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The board; an unknown name lists those that there are.
    #[arg(long, value_name = "NAME")]
    board: String,
    /// The model.
    #[arg(value_name = "M.sepc")]
    model: PathBuf,
    /// Quantized test images, int8 [count, height, width, channels]. One of fixed pseudo-random values if left out.
    #[arg(long, value_name = "X.npy")]
    images: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Builds, reports the memory, and starts the board's emulator.
///
/// # Errors
///
/// [`Error::Input`] for a bad model, an unknown board or a model that does not fit, [`Error::Environment`] without
/// emulator or compiler, and [`Error::Failed`] if the board fails or its stack meets its variables.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let board = board::find(&arguments.board)?;
    provision::ensure(&[&provision::rust::CROSS_TARGETS, &provision::qemu::QEMU_ARM])?;
    let facts = sepconv::inspect(&arguments.model)?;
    let images = match &arguments.images {
        Some(path) => images::read(&facts, path)?,
        None => images::first_or_random(&facts, None)?,
    };
    let firmware = progress::spinner("building the firmware", || {
        firmware::build(board, &arguments.model, &images.path)
    })?;
    if !arguments.json {
        print_memory(board, &firmware);
    }
    let run = progress::spinner("running the board", || emulator::run(board, &firmware.elf))?;
    check_stack(&firmware, &run.report)?;
    if arguments.json {
        println!("{}", to_json(board, &firmware, &run.report));
        return Ok(());
    }
    match &run.log {
        Ok(log) => println!("\nthe board's log:\n{log}"),
        Err(reason) => println!("\n{reason}"),
    }
    print_report(&run.report);
    Ok(())
}

/// Refuses a run whose stack reached into the variables: its results mean nothing.
///
/// # Errors
///
/// [`Error::Failed`].
pub fn check_stack(firmware: &Firmware, report: &Report) -> Result<(), Error> {
    let left = firmware.memory.ram.length.saturating_sub(firmware.usage.ram);
    // Painted down to its last word, the stack may have gone farther.
    if report.stack >= left {
        let used = firmware.usage.ram;
        return Err(Error::Failed(format!(
            "the stack took all {left} bytes of RAM that {used} bytes of variables leave; a model with a smaller arena is needed"
        )));
    }
    Ok(())
}

fn print_memory(board: &Board, firmware: &Firmware) {
    let row = |what: &str, used: u64, total: u64| {
        let percent = 100.0 * used as f64 / total as f64;
        vec![
            what.to_string(),
            thousands(used),
            thousands(total),
            format!("{percent:.1} %"),
        ]
    };
    let rows = [
        [board.name, "used, bytes", "of", ""].map(String::from).to_vec(),
        row("flash", firmware.usage.flash, firmware.memory.flash.length),
        row(
            "RAM, without stack",
            firmware.usage.ram,
            firmware.memory.ram.length,
        ),
    ];
    print!("{}", render(&rows));
}

fn print_report(report: &Report) {
    let mut rows = vec![
        ["image", "class", "instructions", "output hash"]
            .map(String::from)
            .to_vec(),
    ];
    for (number, image) in report.images.iter().enumerate() {
        rows.push(vec![
            number.to_string(),
            image.class.to_string(),
            thousands(image.instructions),
            image.hash.clone(),
        ]);
    }
    print!("{}", render(&rows));
    println!("\nstack, at worst: {} bytes", thousands(report.stack));
}

fn to_json(board: &Board, firmware: &Firmware, report: &Report) -> serde_json::Value {
    let images: Vec<_> = report
        .images
        .iter()
        .map(|image| json!({ "class": image.class, "instructions": image.instructions, "output_hash": image.hash }))
        .collect();
    json!({
        "board": board.name,
        "flash_used": firmware.usage.flash,
        "flash_total": firmware.memory.flash.length,
        "ram_used": firmware.usage.ram,
        "ram_total": firmware.memory.ram.length,
        "stack_worst": report.stack,
        "images": images,
    })
}

//! `cargo xtask icount`: the instructions of one inference on an emulated core, and an estimate of the cycles.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::board::Core;
use crate::cycles;
use crate::emulator;
use crate::error::Error;
use crate::firmware::{self, Aim};
use crate::images;
use crate::progress;
use crate::provision;
use crate::report::fnv1a_64;
use crate::sepconv;
use crate::table::{render, thousands};

/// Arguments of `icount`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The processor core to count on.
    #[arg(long)]
    core: Core,
    /// The model.
    #[arg(value_name = "M.sepc")]
    model: PathBuf,
    /// Quantized inputs, int8 [count, height, width, channels]; the first is counted. Fixed pseudo-random values if left out.
    #[arg(long, value_name = "X.npy")]
    images: Option<PathBuf>,
    /// Build for the least flash as well (reference kernels, optimized for size), and print flash and instructions of both.
    #[arg(long)]
    size: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Instruction counts of one inference.
pub struct Counts {
    /// Of the whole inference, nothing observed.
    pub total: u64,
    /// Of each operator: name, instructions, multiply-accumulates.
    pub operators: Vec<(String, u64, u64)>,
    /// The hash of the output.
    pub output_hash: String,
    /// The kernels that were used.
    pub kernels: String,
    /// Bytes of flash that the firmware takes, the model included.
    pub flash: u64,
    /// The program that was run.
    elf: PathBuf,
}

/// Counts and prints.
///
/// # Errors
///
/// [`Error::Input`] for a bad model or images, [`Error::Environment`] without emulator or compiler, and
/// [`Error::Failed`] if the board's output is not the host's.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    provision::ensure(&[&provision::rust::CROSS_TARGETS, &provision::qemu::QEMU_ARM])?;
    let count = |aim| count_for(arguments.core, &arguments.model, arguments.images.as_deref(), aim);
    let counts = count(Aim::Speed)?;
    let estimate = progress::spinner("estimating cycles", || {
        cycles::estimate(arguments.core, &counts.elf, counts.total)
    })?;
    let small = arguments.size.then(|| count(Aim::Size)).transpose()?;
    if arguments.json {
        let operators: Vec<_> = counts
            .operators
            .iter()
            .map(|(name, instructions, macs)| json!({ "name": name, "instructions": instructions, "macs": macs }))
            .collect();
        let object = json!({
            "core": arguments.core.name(),
            "total": counts.total,
            "estimated_cycles": estimate.as_ref().map(|estimate| estimate.cycles),
            "cycle_model": estimate.as_ref().map(|estimate| estimate.model),
            "ops": operators,
            "output_hash": counts.output_hash,
            "kernels": counts.kernels,
            "flash": counts.flash,
            "size_first": small.map(|small| json!({ "total": small.total, "flash": small.flash })),
        });
        println!("{object}");
    } else {
        print(arguments.core, &counts);
        match estimate {
            Some(estimate) => println!("about {} cycles ({})", thousands(estimate.cycles), estimate.model),
            None => println!("no estimate of cycles: there is no model of this core"),
        }
        println!(
            "flash of the firmware, model included: {} bytes",
            thousands(counts.flash)
        );
        if let Some(small) = small {
            println!(
                "built for size ({} kernels): {} bytes, {} instructions",
                small.kernels,
                thousands(small.flash),
                thousands(small.total)
            );
        }
    }
    Ok(())
}

/// Counts the instructions of an inference of the first image, and checks that the output is the host's.
///
/// # Errors
///
/// As [`run`].
pub fn count(core: Core, model: &Path, images: Option<&Path>) -> Result<Counts, Error> {
    count_for(core, model, images, Aim::Speed)
}

fn count_for(core: Core, model: &Path, images: Option<&Path>, aim: Aim) -> Result<Counts, Error> {
    let facts = sepconv::inspect(model)?;
    let images = images::first_or_random(&facts, images)?;
    let board = core.board();
    let firmware = progress::spinner("building the firmware", || {
        firmware::build_for(&board, model, &images.path, aim)
    })?;
    let run = progress::spinner("counting in the emulator", || {
        emulator::run(&board, &firmware.elf)
    })?;
    let image = run
        .report
        .images
        .first()
        .ok_or_else(|| Error::Failed("the board reports no image".into()))?;
    if run.report.operators.len() != facts.operators.len() {
        return Err(Error::Failed(
            "the board has not as many operators as the model".into(),
        ));
    }
    let host = images::host_outputs(model, &images)?;
    if host.first() != Some(&image.output) {
        let hash = host.first().map(|output| fnv1a_64(output)).unwrap_or_default();
        return Err(Error::Failed(format!(
            "the board's output {} is not the host's {hash}",
            image.hash
        )));
    }
    let operators = facts.operators.into_iter().zip(&run.report.operators);
    Ok(Counts {
        total: image.instructions,
        operators: operators
            .map(|(operator, instructions)| (operator.name, *instructions, operator.macs))
            .collect(),
        output_hash: image.hash.clone(),
        kernels: run.report.kernels,
        flash: firmware.usage.flash,
        elf: firmware.elf,
    })
}

fn print(core: Core, counts: &Counts) {
    let row = |name: &str, instructions: u64, macs: u64| {
        let each = if macs == 0 {
            "-".into()
        } else {
            format!("{:.2}", instructions as f64 / macs as f64)
        };
        vec![name.to_string(), thousands(instructions), thousands(macs), each]
    };
    let mut rows = vec![
        ["operator", "instructions", "MAC", "per MAC"]
            .map(String::from)
            .to_vec(),
    ];
    rows.extend(
        counts
            .operators
            .iter()
            .map(|(name, instructions, macs)| row(name, *instructions, *macs)),
    );
    let macs = counts.operators.iter().map(|(_, _, macs)| macs).sum();
    rows.push(row("total (measured apart)", counts.total, macs));
    println!(
        "one inference on an emulated {}, {} kernels\n",
        core.name().to_uppercase(),
        counts.kernels
    );
    print!("{}", render(&rows));
    println!("\noutput hash {}, the same on this machine", counts.output_hash);
}

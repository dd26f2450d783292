//! Checks of what runs on microcontrollers, in the emulator.

use std::path::Path;

use clap::ValueEnum;

use super::{Outcome, landed};
use crate::board::{AARCH64, Board, Core};
use crate::command;
use crate::error::Error;
use crate::provision::rust::CrossCompiler;
use crate::tasks::{emulated_pc, icount, runtime_size};
use crate::workspace::{root, target};
use crate::{emulator, firmware, images, sepconv};

/// Networks of MLPerf Tiny that run on every core where their files are.
const MLPERF_TINY: [&str; 4] = ["vww", "kws", "ic", "ad"];

/// The processor for checks that are the same for all.
const TRIPLE: &str = "thumbv7em-none-eabihf";

/// Crates of the firmware for AArch64; all others are for microcontrollers.
const AARCH64_PACKAGES: [&str; 3] = ["sepconv-emulated-aarch64", "raspi3b", "virt-a76"];

/// The runtime cannot panic; on every emulated core, kernels equal the specification and a whole model's output is this
/// machine's; lints and documentation of the firmware.
pub fn check(outcome: &mut Outcome) {
    outcome.check("the runtime cannot panic", runtime_cannot_panic);
    // Those of AArch64 are compared where Linux runs, in `user_mode`.
    for core in microcontrollers() {
        outcome.check(
            &format!("kernels on an emulated {}", core.name().to_uppercase()),
            || kernels(&core.board()),
        );
    }
    let model = target().join("test/micro-xception.sepc");
    outcome.check("a model for the firmware", || quantize(&model, &[]));
    if !model.is_file() {
        outcome
            .left_out
            .push("firmware with a model in it: there is no model for it".into());
        return;
    }
    outcome.check("the runtime's flash, and only the kernels that are used", || {
        runtime_is_small(&model)
    });
    for triple in [TRIPLE, AARCH64, emulated_pc::TRIPLE]
        .into_iter()
        .filter(|triple| !has_lints(triple))
    {
        let what = format!("lints of the firmware for {triple}: the compiler for it has none");
        outcome.left_out.push(what);
    }
    outcome.check("firmware: lints and documentation", || {
        lints_and_documentation(&model)
    });
    for core in Core::value_variants() {
        outcome.check(
            &format!(
                "firmware: the host's bytes on an emulated {}",
                core.name().to_uppercase()
            ),
            || {
                let counts = icount::count(*core, &model, None)?;
                eprintln!("{} instructions, output {}", counts.total, counts.output_hash);
                landed::compare("micro-xception", *core, counts.total)
            },
        );
    }
    outcome.check(
        "firmware: the host's bytes with activations of 16 bits, on every emulated core",
        || {
            let model = target().join("test/micro-xception-wide.sepc");
            quantize(&model, &["--recipe", "best", "--mixed-precision-budget", "50"])?;
            let report = sepconv::json(sepconv::command()?.arg("inspect").arg(&model))?;
            if !report.to_string().contains("\"int16\"") {
                return Err(Error::Failed("no activation got 16 bits".into()));
            }
            for core in Core::value_variants() {
                icount::count(*core, &model, None)?;
            }
            Ok(())
        },
    );
    for name in MLPERF_TINY {
        let source = root().join(format!("../shared/models/mlperf-tiny/{name}_int8.tflite"));
        if !source.is_file() {
            let left_out = format!("{name} on emulated cores: there is no {}", source.display());
            outcome.left_out.push(left_out);
            continue;
        }
        let model = target().join(format!("test/{name}.sepc"));
        outcome.check(
            &format!("firmware: the host's bytes of {name} on every emulated core"),
            || {
                sepconv::import(&source, &model)?;
                for core in Core::value_variants() {
                    let counts = icount::count(*core, &model, None)?;
                    eprintln!(
                        "{}: {} instructions, output {}",
                        core.name(),
                        counts.total,
                        counts.output_hash
                    );
                    landed::compare(name, *core, counts.total)?;
                }
                Ok(())
            },
        );
    }
}

fn microcontrollers() -> impl Iterator<Item = Core> {
    let cores = Core::value_variants().iter().copied();
    cores.filter(|core| core.board().target != AARCH64)
}

/// The runtime with the kernels of each Cortex-M links without a panic handler; with a panic put into it, it does not.
fn runtime_cannot_panic() -> Result<(), Error> {
    let build = |core: Core, features: &[&str]| {
        let Board {
            target: triple, cpu, ..
        } = core.board();
        let mut command = compiler(triple)?.cargo("build", triple, &[format!("-Ctarget-cpu={cpu}")]);
        command.current_dir(root().join("runtime/panic-free")).args([
            "--release",
            "--locked",
            "--target-dir",
        ]);
        command.arg(target().join("firmware/panic-free")).args(features);
        Ok(command)
    };
    for core in microcontrollers() {
        command::run(&mut build(core, &[])?)?;
    }
    let mut named = false;
    let mut with_panic = build(Core::M4, &["--features", "deliberate-panic"])?;
    let deliberate = command::run_watching(&mut with_panic, |line| {
        named |= line.contains("sepconv_can_panic");
    });
    match deliberate {
        Err(Error::Failed(_)) if named => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Err(Error::Failed(
            "a deliberate panic was linked, so that the check proves nothing".into(),
        )),
    }
}

/// The runtime with the kernels that `model`, the micro Xception, uses fits 24 KiB; softmax, which it lacks, is linked for
/// models that have it only.
fn runtime_is_small(model: &Path) -> Result<(), Error> {
    const MOST_FLASH: u64 = 24 << 10;
    let (without, with) = (
        runtime_size::link(model)?,
        runtime_size::link(&root().join("runtime/src/tiny/whole.sepc"))?,
    );
    eprintln!("{} bytes of flash for {}", without.flash(), model.display());
    if without.flash() > MOST_FLASH {
        return Err(Error::Failed(format!("more than {MOST_FLASH} bytes")));
    }
    match (without.softmax, with.softmax) {
        (false, true) => Ok(()),
        (true, _) => Err(Error::Failed("softmax is linked for a model without it".into())),
        (_, false) => Err(Error::Failed("softmax is not found where it is used".into())),
    }
}

/// Every kernel of a processor against the specification.
fn kernels(board: &Board) -> Result<(), Error> {
    let text = emulator::run_plain(board, &firmware::build_kernel_tests(board)?)?;
    eprint!("{text}");
    Ok(())
}

/// The committed network, calibrated with the shipped digits.
fn quantize(model: &Path, options: &[&str]) -> Result<(), Error> {
    let cannot = |error: std::io::Error| Error::Environment(format!("{}: {error}", model.display()));
    std::fs::create_dir_all(target().join("test")).map_err(cannot)?;
    sepconv::quantize(
        &root().join("models/micro-xception.onnx"),
        &root().join("host-train/data"),
        model,
        options,
    )
}

fn lints_and_documentation(model: &Path) -> Result<(), Error> {
    let images = images::first_or_random(&sepconv::inspect(model)?, None)?;
    // The comparison of kernels has a heap, which the others must not gain.
    let mut boards = vec![
        "--workspace",
        "--exclude",
        "kernel-tests",
        "--exclude",
        emulated_pc::PACKAGE,
    ];
    let mut aarch64 = Vec::new();
    for package in AARCH64_PACKAGES {
        boards.extend(["--exclude", package]);
        aarch64.extend(["--package", package]);
    }
    for (triple, packages) in [
        (TRIPLE, boards),
        (TRIPLE, vec!["--package", "kernel-tests"]),
        (AARCH64, aarch64),
        (emulated_pc::TRIPLE, vec!["--package", emulated_pc::PACKAGE]),
    ] {
        for (subcommand, arguments) in [
            ("clippy", ["--", "-D", "warnings"].as_slice()),
            ("doc", &["--no-deps"]),
        ] {
            // Every machine that builds has the Arm compilers; not all have one for x86-64.
            let absent = CrossCompiler::for_target(triple).is_none() && triple == emulated_pc::TRIPLE;
            if absent || subcommand == "clippy" && !has_lints(triple) {
                continue;
            }
            let mut command = compiler(triple)?.cargo(subcommand, triple, &[]);
            command
                .current_dir(root().join("firmware"))
                .args(["--release", "--quiet", "--target-dir"])
                .arg(target().join("firmware/check"))
                .args(&packages)
                .args(arguments)
                .env("SEPCONV_MODEL", model)
                .env("SEPCONV_IMAGES", &images.path)
                .env("SEPCONV_BOARD", "mps2-an386")
                .env("RUSTDOCFLAGS", "-D warnings");
            command::run(&mut command)?;
        }
    }
    Ok(())
}

/// Whether the compiler of a target has a linter of its own: a distribution packs it apart, and rustup's is no match.
fn has_lints(triple: &str) -> bool {
    matches!(compiler(triple), Ok(CrossCompiler::Active))
}

fn compiler(triple: &str) -> Result<CrossCompiler, Error> {
    CrossCompiler::for_target(triple).ok_or_else(|| Error::Environment(format!("no compiler for {triple}")))
}

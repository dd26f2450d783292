//! The comparison of kernels on Arm processors that run Linux, in the emulator's user mode.

use std::process::Command;

use super::Outcome;
use crate::command;
use crate::error::Error;
use crate::provision::{self, rust};
use crate::workspace::{root, target};

/// Operators of each kind that are compared.
const COUNT: &str = "200";

/// A family of processors.
struct Family {
    name: &'static str,
    triple: &'static str,
    linker: &'static str,
    emulator: &'static str,
    processors: &'static [&'static str],
}

const FAMILIES: &[Family] = &[
    Family {
        name: "AArch64",
        triple: "aarch64-unknown-linux-gnu",
        linker: "aarch64-linux-gnu-gcc",
        emulator: "qemu-aarch64",
        processors: &["cortex-a53", "cortex-a76", "max"],
    },
    Family {
        name: "32-bit Arm",
        triple: "armv7-unknown-linux-gnueabihf",
        linker: "arm-linux-gnueabihf-gcc",
        emulator: "qemu-arm",
        processors: &["cortex-a7", "max"],
    },
];

/// Every table of kernels that a processor has equals the specification.
pub fn check(outcome: &mut Outcome) {
    let tools: Vec<_> = provision::USER_MODE.iter().collect();
    if let Err(error) = provision::ensure(&tools) {
        let reason = error.to_string();
        let reason = reason.lines().nth(1).unwrap_or_default().trim().to_string();
        outcome
            .left_out
            .push(format!("kernels of processors that run Linux on Arm: {reason}"));
        return;
    }
    for family in FAMILIES {
        outcome.check(&format!("kernels on emulated {} processors", family.name), || {
            compare(family)
        });
    }
}

fn compare(family: &Family) -> Result<(), Error> {
    let compiler = rust::CrossCompiler::for_target(family.triple)
        .ok_or_else(|| Error::Environment(format!("no compiler for {}", family.triple)))?;
    // Statically linked, so that the emulator needs no library of the other processor's.
    let flags = ["-Ctarget-feature=+crt-static".to_string()];
    let mut build = compiler.cargo_for_linux("build", family.triple, family.linker, &flags);
    build
        .current_dir(root().join("runtime"))
        .args([
            "--release",
            "--quiet",
            "--package",
            "sepconv",
            "--features",
            "std",
        ])
        .args(["--example", "compare_kernels", "--target-dir"])
        .arg(target().join("user-mode"));
    command::run(&mut build)?;
    let program = target()
        .join("user-mode")
        .join(family.triple)
        .join("release/examples/compare_kernels");
    for processor in family.processors {
        let mut run = Command::new(family.emulator);
        command::run(run.args(["-cpu", processor]).arg(&program).arg(COUNT))?;
    }
    Ok(())
}

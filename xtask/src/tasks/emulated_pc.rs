//! `cargo xtask emulated-pc`: x86-64 kernels against the specification, on emulated processors with instruction sets that
//! this machine may lack.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::command::{self, output_within};
use crate::elf;
use crate::error::Error;
use crate::provision::{self, bochs, rust::CrossCompiler};
use crate::workspace::{root, target};

/// The program is built for Linux's conventions, but runs without it.
pub const TRIPLE: &str = "x86_64-unknown-linux-gnu";
/// The package of the program, in the firmware's workspace.
pub const PACKAGE: &str = "kernel-tests-x86";

/// Bytes of the ROM that the program is linked for.
const ROM_LEN: usize = 2 << 20;
/// It takes seconds, unless it hangs.
const LIMIT: Duration = Duration::from_secs(600);

/// A program for a processor that Bochs emulates.
struct Processor {
    /// What is said of it.
    name: &'static str,
    /// Bochs's name of the processor.
    model: &'static str,
    /// The compiler's flags.
    flags: &'static [&'static str],
    /// The tables of kernels that it must have, each with what of its weights.
    tables: &'static [(&'static str, &'static str)],
}

const AVX512: &str =
    "-Ctarget-feature=+avx2,+fma,+avxvnni,+avx512f,+avx512bw,+avx512dq,+avx512vl,+avx512vnni";

/// Together they have every instruction set. Bochs 3.1 and before takes the weights of AMX's `tdpbusd` as unsigned; so it
/// runs with weights from 0 to 127 here, and all else of AMX with all weights in a program of its own, in which plain Rust
/// multiplies.
const PROCESSORS: &[Processor] = &[
    Processor {
        name: "Arrow Lake",
        model: "arrow_lake",
        flags: &["-Ctarget-feature=+avx2,+fma,+avxvnni"],
        tables: &[("avx2", "All"), ("avxvnni", "All")],
    },
    Processor {
        name: "Sapphire Rapids",
        model: "sapphire_rapids",
        flags: &[AVX512],
        tables: &[("avxvnni", "All"), ("avx512vnni", "All"), ("amx", "NotNegative")],
    },
    Processor {
        name: "Sapphire Rapids, tiles multiplied by software",
        model: "sapphire_rapids",
        flags: &[AVX512, "--cfg=sepconv_tdpbusd=\"software\""],
        tables: &[("amx", "All")],
    },
];

/// Arguments of `emulated-pc`.
#[derive(clap::Args)]
pub struct Arguments {}

/// Compares the kernels of every processor's tables with the specification.
///
/// # Errors
///
/// [`Error::Failed`] if a kernel differs, [`Error::Environment`] if there is no emulator and it cannot be installed.
pub fn run(_arguments: &Arguments) -> Result<(), Error> {
    install()?;
    compare_all()
}

/// Every table of kernels that a processor has equals the specification, on all processors. Compiler and emulator each keep
/// one core busy; so the processors go side by side.
///
/// # Errors
///
/// The first processor's that differs or cannot be run; those of others are printed.
pub fn compare_all() -> Result<(), Error> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = PROCESSORS
            .iter()
            .map(|processor| scope.spawn(|| compare(processor)))
            .collect();
        let mut errors = threads.into_iter().filter_map(|thread| {
            let result = thread.join();
            result
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                .err()
        });
        let first = errors.next();
        errors.for_each(|error| eprintln!("{error}"));
        first.map_or(Ok(()), Err)
    })
}

/// Installs the emulator, if it is not there.
///
/// # Errors
///
/// [`Error::Environment`] if it cannot be installed.
pub fn install() -> Result<(), Error> {
    provision::ensure(&provision::EMULATED_PC.iter().collect::<Vec<_>>())
}

/// Every table of kernels that a processor has equals the specification.
///
/// # Errors
///
/// [`Error::Failed`] if it does not.
fn compare(processor: &Processor) -> Result<(), Error> {
    let folder = target()
        .join("emulated-pc")
        .join(processor.name.replace([' ', ','], "-"));
    let rom = elf::rom(&build(processor, &folder.join("build"))?, ROM_LEN).map_err(Error::Failed)?;
    let cannot = |error: std::io::Error| Error::Environment(format!("{}: {error}", folder.display()));
    let file = |name: &str| folder.join(name);
    let serial = file("serial.txt");
    let _ = fs::remove_file(&serial);
    fs::create_dir_all(&folder).map_err(cannot)?;
    fs::write(file("rom.bin"), rom).map_err(cannot)?;
    // Bochs insists on a graphics adapter with a ROM; this one does nothing.
    fs::write(file("graphics.bin"), [0; 512]).map_err(cannot)?;
    fs::write(file("bochsrc"), configuration(processor, &folder)).map_err(cannot)?;

    let mut run = bochs::bochs();
    run.arg("-q").arg("-f").arg(file("bochsrc"));
    let (_, ended) = output_within(&mut run, LIMIT)?;
    let text = fs::read(&serial).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    eprint!("{}\n{text}", processor.name);
    if !text.ends_with("ended well\n") {
        let how = if ended {
            "ended without success"
        } else {
            "did not end"
        };
        let log = folder.join("bochs.log");
        return Err(Error::Failed(format!(
            "{}: `{}` {how}; its log is {}",
            processor.name,
            command::display(&run),
            log.display()
        )));
    }
    let equal = |(table, weights): &&(&str, &str)| {
        let end = format!(" packed operators are equal, weights {weights}");
        let of_table = |line: &&str| line.starts_with(&format!("{table}: "));
        text.lines().filter(of_table).any(|line| line.ends_with(&end))
    };
    match processor.tables.iter().find(|table| !equal(table)) {
        None => Ok(()),
        Some((table, _)) => Err(Error::Failed(format!("{} did not run {table}", processor.name))),
    }
}

/// Builds the program and returns it.
fn build(processor: &Processor, folder: &Path) -> Result<Vec<u8>, Error> {
    let compiler = CrossCompiler::for_target(TRIPLE)
        .ok_or_else(|| Error::Environment(format!("no compiler for {TRIPLE}")))?;
    let mut flags = vec!["-Crelocation-model=static".to_string()];
    flags.extend(processor.flags.iter().map(|flag| flag.to_string()));
    let mut build = compiler.cargo("build", TRIPLE, &flags);
    build
        .current_dir(root().join("firmware"))
        .args([
            "--release",
            "--locked",
            "--quiet",
            "--package",
            PACKAGE,
            "--target-dir",
        ])
        .arg(folder);
    command::run(&mut build)?;
    let program = folder.join(TRIPLE).join("release").join(PACKAGE);
    fs::read(&program).map_err(|error| Error::Failed(format!("{}: {error}", program.display())))
}

fn configuration(processor: &Processor, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "cpu: model={}, count=1, ips=100000000, reset_on_triple_fault=0\n\
         memory: guest=64, host=64\n\
         romimage: file={folder}/rom.bin\n\
         vgaromimage: file={folder}/graphics.bin\n\
         com1: enabled=1, mode=file, dev={folder}/serial.txt\n\
         display_library: rfb, options=\"timeout=0\"\n\
         clock: sync=none\n\
         log: {folder}/bochs.log\n\
         panic: action=fatal\n",
        processor.model
    )
}

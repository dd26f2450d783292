//! `cargo xtask sanitize`: the runtime under tools that watch memory. What a machine lacks is left out, and said.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::error::Error;
use crate::workspace::{root, target, tool};
use crate::{npy, sepconv};

/// The nightly compiler's target: sanitizers need it named.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// Instruction sets that valgrind 3 does not know.
const BEYOND_VALGRIND: [&str; 3] = ["avx512", "avxvnni", "amx"];

/// Arguments of `sanitize`.
#[derive(clap::Args)]
pub struct Arguments {
    /// How long each of the two fuzz targets runs.
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    fuzz: u32,
}

/// Runs all tools that are there.
///
/// # Errors
///
/// [`Error::Failed`] if a tool found something.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let mut left_out = Vec::new();
    let nightly = Command::new("rustup")
        .args(["run", "nightly", "rustc", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    if nightly {
        address_sanitizer()?;
    } else {
        left_out.push("AddressSanitizer: no nightly compiler (rustup toolchain install nightly)".to_string());
    }
    match tool("valgrind") {
        Some(valgrind) => one_inference_each(&valgrind, &mut left_out)?,
        None => left_out.push("valgrind: not found (apt-get install valgrind)".into()),
    }
    match tool("cargo-fuzz").filter(|_| nightly) {
        Some(fuzz) => fuzz_targets(&fuzz, arguments.fuzz)?,
        None => left_out.push(
            "fuzzing: no cargo-fuzz, or no nightly compiler (cargo install --locked --root target/tools cargo-fuzz)"
                .into(),
        ),
    }
    println!("nothing was found");
    for what in left_out {
        println!("left out: {what}");
    }
    Ok(())
}

/// `cargo +nightly`, which the variables that this program was started with would turn into the stable one.
fn nightly_cargo() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).current_dir(root());
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    command
}

/// The runtime's tests with every access to memory checked; kernels of all instruction sets that the machine has.
fn address_sanitizer() -> Result<(), Error> {
    let mut tests = nightly_cargo();
    tests
        .args([
            "test",
            "--package",
            "sepconv",
            "--all-features",
            "--release",
            "--quiet",
        ])
        .args(["--target", TRIPLE, "--lib", "--tests", "--target-dir"])
        .arg(target().join("sanitize"))
        .env("RUSTFLAGS", "-Zsanitizer=address");
    command::run(&mut tests)
}

/// One inference of the micro Xception for each instruction set.
fn one_inference_each(valgrind: &Path, left_out: &mut Vec<String>) -> Result<(), Error> {
    let sets = sepconv::json(sepconv::command()?.arg("isa"))?;
    let names = |key: &str| -> Vec<String> {
        let names = sets[key].as_array().into_iter().flatten();
        names
            .filter_map(|name| name.as_str().map(str::to_string))
            .collect()
    };
    let available = names("available");
    let file = |name: &str| target().join("sanitize").join(name);
    let (model, input, output) = (file("model.sepc"), file("input.npy"), file("output.npy"));
    let cannot = |error: std::io::Error| Error::Environment(format!("{}: {error}", model.display()));
    std::fs::create_dir_all(target().join("sanitize")).map_err(cannot)?;
    sepconv::quantize(
        &root().join("models/micro-xception.onnx"),
        &root().join("host-train/data"),
        &model,
        &[],
    )?;
    let [height, width, channels] = sepconv::inspect(&model)?.input_shape;
    let values: Vec<i8> = (0..height * width * channels)
        .map(|number| (number * 37) as i8)
        .collect();
    npy::write(&input, &[1, height, width, channels], &values)?;
    for name in names("compiled") {
        if !available.contains(&name) {
            left_out.push(format!("{name}: this machine lacks it"));
            continue;
        }
        if BEYOND_VALGRIND.iter().any(|unknown| name.contains(unknown)) {
            left_out.push(format!(
                "valgrind with {name}, which it does not know (AddressSanitizer watches those kernels)"
            ));
            continue;
        }
        let mut inference = Command::new(valgrind);
        inference
            .args(["--error-exitcode=9", "--quiet"])
            .arg(sepconv::path()?)
            .arg("run")
            .arg(&model)
            .args([Path::new("--input"), &input, Path::new("--output"), &output])
            .args(["--isa", &name]);
        command::run(&mut inference)?;
    }
    Ok(())
}

/// Both fuzz targets, from sound models on, for a while.
fn fuzz_targets(fuzz: &Path, seconds: u32) -> Result<(), Error> {
    let folder: PathBuf = root().join("runtime/fuzz");
    let mut path = fuzz
        .parent()
        .map(|folder| folder.as_os_str().to_owned())
        .unwrap_or_default();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut seed = nightly_cargo();
    seed.current_dir(&folder)
        .args(["run", "--quiet", "--bin", "seed", "--target-dir"]);
    command::run(seed.arg(target().join("fuzz-seed")))?;
    for name in ["view", "execute"] {
        let mut run = nightly_cargo();
        run.current_dir(&folder)
            .env("PATH", &path)
            .args(["fuzz", "run", "--target-dir"])
            .arg(target().join("fuzz"))
            .args([name, "--", "-max_len=4096", &format!("-max_total_time={seconds}")]);
        command::run(&mut run)?;
    }
    Ok(())
}

//! `cargo xtask test`: every check that there is. What could not be checked is said at the end.

mod firmware;
mod landed;
mod user_mode;

use std::process::Command;
use std::time::Instant;

use crate::command;
use crate::error::Error;
use crate::provision::{self, Status, torch};
use crate::sepconv;
use crate::tasks::{conformance, emulated_pc, qdq};
use crate::workspace::{cargo, root, shared, tool};

/// Arguments of `test`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Leave out what needs libtorch: nothing is downloaded for it then.
    #[arg(long)]
    without_training: bool,
}

/// What became of the checks.
#[derive(Default)]
struct Outcome {
    passed: Vec<(String, f64)>,
    failed: Vec<(String, Error)>,
    left_out: Vec<String>,
}

impl Outcome {
    /// Runs a check; the others run whatever becomes of it.
    fn check(&mut self, name: &str, work: impl FnOnce() -> Result<(), Error>) {
        eprintln!("\n== {name}");
        let start = Instant::now();
        match work() {
            Ok(()) => self.passed.push((name.into(), start.elapsed().as_secs_f64())),
            Err(error) => {
                eprintln!("{error}");
                self.failed.push((name.into(), error));
            }
        }
    }
}

impl Outcome {
    /// Runs tests. A test that cannot check something prints a line with `left out: ` and what it is.
    fn check_tests(&mut self, name: &str, command: impl FnOnce() -> Result<Command, Error>) {
        let mut left_out = Vec::new();
        self.check(name, || {
            command::run_watching(&mut command()?, |line| {
                left_out.extend(line.split_once(LEFT_OUT).map(|(_, what)| what.trim().to_string()));
            })
        });
        left_out.sort();
        left_out.dedup();
        self.left_out.extend(left_out);
    }
}

/// What tests print before the name of something that they could not check.
const LEFT_OUT: &str = "left out: ";

/// Runs all checks.
///
/// # Errors
///
/// [`Error::Environment`] if the machine lacks something that cannot be installed, [`Error::Failed`] if a check failed.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let needs_torch = |requirement: &provision::Requirement| requirement.purpose.contains("training");
    let needed: Vec<_> = provision::ALL
        .iter()
        .filter(|need| !(arguments.without_training && needs_torch(need)))
        .collect();
    provision::ensure(&needed)?;

    let mut outcome = Outcome::default();
    let host = Host {
        training: !arguments.without_training,
    };
    if arguments.without_training {
        outcome
            .left_out
            .push("training (sepconv-train and the tests that train): --without-training".into());
    }
    if !shared().is_dir() {
        outcome.left_out.push(
            "checks against measuring data: SEPCONV_SHARED names no folder, and there is no ../shared".into(),
        );
    }
    for requirement in provision::OPTIONAL {
        if let Status::Missing(reason) = (requirement.check)() {
            outcome
                .left_out
                .push(format!("{}: {} {reason}", requirement.purpose, requirement.name));
        }
    }

    outcome.check("formatting", || {
        command::run(cargo().args(["fmt", "--all", "--check"]))?;
        command::run(
            cargo()
                .current_dir(root().join("firmware"))
                .args(["fmt", "--all", "--check"]),
        )
    });
    outcome.check("lints", || {
        command::run(host.cargo("clippy").args([
            "--release",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]))
    });
    outcome.check("the command sepconv", || {
        sepconv::build(host.packages()).map(|_| ())
    });
    // Whole numbers that overflow stop a program in the dev profile only.
    outcome.check_tests("tests of the runtime, with overflow checks", || {
        let mut command = cargo();
        nextest(&mut command)?.args(["--package", "sepconv", "--all-features"]);
        Ok(command)
    });
    let cases = conformance::generate();
    if let Err(error) = &cases {
        let only = "only the recorded conformance cases were compared with TensorFlow Lite Micro";
        outcome.left_out.push(format!("{only}: {error}"));
    }
    outcome.check_tests("tests", || {
        let mut command = cargo();
        command.env(sepconv::VARIABLE, sepconv::path()?);
        // Tests run side by side already: threads of libtorch would only wait for each other.
        command.env("OMP_NUM_THREADS", "1");
        if let Ok(folder) = &cases {
            command.env("SEPCONV_CONFORMANCE", folder);
        }
        host.select(nextest(&mut command)?.args(["--release", "--all-targets"]));
        Ok(command)
    });
    match qdq::install() {
        Ok(python) => outcome.check("exports in QDQ format, in ONNX Runtime", || qdq::test(&python)),
        Err(error) => outcome
            .left_out
            .push(format!("exports in QDQ format, in ONNX Runtime: {error}")),
    }
    outcome.check("documentation tests", || {
        command::run(host.cargo("test").args(["--doc", "--release", "--quiet"]))
    });
    outcome.check("documentation", || {
        let mut command = host.cargo("doc");
        command::run(
            command
                .args(["--release", "--no-deps", "--quiet"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    });
    firmware::check(&mut outcome);
    user_mode::check(&mut outcome);
    check_on_emulated_pc(&mut outcome);
    conclude(outcome)
}

fn check_on_emulated_pc(outcome: &mut Outcome) {
    if let Err(error) = emulated_pc::install() {
        let reason = error.to_string();
        let reason = reason.lines().nth(1).unwrap_or_default().trim().to_string();
        outcome
            .left_out
            .push(format!("kernels of emulated x86-64 processors: {reason}"));
        return;
    }
    outcome.check("kernels on emulated PCs", emulated_pc::compare_all);
}

/// The crates that are built for this machine.
struct Host {
    training: bool,
}

impl Host {
    fn cargo(&self, subcommand: &str) -> Command {
        let mut command = cargo();
        command.arg(subcommand);
        self.select(&mut command);
        command
    }

    /// Adds the choice of crates and the variables that they are built with.
    fn select(&self, command: &mut Command) {
        command.args(self.packages()).envs(torch::variables());
    }

    /// The choice of crates.
    fn packages(&self) -> &'static [&'static str] {
        if self.training {
            &["--workspace", "--features", "sepconv-tests/training"]
        } else {
            &["--workspace", "--exclude", "sepconv-train"]
        }
    }
}

/// `cargo nextest run`, wherever nextest is installed.
fn nextest(command: &mut Command) -> Result<&mut Command, Error> {
    let program = tool("cargo-nextest").ok_or_else(|| Error::Environment("cargo-nextest is gone".into()))?;
    // Cargo finds its subcommands in the search path.
    let mut path = program
        .parent()
        .map(|folder| folder.as_os_str().to_owned())
        .unwrap_or_default();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    Ok(command.env("PATH", path).args([
        "nextest",
        "run",
        "--no-fail-fast",
        "--success-output",
        "immediate",
    ]))
}

fn conclude(outcome: Outcome) -> Result<(), Error> {
    println!("\nchecks that passed:");
    for (name, seconds) in &outcome.passed {
        println!("  {name} ({seconds:.0} s)");
    }
    println!("left out:");
    for what in &outcome.left_out {
        println!("  {what}");
    }
    if outcome.left_out.is_empty() {
        println!("  nothing");
    }
    if outcome.failed.is_empty() {
        println!("all checks that were made passed");
        return Ok(());
    }
    let failures: Vec<String> = outcome
        .failed
        .iter()
        .map(|(name, error)| {
            format!(
                "  {name}: {}",
                error.to_string().lines().next().unwrap_or_default()
            )
        })
        .collect();
    Err(Error::Failed(format!(
        "these checks failed:\n{}",
        failures.join("\n")
    )))
}

//! Rust for the boards' processors: rustup's targets, or a distribution's compiler with the library's source.

use std::path::PathBuf;
use std::process::Command;

use super::{Requirement, Status, Way, apt, version_numbers};
use crate::command::first_line;

/// The boards' targets.
const TARGETS: &[&str] = &[
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "aarch64-unknown-none",
];

/// The targets of processors that run Linux.
const LINUX_TARGETS: &[&str] = &["aarch64-unknown-linux-gnu", "armv7-unknown-linux-gnueabihf"];

/// The oldest compiler that builds this workspace: `rust-version` of the workspace.
const OLDEST: [u32; 2] = [1, 95];

/// Where a distribution puts its compiler and its cargo.
const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";
const DISTRIBUTION_CARGO: &str = "/usr/bin/cargo";
const DISTRIBUTION_RUSTDOC: &str = "/usr/bin/rustdoc";

/// A compiler for the boards.
pub const CROSS_TARGETS: Requirement = Requirement {
    name: "Rust for Arm boards",
    purpose: "building firmware",
    check: || check(TARGETS),
    ways: || ways(TARGETS),
};

/// A compiler for Arm processors that run Linux.
pub const LINUX_CROSS_TARGETS: Requirement = Requirement {
    name: "Rust for Arm Linux",
    purpose: "building tests for Arm processors that run Linux",
    check: || check(LINUX_TARGETS),
    ways: || ways(LINUX_TARGETS),
};

/// A C cross compiler, for linking only.
pub const GCC_AARCH64: Requirement = Requirement {
    name: "aarch64-linux-gnu-gcc",
    purpose: "linking tests for 64-bit Arm",
    check: || match first_line("aarch64-linux-gnu-gcc", &["--version"]) {
        Some(version) => Status::Present(version),
        None => Status::Missing("not found".into()),
    },
    ways: || {
        vec![apt::way(
            &[],
            "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
            "about 45 MB",
        )]
    },
};

/// A C cross compiler, for linking only.
pub const GCC_ARM: Requirement = Requirement {
    name: "arm-linux-gnueabihf-gcc",
    purpose: "linking tests for 32-bit Arm",
    check: || match first_line("arm-linux-gnueabihf-gcc", &["--version"]) {
        Some(version) => Status::Present(version),
        None => Status::Missing("not found".into()),
    },
    ways: || {
        vec![apt::way(
            &[],
            "gcc-arm-linux-gnueabihf libc6-dev-armhf-cross",
            "about 45 MB",
        )]
    },
};

/// Which compiler builds firmware.
#[derive(Clone, Debug, PartialEq)]
pub enum CrossCompiler {
    /// The one in use, which has the target's library.
    Active,
    /// The distribution's, which builds the target's library from source and links with this program.
    Distribution {
        /// The linker, LLVM's.
        linker: PathBuf,
    },
}

impl CrossCompiler {
    /// The compiler for a target, if there is one.
    pub fn for_target(target: &str) -> Option<Self> {
        let library = first_line("rustc", &["--print", "target-libdir", "--target", target]);
        if library.is_some_and(|folder| PathBuf::from(folder).join("..").exists() && has_core(target)) {
            return Some(Self::Active);
        }
        let version = first_line(DISTRIBUTION_RUSTC, &["--version"])?;
        let sysroot = PathBuf::from(first_line(DISTRIBUTION_RUSTC, &["--print", "sysroot"])?);
        let has_source = sysroot.join("lib/rustlib/src/rust/library/core").is_dir();
        let new_enough = version_numbers(&version) >= OLDEST.to_vec();
        let linker = linker()?;
        (has_source && new_enough && PathBuf::from(DISTRIBUTION_CARGO).exists())
            .then_some(Self::Distribution { linker })
    }

    /// `cargo build --target TARGET` with this compiler, `flags` being the compiler's flags, for programs without an
    /// operating system.
    pub fn cargo(&self, subcommand: &str, target: &str, flags: &[String]) -> Command {
        let mut flags = flags.to_vec();
        if let Self::Distribution { linker } = self {
            flags.push(format!("-Clinker={}", linker.display()));
        }
        self.cargo_with(subcommand, target, "core", &flags)
    }

    /// As [`cargo`](Self::cargo), for programs that run on Linux, linked with a C compiler.
    pub fn cargo_for_linux(&self, subcommand: &str, target: &str, linker: &str, flags: &[String]) -> Command {
        let mut flags = flags.to_vec();
        flags.push(format!("-Clinker={linker}"));
        self.cargo_with(subcommand, target, "std,panic_abort", &flags)
    }

    fn cargo_with(&self, subcommand: &str, target: &str, library: &str, flags: &[String]) -> Command {
        let mut command = match self {
            Self::Active => {
                let mut command = crate::workspace::cargo();
                command.arg(subcommand);
                command
            }
            Self::Distribution { .. } => {
                let mut command = Command::new(DISTRIBUTION_CARGO);
                // A stable compiler builds its own library only when told that it is its own.
                command
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("RUSTC", DISTRIBUTION_RUSTC)
                    .env("RUSTDOC", DISTRIBUTION_RUSTDOC)
                    .env_remove("RUSTUP_TOOLCHAIN");
                command.args([subcommand, &format!("-Zbuild-std={library}")]);
                command
            }
        };
        command
            .args(["--target", target])
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        command
    }
}

fn has_core(target: &str) -> bool {
    let Some(folder) = first_line("rustc", &["--print", "target-libdir", "--target", target]) else {
        return false;
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    entries
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
}

/// LLVM's linker: rustup's compiler brings it, a distribution packs it apart.
fn linker() -> Option<PathBuf> {
    let host = host()?;
    let sysroot = first_line("rustc", &["--print", "sysroot"])?;
    let own = PathBuf::from(sysroot)
        .join("lib/rustlib")
        .join(host)
        .join("bin/rust-lld");
    own.is_file()
        .then_some(own)
        .or_else(|| crate::workspace::tool("ld.lld"))
}

fn host() -> Option<String> {
    let output = Command::new("rustc").arg("-vV").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_string)
}

fn check(targets: &[&str]) -> Status {
    let compilers: Vec<_> = targets
        .iter()
        .map(|target| (target, CrossCompiler::for_target(target)))
        .collect();
    let missing: Vec<&str> = compilers
        .iter()
        .filter(|(_, compiler)| compiler.is_none())
        .map(|(target, _)| **target)
        .collect();
    if !missing.is_empty() {
        return Status::Missing(format!("no {}", missing.join(", ")));
    }
    let from_source = compilers
        .iter()
        .any(|(_, compiler)| *compiler != Some(CrossCompiler::Active));
    let which = if from_source {
        "the distribution's compiler, library from source"
    } else {
        "the compiler in use"
    };
    Status::Present(format!("{which}, {} targets", targets.len()))
}

fn ways(targets: &[&str]) -> Vec<Way> {
    let mut ways = Vec::new();
    if first_line("rustup", &["--version"]).is_some() {
        let command = format!("timeout 600 rustup target add {}", targets.join(" "));
        ways.push(Way {
            commands: vec![command],
            note: "about 100 MB".into(),
            ..Way::default()
        });
    }
    // Debian's long-term releases carry a recent compiler under the names that its browsers are built with.
    let names = [
        ("rustc-web", "rustc-web cargo-web rust-web-src"),
        ("rustc", "rustc cargo rust-src"),
    ];
    let new_enough = |package: &str| {
        apt::candidate(package).is_some_and(|version| version_numbers(&version) >= OLDEST.to_vec())
    };
    let found = names
        .iter()
        .find(|(package, _)| new_enough(package))
        .or(names.first());
    if let Some((_, packages)) = found {
        let packages = if linker().is_some() {
            packages.to_string()
        } else {
            format!("{packages} lld")
        };
        let note = "about 150 MB; the distribution's compiler, which builds the library from source";
        ways.push(apt::way(&[], &packages, note));
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_compiler_is_the_workspaces() {
        let manifest = std::fs::read_to_string(crate::workspace::root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("rust-version = \"{}.{}\"", OLDEST[0], OLDEST[1])));
    }

    #[test]
    fn the_distributions_compiler_builds_the_library_and_links_with_what_was_found() {
        let compiler = CrossCompiler::Distribution {
            linker: "/somewhere/rust-lld".into(),
        };
        let command = compiler.cargo("build", "thumbv7m-none-eabi", &["-Ctarget-cpu=cortex-m3".into()]);
        let line = crate::command::display(&command);
        assert!(
            line.starts_with("/usr/bin/cargo build -Zbuild-std=core --target thumbv7m-none-eabi"),
            "{line}"
        );
        let flags = command
            .get_envs()
            .find(|(name, _)| *name == "CARGO_ENCODED_RUSTFLAGS")
            .unwrap()
            .1
            .unwrap();
        assert_eq!(flags, "-Ctarget-cpu=cortex-m3\u{1f}-Clinker=/somewhere/rust-lld");
    }
}

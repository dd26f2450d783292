//! Building the firmware with a model and images in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::board::{AARCH64, Board, Memory};
use crate::command::{self, display};
use crate::elf::{self, Usage};
use crate::error::Error;
use crate::provision::rust::CrossCompiler;
use crate::workspace::{root, target};

/// Bytes that must be left for the stack. (What it takes in the end is measured, and reported after the run.)
pub const LEAST_STACK: u64 = 4096;

/// What firmware is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// The fewest instructions: the processor's own kernels, optimized for speed.
    Speed,
    /// The least flash: the reference kernels, optimized for size.
    Size,
}

/// Firmware that is linked and fits its board.
pub struct Firmware {
    /// The ELF file.
    pub elf: PathBuf,
    /// The memory that it takes.
    pub usage: Usage,
    /// The memory that there is.
    pub memory: Memory,
}

/// Builds the firmware of a board with `model` (a `.sepc` file) and `images` (an `.npy` file) embedded.
///
/// # Errors
///
/// [`Error::Input`] if it does not fit the board's memory, [`Error::Failed`] if it cannot be compiled, and
/// [`Error::Environment`] without a compiler.
pub fn build(board: &Board, model: &Path, images: &Path) -> Result<Firmware, Error> {
    build_for(board, model, images, Aim::Speed)
}

/// As [`build`], for speed or for size.
///
/// # Errors
///
/// As [`build`].
pub fn build_for(board: &Board, model: &Path, images: &Path, aim: Aim) -> Result<Firmware, Error> {
    let memory = board.memory()?;
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut command = cargo_build(board, board.name, aim)?;
    command
        .env("SEPCONV_MODEL", absolute(model))
        .env("SEPCONV_IMAGES", absolute(images));
    let output = command
        .output()
        .map_err(|error| Error::Environment(format!("cannot run cargo: {error}")))?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        return Err(match overflow(&messages) {
            Some(overflow) => Error::Input(too_large(board, &memory, model, &overflow)),
            None => Error::Failed(format!("`{}` failed\n{}", display(&command), messages.trim_end())),
        });
    }

    let elf = program(board, board.name, aim);
    let file = std::fs::read(&elf).map_err(|error| Error::Failed(format!("{}: {error}", elf.display())))?;
    let usage =
        elf::usage(&file, &memory).map_err(|error| Error::Failed(format!("{}: {error}", elf.display())))?;
    if usage.ram + LEAST_STACK > memory.ram.length {
        let overflow = ("RAM".to_string(), usage.ram + LEAST_STACK - memory.ram.length);
        return Err(Error::Input(too_large(board, &memory, model, &overflow)));
    }
    Ok(Firmware { elf, usage, memory })
}

/// Builds the program that compares a board's kernels with the specification, and returns where it is.
///
/// # Errors
///
/// [`Error::Failed`] if it cannot be compiled, and [`Error::Environment`] without a compiler.
pub fn build_kernel_tests(board: &Board) -> Result<PathBuf, Error> {
    const PACKAGE: &str = "kernel-tests";
    command::run(
        cargo_build(board, PACKAGE, Aim::Speed)?
            .arg("--quiet")
            .env("SEPCONV_BOARD", board.name),
    )?;
    Ok(program(board, PACKAGE, Aim::Speed))
}

/// `cargo build` of a package for a board's processor.
fn cargo_build(board: &Board, package: &str, aim: Aim) -> Result<Command, Error> {
    let compiler = CrossCompiler::for_target(board.target).ok_or_else(|| {
        Error::Environment(format!(
            "no compiler for {}; see `cargo xtask doctor`",
            board.target
        ))
    })?;
    let mut command = compiler.cargo("build", board.target, &flags(board));
    command
        .args(["--release", "--locked", "--package", package])
        .current_dir(root().join("firmware"))
        .arg("--target-dir")
        .arg(folder(board, aim))
        .env("DEFMT_LOG", "info")
        .stdin(Stdio::null());
    if aim == Aim::Size {
        command
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s")
            .env("SEPCONV_KERNELS", "reference");
    }
    Ok(command)
}

/// The compiler's flags for a board.
fn flags(board: &Board) -> Vec<String> {
    let mut flags = vec![format!("-Ctarget-cpu={}", board.cpu)];
    if board.target == AARCH64 {
        // The start-up code maps memory as caches keep it, where nothing need be aligned.
        flags.push("-Ctarget-feature=-strict-align".into());
    }
    flags
}

/// A folder for each processor: boards of one target differ in the compiler's flags.
fn folder(board: &Board, aim: Aim) -> PathBuf {
    let suffix = match aim {
        Aim::Speed => "",
        Aim::Size => "-size",
    };
    target().join("firmware").join(format!("{}{suffix}", board.cpu))
}

/// The ELF file of a package that was built for a board.
fn program(board: &Board, package: &str, aim: Aim) -> PathBuf {
    folder(board, aim)
        .join(board.target)
        .join("release")
        .join(package)
}

/// The region that the linker found too small, and by how many bytes.
fn overflow(messages: &str) -> Option<(String, u64)> {
    let (_, rest) = messages.split_once("will not fit in region '")?;
    let (region, rest) = rest.split_once("': overflowed by ")?;
    // The linker names every section that is over the end; the last is the farthest.
    let farthest = messages
        .rmatch_indices("overflowed by ")
        .filter_map(|(at, phrase)| {
            let digits = messages[at + phrase.len()..].split(' ').next()?;
            digits.parse::<u64>().ok()
        });
    let first = rest.split(' ').next()?.parse().ok()?;
    Some((region.to_string(), farthest.max().unwrap_or(first)))
}

fn too_large(board: &Board, memory: &Memory, model: &Path, (region, missing): &(String, u64)) -> String {
    let (what, total) = match region.as_str() {
        "RAM" => ("RAM", memory.ram.length),
        _ => ("flash", memory.flash.length),
    };
    let stack = if what == "RAM" {
        format!(" ({LEAST_STACK} of them for the stack)")
    } else {
        String::new()
    };
    format!(
        "{} does not fit {}: it needs {} bytes of {what}{stack}, the board has {total}; \
         a smaller model or another board (`--board`) is needed",
        model.display(),
        board.name,
        total + missing,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKER: &str = "error: linking with `rust-lld` failed: exit status: 1\n  = note: rust-lld: error: section \
        '.rodata' will not fit in region 'FLASH': overflowed by 1200 bytes\n          rust-lld: error: section '.data' \
        will not fit in region 'FLASH': overflowed by 1264 bytes\n";

    #[test]
    fn the_linkers_refusal_is_understood() {
        assert_eq!(overflow(LINKER), Some(("FLASH".into(), 1264)));
        assert_eq!(overflow("error[E0425]: cannot find value"), None);
    }

    #[test]
    fn a_refusal_says_what_is_needed_and_what_there_is() {
        let board = crate::board::find("microbit").unwrap();
        let message = too_large(
            board,
            &board.memory().unwrap(),
            Path::new("m.sepc"),
            &overflow(LINKER).unwrap(),
        );
        for part in ["m.sepc", "microbit", "263408 bytes of flash", "262144"] {
            assert!(message.contains(part), "{part} is not in: {message}");
        }
    }
}

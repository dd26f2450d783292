//! Running firmware in QEMU.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::board::Board;
use crate::command::{display, output_within};
use crate::error::Error;
use crate::report::{self, Report};
use crate::workspace::{target, tool};

/// Instructions take 2^6 ns of the emulated time. The firmware's counter (`firmware/emulated`) knows this number.
const ICOUNT: &str = "shift=6";

/// A large model on the slowest core needs a few minutes; what runs longer hangs.
const LIMIT: Duration = Duration::from_secs(1800);

/// A run: what the board reported and what it logged.
pub struct Run {
    /// The report.
    pub report: Report,
    /// The log as text, or why there is none.
    pub log: Result<String, String>,
}

/// Runs an ELF program on an emulated board to its end.
///
/// # Errors
///
/// [`Error::Failed`] if the program fails, hangs or reports nonsense; [`Error::Environment`] without QEMU.
pub fn run(board: &Board, elf: &Path) -> Result<Run, Error> {
    let folder = target().join("firmware").join("runs");
    let cannot =
        |error: std::io::Error| Error::Environment(format!("cannot write in {}: {error}", folder.display()));
    fs::create_dir_all(&folder).map_err(cannot)?;
    // Tests run several emulators at a time.
    let serial = folder.join(format!("{}-{}.txt", board.name, std::process::id()));
    let _ = fs::remove_file(&serial);

    let mut command = counting(board, elf);
    command.arg("-serial").arg(format!("file:{}", serial.display()));
    let (output, ended) = output_within(&mut command, LIMIT)?;
    let text = fs::read(&serial).unwrap_or_default();
    let _ = fs::remove_file(&serial);
    let text = String::from_utf8_lossy(&text);
    let complaints = String::from_utf8_lossy(&output.stderr);
    if !ended {
        return Err(Error::Failed(format!(
            "`{}` did not end within {} s",
            display(&command),
            LIMIT.as_secs()
        )));
    }
    let report = report::parse(&text).map_err(|error| {
        Error::Failed(format!(
            "{error}\n`{}` ended with {}\n{complaints}",
            display(&command),
            output.status
        ))
    })?;
    if !output.status.success() {
        return Err(Error::Failed(format!(
            "`{}` ended with {}\n{complaints}",
            display(&command),
            output.status
        )));
    }
    Ok(Run {
        report,
        log: decode_log(elf, &output.stdout),
    })
}

/// Runs an ELF program that reports in plain text through semihosting, and returns the text.
///
/// # Errors
///
/// [`Error::Failed`] with the text if the program ends with a failure, or does not end; [`Error::Environment`] without
/// QEMU.
pub fn run_plain(board: &Board, elf: &Path) -> Result<String, Error> {
    let mut command = qemu(board, elf);
    let (output, ended) = output_within(&mut command, LIMIT)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if ended && output.status.success() {
        return Ok(text);
    }
    let how = if ended {
        format!("ended with {}", output.status)
    } else {
        "did not end".to_string()
    };
    let complaints = String::from_utf8_lossy(&output.stderr);
    Err(Error::Failed(format!(
        "`{}` {how}\n{text}{complaints}",
        display(&command)
    )))
}

/// The emulator with a clock that counts instructions; where the serial port's output goes is still to be said.
pub fn counting(board: &Board, elf: &Path) -> Command {
    let mut command = qemu(board, elf);
    command.args(["-icount", ICOUNT]);
    command
}

fn qemu(board: &Board, elf: &Path) -> Command {
    let (program, machine) = board.machine();
    let mut command = Command::new(program);
    command
        .args(machine)
        .args(["-display", "none", "-monitor", "none"]);
    command
        .args(["-semihosting-config", "enable=on,target=native"])
        .arg("-kernel")
        .arg(elf);
    command
}

/// Turns defmt's frames, which the board sent through semihosting, into text.
fn decode_log(elf: &Path, frames: &[u8]) -> Result<String, String> {
    let Some(program) = tool("defmt-print") else {
        return Err("the log cannot be read without defmt-print; see `cargo xtask doctor`".into());
    };
    let wrong = |error: std::io::Error| format!("defmt-print: {error}");
    let file = elf.with_extension("defmt");
    fs::write(&file, frames).map_err(wrong)?;
    let frames = fs::File::open(&file).map_err(wrong)?;
    let output = Command::new(program)
        .arg("-e")
        .arg(elf)
        .stdin(frames)
        .output()
        .map_err(wrong)?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!(
            "defmt-print: {}",
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}

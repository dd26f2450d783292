//! Running other programs.

use std::io::BufRead;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use crate::error::Error;

/// A command as one would type it.
pub fn display(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned()),
    );
    let quoted = words.iter().map(|word| {
        if word.contains([' ', '"']) {
            format!("'{word}'")
        } else {
            word.clone()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Runs a command that speaks to the terminal itself. What it prints goes to standard error, so that a task's own
/// standard output stays clean.
///
/// # Errors
///
/// [`Error::Environment`] if it cannot be started, [`Error::Failed`] if it fails.
pub fn run(command: &mut Command) -> Result<(), Error> {
    eprintln!("+ {}", display(command));
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(command, status)),
        Err(error) => Err(cannot_start(command, &error)),
    }
}

/// Runs a command as [`run`] does and hands every line that it prints to `watch` as well.
///
/// # Errors
///
/// As [`run`].
pub fn run_watching(command: &mut Command, mut watch: impl FnMut(&str)) -> Result<(), Error> {
    eprintln!("+ {}", display(command));
    let (reader, writer) = std::io::pipe().map_err(|error| cannot_start(command, &error))?;
    let both = writer
        .try_clone()
        .and_then(|copy| command.stdin(Stdio::null()).stdout(copy).stderr(writer).spawn());
    let mut child = both.map_err(|error| cannot_start(command, &error))?;
    // The command holds the pipe's other end; the end of the file only comes once it lets go, too.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    for line in std::io::BufReader::new(reader).split(b'\n') {
        let line = line.map_err(|error| cannot_start(command, &error))?;
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        watch(&line);
    }
    let status = child.wait().map_err(|error| cannot_start(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(command, status))
    }
}

/// The first line that a command prints, if it can be run: used to ask tools for their version.
pub fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .find(|line| !line.trim().is_empty())
        .map(|line| line.trim().to_string())
}

/// Runs a command quietly for at most `limit`; returns its output and whether it ended by itself.
///
/// # Errors
///
/// [`Error::Environment`] if it cannot be started.
pub fn output_within(command: &mut Command, limit: Duration) -> Result<(Output, bool), Error> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_start(command, &error))?;
    // The pipes are emptied by threads: a full one would stop the child.
    let drain = |stream: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut stream) = stream {
                let _ = stream.read_to_end(&mut bytes);
            }
            bytes
        })
    };
    let stdout = drain(child.stdout.take().map(|stream| Box::new(stream) as _));
    let stderr = drain(child.stderr.take().map(|stream| Box::new(stream) as _));
    let mut ended = true;
    let status = loop {
        match child.try_wait().map_err(|error| cannot_start(command, &error))? {
            Some(status) => break status,
            None if start.elapsed() > limit => {
                ended = false;
                let _ = child.kill();
                break child.wait().map_err(|error| cannot_start(command, &error))?;
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let (stdout, stderr) = (
        stdout.join().unwrap_or_default(),
        stderr.join().unwrap_or_default(),
    );
    Ok((
        Output {
            status,
            stdout,
            stderr,
        },
        ended,
    ))
}

fn failed(command: &Command, status: ExitStatus) -> Error {
    Error::Failed(format!("`{}` failed ({status})", display(command)))
}

fn cannot_start(command: &Command, error: &std::io::Error) -> Error {
    Error::Environment(format!(
        "cannot run `{}`: {error}",
        command.get_program().to_string_lossy()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert!(error.to_string().contains("`sh -c 'exit 3'` failed"), "{error}");
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn lines_of_both_streams_are_watched() {
        let mut lines = Vec::new();
        let script = "echo out; echo err >&2; echo last";
        run_watching(Command::new("sh").args(["-c", script]), |line| {
            lines.push(line.to_string())
        })
        .unwrap();
        assert_eq!(lines, ["out", "err", "last"]);
        assert!(run_watching(&mut Command::new("false"), |_| ()).is_err());
    }

    #[test]
    fn a_missing_program_is_the_environment() {
        let error = run(&mut Command::new("no-such-program-anywhere")).unwrap_err();
        assert_eq!(error.exit_code(), 3);
    }

    #[test]
    fn a_command_that_does_not_end_is_ended() {
        let (_, ended) = output_within(Command::new("sleep").arg("60"), Duration::from_millis(50)).unwrap();
        assert!(!ended);
        let (output, ended) =
            output_within(Command::new("echo").arg("word"), Duration::from_secs(60)).unwrap();
        assert!(ended && output.stdout == b"word\n");
    }
}

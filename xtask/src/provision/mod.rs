//! What the tasks need from the machine: whether it is there, and the commands that install it.
//!
//! The commands that `doctor` shows are the very ones that `demo` and `test` run.

mod apt;
pub mod bochs;
pub mod cargo_tools;
pub mod qemu;
pub mod rust;
pub mod torch;

use std::process::Command;

use crate::error::Error;

/// Something that tasks need from the machine.
pub struct Requirement {
    /// What it is called.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Whether it is there.
    pub check: fn() -> Status,
    /// How it can be installed here: the first way that works is taken. Empty if no way is known.
    pub ways: fn() -> Vec<Way>,
}

/// Whether something is there.
#[derive(Debug, PartialEq)]
pub enum Status {
    /// It is, in this version or at this place.
    Present(String),
    /// It is not, for this reason.
    Missing(String),
}

/// A way to install something: shell commands in order.
#[derive(Debug, Default, PartialEq)]
pub struct Way {
    /// The commands, for `sh`.
    pub commands: Vec<String>,
    /// What one should know beforehand, such as the size of the download.
    pub note: String,
    /// What keeps this task from running the commands itself; empty if nothing does.
    pub obstacle: String,
}

/// Everything that tasks need, in the order in which it is installed.
pub const ALL: &[Requirement] = &[
    rust::CROSS_TARGETS,
    qemu::QEMU_ARM,
    cargo_tools::DEFMT_PRINT,
    cargo_tools::NEXTEST,
    torch::COMPILER,
    torch::PYTHON,
    torch::LIBTORCH,
];

/// What no task needs, but some checks use if it is there.
pub const OPTIONAL: &[Requirement] = &[cargo_tools::VALGRIND];

/// What the comparison of kernels on processors that run Linux needs: installed for it where that is possible.
pub const USER_MODE: &[Requirement] = &[
    rust::LINUX_CROSS_TARGETS,
    qemu::QEMU_USER,
    rust::GCC_AARCH64,
    rust::GCC_ARM,
];

/// What the comparison of kernels on emulated x86-64 processors needs: installed for it where that is possible.
pub const EMULATED_PC: &[Requirement] = &[bochs::BOCHS];

/// Makes sure that the requirements are met, installing what is missing.
///
/// # Errors
///
/// [`Error::Environment`] with the list of what is missing, and the commands for it, if not all could be installed.
pub fn ensure(requirements: &[&Requirement]) -> Result<(), Error> {
    let mut missing = Vec::new();
    for requirement in requirements {
        if let Status::Missing(reason) = (requirement.check)() {
            eprintln!(
                "{} is missing ({reason}); it is needed for {}",
                requirement.name, requirement.purpose
            );
            if let Status::Missing(reason) = install(requirement) {
                missing.push(describe_missing(requirement, &reason));
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join("\n");
    Err(Error::Environment(format!(
        "not everything that is needed could be installed here:\n{list}"
    )))
}

fn install(requirement: &Requirement) -> Status {
    for way in (requirement.ways)() {
        if !way.obstacle.is_empty() {
            eprintln!("cannot install it this way: {}", way.obstacle);
            continue;
        }
        if !way.note.is_empty() {
            eprintln!("{}: {}", requirement.name, way.note);
        }
        let works = way.commands.iter().all(|command| {
            eprintln!("+ {command}");
            let status = Command::new("sh")
                .args(["-c", command])
                .current_dir(crate::workspace::root())
                .stdin(std::process::Stdio::null())
                .stdout(std::io::stderr())
                .status();
            status.is_ok_and(|status| status.success())
        });
        if works && matches!((requirement.check)(), Status::Present(_)) {
            break;
        }
    }
    (requirement.check)()
}

/// A missing requirement and the commands that would install it, for people.
pub fn describe_missing(requirement: &Requirement, reason: &str) -> String {
    let mut text = format!("  {}: {reason}; for {}", requirement.name, requirement.purpose);
    for (number, way) in (requirement.ways)().iter().enumerate() {
        let lead = if number == 0 {
            "install with"
        } else {
            "or, if that fails,"
        };
        let note = if way.note.is_empty() {
            String::new()
        } else {
            format!(" ({})", way.note)
        };
        text += &format!("\n    {lead}{note}");
        for command in &way.commands {
            text += &format!("\n      {command}");
        }
        if !way.obstacle.is_empty() {
            text += &format!("\n      (not done for you: {})", way.obstacle);
        }
    }
    text
}

/// The numbers of the first version in a text: `[10, 0, 2]` in `QEMU emulator version 10.0.2 (Debian ...)`.
pub fn version_numbers(text: &str) -> Vec<u32> {
    let is_version = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
    let words = text.split(|other: char| !(other.is_ascii_digit() || other == '.'));
    let Some(version) = words.filter(|word| word.contains('.')).find(is_version) else {
        return Vec::new();
    };
    version
        .split('.')
        .map_while(|number| number.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_and_ordered() {
        assert_eq!(
            version_numbers("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)"),
            [10, 0, 2]
        );
        assert_eq!(version_numbers("rustc 1.95.0 (59807616e 2026-04-14)"), [1, 95, 0]);
        assert_eq!(version_numbers("none"), [0u32; 0]);
        assert!(version_numbers("7.2.11") < vec![8]);
        assert!(version_numbers("10.0.2") >= vec![8]);
    }

    const IMPOSSIBLE: Requirement = Requirement {
        name: "the impossible",
        purpose: "this test",
        check: || Status::Missing("not found".into()),
        ways: || {
            vec![
                Way {
                    commands: vec!["get impossible".into()],
                    obstacle: "not root".into(),
                    note: String::new(),
                },
                Way {
                    commands: vec!["false".into(), "echo never".into()],
                    ..Way::default()
                },
            ]
        },
    };

    #[test]
    fn what_cannot_be_installed_is_listed_with_its_commands() {
        let Error::Environment(message) = ensure(&[&IMPOSSIBLE]).unwrap_err() else {
            panic!("another error")
        };
        for part in [
            "the impossible",
            "this test",
            "get impossible",
            "not root",
            "echo never",
        ] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }
}

//! Tools that cargo builds, put into `target/tools` so that nothing outside this folder changes.

use super::{Requirement, Status, Way, apt};
use crate::command::first_line;
use crate::workspace::{in_shell, tool, tools};

/// Prints the board's log.
pub const DEFMT_PRINT: Requirement = Requirement {
    name: "defmt-print",
    purpose: "the log of the firmware",
    check: || check("defmt-print"),
    ways: || vec![cargo_install("defmt-print", "builds in about 2 minutes")],
};

/// Runs the tests.
pub const NEXTEST: Requirement = Requirement {
    name: "cargo-nextest",
    purpose: "running the tests",
    check: || check("cargo-nextest"),
    ways: || {
        let bin = tools().join("bin");
        let (bin, url) = (in_shell(&bin), nextest_url());
        let fetch = format!("mkdir -p {bin} && curl -LsSf --max-time 120 {url} | tar zxf - -C {bin}");
        let prebuilt = Way {
            commands: vec![fetch],
            note: "about 10 MB, built by its makers".into(),
            ..Way::default()
        };
        vec![
            prebuilt,
            cargo_install("cargo-nextest", "builds in about 6 minutes"),
        ]
    },
};

/// Finds reads of memory that was never written.
pub const VALGRIND: Requirement = Requirement {
    name: "valgrind",
    purpose: "memory checks of the unsafe kernels",
    check: || check("valgrind"),
    ways: || vec![apt::way(&[], "valgrind", "about 20 MB")],
};

fn nextest_url() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "https://get.nexte.st/latest/linux-arm"
    } else {
        "https://get.nexte.st/latest/linux"
    }
}

fn check(name: &str) -> Status {
    let Some(file) = tool(name) else {
        return Status::Missing("not found".into());
    };
    match first_line(&file.to_string_lossy(), &["--version"]) {
        Some(version) => Status::Present(version),
        None => Status::Missing(format!("{} does not run", file.display())),
    }
}

fn cargo_install(name: &str, note: &str) -> Way {
    let command = format!("cargo install --locked --root {} {name}", in_shell(&tools()));
    Way {
        commands: vec![command],
        note: note.into(),
        ..Way::default()
    }
}

//! Bochs, which emulates x86-64 processors with AVX-VNNI, AVX-512 and AMX.
//!
//! Debian has a version that knows AMX from release 13 on. It is unpacked into a folder of this workspace together with all
//! libraries that it needs, the C library among them, and so runs on older releases too, and without root.

use std::path::PathBuf;
use std::process::Command;

use super::{Requirement, Status, Way, apt};
use crate::workspace::{in_shell, target};

/// Debian's signatures, which the release's lists are checked with.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The emulator of x86-64 processors.
pub const BOCHS: Requirement = Requirement {
    name: "Bochs",
    purpose: "kernels for AVX-VNNI and AMX, where the machine lacks them",
    check,
    ways,
};

/// The emulator with some arguments.
pub fn bochs() -> Command {
    let library = root().join("usr/lib/x86_64-linux-gnu");
    let mut command = Command::new(library.join("ld-linux-x86-64.so.2"));
    command
        .arg("--library-path")
        .arg(&library)
        .arg(root().join("usr/bin/bochs-bin"))
        .env("LTDL_LIBRARY_PATH", library.join("bochs/plugins"))
        .env("BXSHARE", root().join("usr/share/bochs"));
    command
}

fn folder() -> PathBuf {
    target().join("bochs")
}

/// Where Debian's packages are unpacked.
fn root() -> PathBuf {
    folder().join("root")
}

fn check() -> Status {
    let output = bochs().args(["--help", "cpu"]).output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        return Status::Missing(format!("not in {}", root().display()));
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let version = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Bochs x86 Emulator "));
    match version {
        Some(version) if text.contains("sapphire_rapids") => Status::Present(version.into()),
        _ => Status::Missing("it does not know Sapphire Rapids".into()),
    }
}

fn ways() -> Vec<Way> {
    let folder = in_shell(&folder());
    let apt_get = format!(
        "apt-get -o Dir::Etc::sourcelist=\"$PWD/{folder}/sources.list\" -o Dir::Etc::sourceparts=- -o Dir::State::status=/dev/null \
         -o Dir::State::lists=\"$PWD/{folder}/lists\" -o Dir::Cache=\"$PWD/{folder}/cache\" -o Debug::NoLocking=1"
    );
    let obstacle = if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        "it is fetched for Linux on x86-64 only"
    } else if !apt::present() {
        "this machine has no apt"
    } else if !std::path::Path::new(KEYRING).is_file() {
        "this machine has not Debian's signatures (package debian-archive-keyring)"
    } else {
        ""
    };
    let source = format!("deb [signed-by={KEYRING}] http://deb.debian.org/debian trixie main");
    vec![Way {
        commands: vec![
            format!("mkdir -p {folder}/lists/partial {folder}/cache/archives/partial"),
            format!("echo '{source}' > {folder}/sources.list"),
            format!("{apt_get} -qq update"),
            format!("{apt_get} -qq install --no-install-recommends --download-only bochs bochs-term"),
            format!(
                "for package in {folder}/cache/archives/*.deb; do dpkg -x $package {folder}/root || exit 1; done"
            ),
            format!("rm -r {folder}/lists {folder}/cache"),
        ],
        note: "about 70 MB, from Debian 13, into this workspace only".into(),
        obstacle: obstacle.into(),
    }]
}

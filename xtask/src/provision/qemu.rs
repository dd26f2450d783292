//! QEMU for Arm boards.

use super::{Requirement, Status, Way, apt, version_numbers};
use crate::command::first_line;

/// The oldest version whose emulated boards are known to work.
const OLDEST: u32 = 8;

/// The emulator of the boards.
pub const QEMU_ARM: Requirement = Requirement {
    name: "qemu-system-arm",
    purpose: "emulated boards",
    check,
    ways,
};

/// The emulator of programs for Linux on Arm.
pub const QEMU_USER: Requirement = Requirement {
    name: "qemu-user",
    purpose: "kernels of processors that run Linux on Arm",
    check: || {
        let programs = ["qemu-aarch64", "qemu-arm"];
        match programs
            .iter()
            .find(|program| first_line(program, &["--version"]).is_none())
        {
            Some(program) => Status::Missing(format!("{program} not found")),
            None => Status::Present(first_line("qemu-aarch64", &["--version"]).unwrap_or_default()),
        }
    },
    ways: || vec![apt::way(&[], "qemu-user", "about 90 MB")],
};

fn check() -> Status {
    match first_line("qemu-system-arm", &["--version"]) {
        None => Status::Missing("not found".into()),
        Some(version) if version_numbers(&version) < vec![OLDEST] => {
            Status::Missing(format!("{version} is older than {OLDEST}.0"))
        }
        // Debian packs both together, others apart.
        Some(_) if first_line("qemu-system-aarch64", &["--version"]).is_none() => {
            Status::Missing("qemu-system-aarch64 not found".into())
        }
        Some(version) => Status::Present(version),
    }
}

fn ways() -> Vec<Way> {
    const PACKAGE: &str = "qemu-system-arm";
    let plain = apt::way(&[], PACKAGE, "about 60 MB");
    let codename = release_codename(&std::fs::read_to_string("/etc/os-release").unwrap_or_default());
    let Some(codename) = codename else {
        return vec![plain];
    };
    let source = format!("deb http://deb.debian.org/debian {codename}-backports main");
    let file = format!("/etc/apt/sources.list.d/{codename}-backports.list");
    let add = format!("sh -c 'echo \"{source}\" > {file}'");
    let backports = apt::way(
        &[&add],
        &format!("-t {codename}-backports {PACKAGE}"),
        "about 60 MB, from Debian's backports, which this adds to the package sources",
    );
    let too_old = apt::candidate(PACKAGE).is_some_and(|version| version_numbers(&version) < vec![OLDEST]);
    if too_old {
        vec![backports]
    } else {
        vec![plain, backports]
    }
}

/// The code name of a Debian release, `None` for other distributions (whose backports are not Debian's).
fn release_codename(os_release: &str) -> Option<String> {
    let value = |key: &str| {
        os_release
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .map(|value| value.trim_matches('"').to_string())
    };
    if value("ID=")? == "debian" {
        value("VERSION_CODENAME=")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backports_are_for_debian_only() {
        assert_eq!(
            release_codename("ID=debian\nVERSION_CODENAME=bookworm\n").as_deref(),
            Some("bookworm")
        );
        assert_eq!(release_codename("ID=ubuntu\nVERSION_CODENAME=noble\n"), None);
        assert_eq!(release_codename(""), None);
    }
}

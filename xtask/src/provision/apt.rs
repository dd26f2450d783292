//! Packages of Debian and its relatives.

use std::sync::LazyLock;

use super::Way;
use crate::command::first_line;

/// How root commands can be run here without asking: `""` as root, `"sudo "` where sudo does not ask, else `None`.
static ROOT_PREFIX: LazyLock<Option<&str>> = LazyLock::new(|| {
    if first_line("id", &["-u"]).as_deref() == Some("0") {
        return Some("");
    }
    first_line("sudo", &["-n", "id", "-u"])
        .is_some_and(|id| id == "0")
        .then_some("sudo ")
});

/// Whether this machine has apt.
pub fn present() -> bool {
    first_line("apt-get", &["--version"]).is_some()
}

/// The version of a package that would be installed, `None` if there is none.
pub fn candidate(package: &str) -> Option<String> {
    // Lists are often empty in fresh containers; what they would hold is then not known, and not asked for here.
    let output = std::process::Command::new("apt-cache")
        .args(["policy", package])
        .output()
        .ok()?;
    candidate_in(&String::from_utf8_lossy(&output.stdout))
}

fn candidate_in(policy: &str) -> Option<String> {
    let version = policy
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    // What stands before a colon is the epoch, no part of the program's own version.
    let version = version.split_once(':').map_or(version, |(_, after)| after);
    (version != "(none)").then(|| version.to_string())
}

/// The way to install packages, after the given commands (run as root as well).
pub fn way(before: &[&str], packages: &str, note: &str) -> Way {
    let prefix = ROOT_PREFIX.unwrap_or("sudo ");
    let mut commands: Vec<String> = before
        .iter()
        .map(|command| format!("{prefix}{command}"))
        .collect();
    commands.push(format!("{prefix}apt-get update"));
    commands.push(format!(
        "{prefix}apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=600 {packages}"
    ));
    let obstacle = if !present() {
        "this machine has no apt"
    } else if ROOT_PREFIX.is_none() {
        "it takes root, and sudo is absent or asks for a password"
    } else {
        ""
    };
    Way {
        commands,
        note: note.into(),
        obstacle: obstacle.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_read_without_their_epoch() {
        let policy = "qemu-system-arm:\n  Installed: (none)\n  Candidate: 1:7.2+dfsg-7\n  Version table:\n";
        assert_eq!(candidate_in(policy).as_deref(), Some("7.2+dfsg-7"));
        assert_eq!(
            candidate_in("x:\n  Installed: (none)\n  Candidate: (none)\n"),
            None
        );
        assert_eq!(candidate_in(""), None);
    }
}

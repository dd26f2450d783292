//! Where things are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The workspace's root folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// The folder of data that some tasks and tests measure with, whether it is there or not; no clone has it.
pub fn shared() -> PathBuf {
    std::env::var_os("SEPCONV_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from)
}

/// Cargo, as it was called.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // Variables that `cargo xtask` was started with describe xtask, not what is built now.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") {
            command.env_remove(name);
        }
    }
    command
}

/// The folder for all that is built or installed.
pub fn target() -> &'static Path {
    static TARGET: LazyLock<PathBuf> = LazyLock::new(|| {
        let from_cargo = || {
            let arguments = ["metadata", "--no-deps", "--format-version", "1", "--offline"];
            let output = cargo().args(arguments).output().ok()?;
            let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
            Some(PathBuf::from(metadata["target_directory"].as_str()?))
        };
        from_cargo().unwrap_or_else(|| root().join("target"))
    });
    &TARGET
}

/// The folder of cargo tools that were installed for this workspace only.
pub fn tools() -> PathBuf {
    target().join("tools")
}

/// A tool by its name: in the search path, or among the workspace's own [`tools`].
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = std::iter::once(tools().join("bin"));
    std::env::split_paths(&path)
        .chain(own)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// A path as a word of a shell command that runs in the workspace's root.
pub fn in_shell(path: &Path) -> String {
    let text = path.strip_prefix(root()).unwrap_or(path).display().to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+".contains(letter);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_words_of_the_shell() {
        assert_eq!(in_shell(&root().join("target/tools")), "target/tools");
        assert_eq!(in_shell(Path::new("/a b/it's")), "'/a b/it'\\''s'");
    }
}

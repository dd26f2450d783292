//! libtorch, for training: taken out of a Python package, which is where it is published for every platform.
//!
//! Python itself is needed for that download only.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Requirement, Status, Way, apt};
use crate::command::first_line;
use crate::workspace;

/// The version that the tch crate binds to.
const VERSION: &str = "2.11.0";

/// A C++ compiler.
pub const COMPILER: Requirement = Requirement {
    name: "a C++ compiler",
    purpose: "binding libtorch (training)",
    check: || match first_line("c++", &["--version"]) {
        Some(version) => Status::Present(version),
        None => Status::Missing("no c++".into()),
    },
    ways: || vec![apt::way(&[], "g++", "about 70 MB")],
};

/// Python with its module for virtual environments.
pub const PYTHON: Requirement = Requirement {
    name: "Python with venv",
    purpose: "fetching libtorch (training)",
    check: || match first_line(
        "python3",
        &["-c", "import ensurepip, sys, venv; print(sys.version)"],
    ) {
        Some(version) => Status::Present(version),
        None => Status::Missing("python3 or its modules venv and ensurepip not found".into()),
    },
    ways: || vec![apt::way(&[], "python3 python3-venv", "about 30 MB")],
};

/// The library.
pub const LIBTORCH: Requirement = Requirement {
    name: "libtorch",
    purpose: "training",
    check,
    ways,
};

fn check() -> Status {
    match location() {
        Some(folder) => Status::Present(format!("{}", folder.display())),
        None => Status::Missing(format!(
            "neither LIBTORCH nor torch {VERSION} in {}",
            environment_folder().display()
        )),
    }
}

/// The variables that building and running `sepconv-train` take.
pub fn variables() -> Vec<(&'static str, OsString)> {
    let Some(folder) = location() else {
        return Vec::new();
    };
    let library = folder.join("lib").into_os_string();
    let search = match std::env::var_os("LD_LIBRARY_PATH") {
        Some(others) if !others.is_empty() => {
            let mut search = library;
            search.push(":");
            search.push(others);
            search
        }
        _ => library,
    };
    vec![("LIBTORCH", folder.into_os_string()), ("LD_LIBRARY_PATH", search)]
}

/// libtorch's folder: the one that the user names, or the one in this workspace's virtual environment.
fn location() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("LIBTORCH") {
        return Some(PathBuf::from(folder)).filter(|folder| has_library(folder));
    }
    let folders = std::fs::read_dir(environment_folder().join("lib")).ok()?;
    let candidates = folders
        .flatten()
        .map(|python| python.path().join("site-packages/torch"));
    candidates
        .into_iter()
        .find(|folder| has_library(folder) && has_version(folder))
}

fn has_library(folder: &Path) -> bool {
    folder.join("lib/libtorch_cpu.so").is_file()
}

/// An older package is as good as none: it would fail later, with a worse message.
fn has_version(folder: &Path) -> bool {
    let text = std::fs::read_to_string(folder.join("version.py")).unwrap_or_default();
    text.contains(&format!("'{VERSION}"))
}

fn environment_folder() -> PathBuf {
    workspace::target().join("venv")
}

fn ways() -> Vec<Way> {
    let folder = environment_folder();
    let folder = workspace::in_shell(&folder);
    let create = format!("python3 -m venv {folder}");
    let pip = format!("{folder}/bin/pip install --disable-pip-version-check");
    let way = |arguments: String, note: &str| Way {
        commands: vec![create.clone(), format!("{pip} {arguments}")],
        note: note.into(),
        ..Way::default()
    };
    if has_nvidia_gpu() {
        return vec![way(
            format!("torch=={VERSION}"),
            "downloads about 2.8 GB, with what the NVIDIA GPU needs",
        )];
    }
    vec![
        way(
            format!(
                "--no-deps --retries 0 --timeout 20 --index-url https://download.pytorch.org/whl/cpu torch=={VERSION}+cpu"
            ),
            "downloads about 190 MB: the build for processors only",
        ),
        // Without a GPU, two of the package's dependencies are enough for the library to load.
        way(
            format!("--no-deps torch=={VERSION} nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85"),
            "downloads about 545 MB: PyPI has only the build for GPUs and processors",
        ),
    ]
}

fn has_nvidia_gpu() -> bool {
    first_line("nvidia-smi", &["-L"]).is_some_and(|line| line.starts_with("GPU"))
}

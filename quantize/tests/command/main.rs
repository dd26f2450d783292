//! The command `sepconv` as users meet it: what it prints, what it writes, and how it fails.

mod bench;
mod eval;
mod inspect;
mod isa;
mod quantize;
mod report;
mod run;

use npyz::WriterBuilder;
use sepconv_quantize::testing;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder with a model in it.
struct Place {
    folder: TempDir,
    /// A `.sepc` file of [`testing::classifier`].
    model: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model.sepc");
        std::fs::write(&model, &*testing::file(&testing::classifier(1))).unwrap();
        Place { folder, model }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn sepconv<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sepconv"))
        .args(arguments)
        .output()
        .unwrap()
}

/// The object that a successful command prints.
fn json<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_sepconv"))
        .arg("--json")
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("one JSON object and nothing else")
}

/// The table that a successful command prints.
fn table<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> String {
    let output = sepconv(arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Checks that a command fails with an exit code and a message, and prints nothing on standard output.
fn fails<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>, code: i32, message: &str) {
    let output = sepconv(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(message), "{message:?} is not in {stderr:?}");
    assert!(output.stdout.is_empty());
}

/// A file of the workspace.
fn workspace(path: &str) -> String {
    format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))
}

/// The digit classifier that comes with the project, quantized with the digits that do.
fn digits(folder: &Place, extra: &[&str]) -> PathBuf {
    let output = folder.path("digits.sepc");
    let (source, images) = (
        workspace("models/micro-xception.onnx"),
        workspace("host-train/data"),
    );
    let mut arguments = vec!["quantize", &source, "--calibrate", &images, "-o", text(&output)];
    arguments.extend(extra);
    json(&arguments);
    output
}

/// Writes an array in NumPy's format.
fn write_array<T: npyz::AutoSerialize + Copy>(path: &Path, shape: &[u64], values: &[T]) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .writer(file)
        .begin_nd()
        .unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
}

fn read_array<T: npyz::Deserialize>(path: &Path) -> Vec<T> {
    let bytes = std::fs::read(path).unwrap();
    npyz::NpyFile::new(&bytes[..]).unwrap().into_vec().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn wrong_usage_ends_with_two() {
    fails(["fly"], 2, "fly");
    fails(["inspect"], 2, "Usage");
    fails(["bench", "x.sepc", "--threads", "0"], 2, "--threads");
    assert!(table(["--help"]).contains("inspect"));
}

#[test]
fn broken_models_end_with_one() {
    let place = Place::new();
    let mut bytes = std::fs::read(&place.model).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let (damaged, other) = (place.path("damaged.sepc"), place.path("other.sepc"));
    std::fs::write(&damaged, &bytes).unwrap();
    std::fs::write(
        &other,
        b"something else entirely, as long as a header would be, and then some more",
    )
    .unwrap();
    let absent = place.path("absent.sepc");
    for command in ["inspect", "bench"] {
        fails(
            [command, text(&damaged)],
            1,
            "damaged.sepc: the model file is damaged",
        );
        fails([command, text(&other)], 1, "does not start with SEPC");
        fails([command, text(&absent)], 1, "absent.sepc: No such file");
    }
}

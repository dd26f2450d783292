//! The command line: exit status, messages, and nothing half written.

use std::path::Path;
use std::process::{Command, Output};

fn sepconv_train(arguments: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sepconv-train"))
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap()
}

#[test]
fn trains_evaluates_and_exports() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = sepconv_train(arguments, dir.path());
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let train = [
        "train",
        "--epochs",
        "1",
        "--limit",
        "128",
        "-o",
        "net.safetensors",
        "--json",
    ];
    let trained = run(&train);
    assert_eq!(trained["train_images"], 128);
    assert_eq!(trained["count"], 1000);
    // Finished already: nothing is trained, and the same is measured.
    let resumed = run(&[&train[..], &["--resume"]].concat());
    assert_eq!(resumed["train_loss"], serde_json::Value::Null);
    let evaluated = run(&["eval", "net.safetensors", "--json"]);
    assert_eq!(
        (&evaluated["top1"], &resumed["top1"]),
        (&trained["top1"], &trained["top1"])
    );
    let exported = run(&["export", "net.safetensors", "-o", "net.onnx", "--json"]);
    assert_eq!(
        exported["bytes"],
        std::fs::metadata(dir.path().join("net.onnx")).unwrap().len()
    );
}

#[test]
fn mistakes_have_their_exit_status_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let fail = |arguments: &[&str], status: i32, message: &str| {
        let output = sepconv_train(arguments, dir.path());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {stderr}");
        assert!(stderr.contains(message), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty());
    };
    let out = "net.safetensors";
    fail(
        &["train", "-o", out, "--data", "nowhere"],
        1,
        "nowhere is not a directory",
    );
    fail(&["train", "-o", out, "--data", "."], 1, "--size");
    fail(
        &["train", "-o", out, "--data", ".", "--size", "32x32"],
        1,
        "no images found",
    );
    fail(&["train", "-o", out, "--size", "32"], 2, "HEIGHTxWIDTH");
    fail(&["train", "-o", out, "--limit", "0"], 2, "--limit");
    fail(&["train", "-o", out, "--size", "4x4x1"], 1, "too small");
    fail(&["train", "-o", out, "--epochs", "0"], 1, "1 epoch");
    fail(
        &["train", "-o", "no/such/folder.safetensors"],
        1,
        "no/such/folder",
    );
    fail(&["train"], 2, "--output");
    fail(&["eval", out], 1, out);
    fail(&["export", out, "-o", "net.onnx"], 1, out);
    if sepconv_train::device::cuda().is_err() {
        fail(&["train", "-o", out, "--device", "cuda"], 3, "no CUDA device");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

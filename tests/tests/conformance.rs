//! Equality, byte for byte, with what TensorFlow Lite Micro computes.

use sepconv::kernels;
use sepconv_tests::cases::{self, Case};
use sepconv_tests::conformance::check;
use sepconv_tests::{shared_folder, workspace};
use std::path::PathBuf;

/// Checks all cases, prints those that fail, and panics if there are any.
fn check_all(what: &str, cases: &[Case]) {
    for table in kernels::ALL.iter().filter(|table| !(table.available)()) {
        println!(
            "left out: conformance of the kernels for {}, which this machine lacks",
            table.name
        );
    }
    let mut failed = 0;
    for case in cases {
        if let Err(error) = check(case) {
            println!("{}: {error}", case.name);
            failed += 1;
        }
    }
    println!("{what}: {} of {} cases equal", cases.len() - failed, cases.len());
    assert!(!cases.is_empty(), "{what}: no cases");
    assert_eq!(failed, 0, "{what}: cases differ from TensorFlow Lite Micro");
}

/// A few cases of each operator, recorded in the project.
#[test]
fn recorded_operators() {
    let archive = include_bytes!("../conformance/recorded.zip");
    check_all(
        "recorded operators",
        &cases::of_archive(archive).expect("the archive of recorded cases"),
    );
}

/// Cases that `tests/conformance/generate.py` has put into `target/conformance`, or into the folder that the environment
/// variable `SEPCONV_CONFORMANCE` names.
#[test]
fn generated_operators() {
    let folder = std::env::var_os("SEPCONV_CONFORMANCE").map(PathBuf::from);
    let asked_for = folder.is_some();
    let folder = folder.unwrap_or_else(|| workspace().join("target/conformance"));
    if !asked_for && !folder.is_dir() {
        println!("left out: generated conformance cases (see tests/conformance/generate.py)");
        return;
    }
    check_all(
        "generated operators",
        &cases::of_folder(&folder).expect("the folder of generated cases"),
    );
}

/// The MLPerf Tiny models and MobileNetV2, with outputs recorded from TensorFlow Lite Micro.
#[test]
fn whole_models() {
    let Some(shared) = shared_folder() else {
        println!("left out: conformance of the MLPerf Tiny models (no SEPCONV_SHARED)");
        return;
    };
    let (models, records) = (shared.join("models"), shared.join("models/conformance"));
    let tiny = ["ad_int8", "ic_int8", "kws_int8", "vww_int8"].map(|name| (models.join("mlperf-tiny"), name));
    let names = tiny.into_iter().chain([(models, "mobilenet-v2-ptq")]);
    let cases: Vec<_> = names
        .map(|(folder, name)| Case::read(&folder, &records, name).expect(name))
        .collect();
    check_all("whole models", &cases);
}

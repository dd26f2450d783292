//! The main job from end to end, through the commands that users type: a network trained for seconds, exported to ONNX,
//! quantized, and run on this machine and on an emulated board.

use npyz::{NpyFile, TypeStr, WriterBuilder};
use sepconv_tests::workspace;
use sepconv_train::batch::{image_batch, standardize};
use sepconv_train::evaluate::evaluate;
use sepconv_train::{Settings, Trainer, XceptionConfig, export};
use serde_json::Value;
use std::fs::File;
use std::path::Path;
use std::process::Command;

/// Images that are compared value by value, here and on the board.
const IMAGES: usize = 4;

/// The least ratio of logits to quantization noise, in decibels.
const LEAST_DECIBELS: f64 = 20.0;

/// The command `sepconv`: the one that the environment variable `SEPCONV_COMMAND` names, else built here.
fn sepconv(arguments: &[&str]) -> Value {
    let mut command = match std::env::var_os("SEPCONV_COMMAND") {
        Some(path) => Command::new(path),
        None => cargo_run("sepconv-quantize", "sepconv"),
    };
    json(command.args(arguments))
}

/// `cargo xtask`.
fn xtask(arguments: &[&str]) -> Command {
    let mut command = cargo_run("xtask", "xtask");
    command.args(arguments);
    command
}

fn cargo_run(package: &str, program: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(workspace())
        .args(["run", "--quiet", "--release"]);
    command.args(["--package", package, "--bin", program, "--"]);
    command
}

/// The object that a program prints.
fn json(command: &mut Command) -> Value {
    let output = command.arg("--json").output().expect("the program starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn read<T: npyz::Deserialize>(path: &Path) -> Vec<T> {
    let file = NpyFile::new(File::open(path).unwrap()).unwrap();
    file.into_vec().unwrap()
}

fn write(path: &Path, shape: &[u64], values: &[f32]) {
    let mut writer = npyz::WriteOptions::new()
        .dtype(npyz::DType::Plain("<f4".parse::<TypeStr>().unwrap()))
        .shape(shape)
        .writer(File::create(path).unwrap())
        .begin_nd()
        .unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
}

/// FNV-1a, 64 bits (draft-eastlake-fnv), of an output: what the firmware reports.
fn hash(output: &[i8]) -> String {
    let hash = output.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte as u8)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[test]
fn a_network_is_trained_exported_quantized_and_gives_the_same_bytes_on_a_board() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (network, model, images) = (file("net.onnx"), file("net.sepc"), file("images.npy"));
    let data = workspace().join("host-train/data");
    let data = data.to_str().unwrap();

    // Trained for seconds, and exported: libtorch and tract agree.
    let dataset = sepconv_quantize::dataset::Dataset::open(Path::new(data), None).unwrap();
    let settings = Settings {
        epochs: 2,
        batch: 32,
        ..Settings::default()
    };
    let preprocess = standardize(&dataset.train.images, &dataset.classes);
    let config = XceptionConfig::micro(10, dataset.train.images.size());
    let mut trainer = Trainer::new(&config, preprocess.clone(), &settings, tch::Device::Cpu).unwrap();
    while !trainer.is_finished() {
        trainer.epoch(&dataset.train, &mut |_, _, _| ()).unwrap();
    }
    let difference = export::export(trainer.network(), Path::new(&network)).unwrap();
    assert!(difference <= 1e-4, "tract is off by {difference:e}");
    let trained = evaluate(trainer.network(), &dataset.test, &mut |_| ()).unwrap();
    assert!(trained.top1 > 0.8, "{trained:?}");

    // Quantized: libtorch's accuracy, and its classes, within quantization.
    sepconv(&["quantize", &network, "--calibrate", data, "-o", &model]);
    let accuracy = sepconv(&["eval", &model, "--images", data, "--float", &network]);
    let number = |key: &str| {
        accuracy[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key}: {accuracy}"))
    };
    assert_eq!(number("count"), 1000.0);
    assert!(
        (number("float_top1") - trained.top1).abs() < 0.0015,
        "{accuracy} {trained:?}"
    );
    assert!(
        (number("top1") - trained.top1).abs() <= 0.01,
        "{accuracy} {trained:?}"
    );
    assert!(number("agreement") >= 0.98, "{accuracy}");

    // libtorch's logits and those of the int8 model.
    let indices: Vec<usize> = (0..IMAGES).collect();
    let batch = image_batch(&dataset.test.images, &indices, &preprocess, tch::Device::Cpu);
    let logits = tch::no_grad(|| trainer.network().xception.forward(&batch, false));
    let logits = Vec::<f32>::try_from(&logits.view(-1)).unwrap();
    let nhwc = batch.permute([0, 2, 3, 1]).contiguous();
    let shape: Vec<u64> = nhwc.size().iter().map(|&side| side as u64).collect();
    let (real, found) = (file("real.npy"), file("found.npy"));
    write(
        Path::new(&real),
        &shape,
        &Vec::<f32>::try_from(&nhwc.view(-1)).unwrap(),
    );
    sepconv(&["run", &model, "--input", &real, "--output", &found]);
    let found: Vec<f32> = read(Path::new(&found));
    assert_eq!(found.len(), logits.len());
    let energy =
        |values: &mut dyn Iterator<Item = f32>| values.map(|value| f64::from(value).powi(2)).sum::<f64>();
    let noise = energy(&mut logits.iter().zip(&found).map(|(a, b)| a - b));
    let decibels = 10.0 * (energy(&mut logits.iter().copied()) / noise).log10();
    assert!(decibels >= LEAST_DECIBELS, "{decibels} dB: {logits:?} {found:?}");

    // The same images in int8, here and on the board.
    let count = IMAGES.to_string();
    sepconv(&[
        "inputs", &model, "--images", data, "--count", &count, "--output", &images,
    ]);
    let outputs = file("outputs.npy");
    sepconv(&["run", &model, "--input", &images, "--output", &outputs]);
    let outputs: Vec<i8> = read(Path::new(&outputs));
    let host: Vec<String> = outputs.chunks_exact(10).map(hash).collect();
    assert_eq!(host.len(), IMAGES);
    let flash = ["flash", "--board", "mps2-an386", &model, "--images", &images];
    if xtask(&["doctor"]).output().expect("cargo starts").status.code() == Some(3) {
        println!("left out: the end-to-end test on an emulated board (see `cargo xtask doctor`)");
        return;
    }
    let board = json(&mut xtask(&flash));
    let board: Vec<&str> = board["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["output_hash"].as_str().unwrap())
        .collect();
    assert_eq!(board, host, "the board's bytes are not this machine's");
}

//! Training on the digits that come with the crate, for seconds.

use std::path::Path;

use sepconv_quantize::dataset::{Dataset, Samples};
use sepconv_train::batch::standardize;
use sepconv_train::evaluate::evaluate;
use sepconv_train::{Network, Settings, TrainError, Trainer, XceptionConfig};
use tch::{Device, Tensor};

fn digits() -> Dataset {
    Dataset::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data"), None).unwrap()
}

fn trainer(samples: &Samples, settings: &Settings) -> Trainer {
    let classes: Vec<String> = (0..10).map(|class| class.to_string()).collect();
    let preprocess = standardize(&samples.images, &classes);
    let config = XceptionConfig::micro(10, samples.images.size());
    Trainer::new(&config, preprocess, settings, Device::Cpu).unwrap()
}

fn weights(network: &Network) -> Vec<(String, Tensor)> {
    let mut weights: Vec<_> = network.store.variables().into_iter().collect();
    weights.sort_by(|a, b| a.0.cmp(&b.0));
    weights
}

#[test]
fn the_shipped_digits_are_balanced_and_the_parts_disjoint() {
    let dataset = digits();
    let parts = [&dataset.train, &dataset.calibration, &dataset.test];
    assert_eq!(parts.map(Samples::len), [3800, 200, 1000]);
    for part in parts {
        for class in 0..10 {
            let count = part.labels.iter().filter(|&&label| label == class).count();
            assert_eq!(count * 10, part.len(), "digit {class}");
        }
    }
    let mut images: Vec<&[u8]> = parts
        .iter()
        .flat_map(|part| (0..part.len()).map(|index| part.images.get(index)))
        .collect();
    images.sort_unstable();
    images.dedup();
    assert_eq!(images.len(), 5000);
}

#[test]
fn seconds_of_training_are_enough_to_read_digits() {
    let dataset = digits();
    let settings = Settings {
        epochs: 3,
        batch: 32,
        ..Settings::default()
    };
    let mut trainer = trainer(&dataset.train, &settings);
    let before = evaluate(trainer.network(), &dataset.test, &mut |_| ()).unwrap();
    let losses: Vec<f64> = (0..3)
        .map(|_| trainer.epoch(&dataset.train, &mut |_, _, _| ()).unwrap())
        .collect();
    let after = evaluate(trainer.network(), &dataset.test, &mut |_| ()).unwrap();
    assert!(trainer.is_finished());
    assert!(losses.is_sorted_by(|a, b| a > b), "{losses:?}");
    assert!(
        before.top1 < 0.4 && after.top1 > 0.9 && after.top5 > after.top1,
        "{before:?} {after:?}"
    );
}

#[test]
fn a_resumed_training_ends_as_one_without_interruption() {
    let samples = digits().train.first(96);
    let settings = Settings {
        epochs: 3,
        batch: 32,
        ..Settings::default()
    };
    let ignore = &mut |_, _, _| ();
    let mut whole = trainer(&samples, &settings);
    for _ in 0..3 {
        whole.epoch(&samples, ignore).unwrap();
    }

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("network.safetensors");
    let mut begun = trainer(&samples, &settings);
    begun.epoch(&samples, ignore).unwrap();
    begun.save(&path).unwrap();
    let (config, preprocess) = (
        begun.network().xception.config().clone(),
        begun.network().preprocess.clone(),
    );
    drop(begun);
    let mut resumed = Trainer::resume(&path, &config, &preprocess, &settings, Device::Cpu).unwrap();
    assert_eq!(resumed.epochs(), 1);
    while !resumed.is_finished() {
        resumed.epoch(&samples, ignore).unwrap();
    }
    assert_eq!(weights(whole.network()), weights(resumed.network()));

    resumed.save(&path).unwrap();
    let loaded = Network::load(&path, Device::Cpu).unwrap();
    assert_eq!(weights(&loaded), weights(resumed.network()));
    let names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["network.safetensors"], "no temporary file is left");

    let other = Settings { seed: 2, ..settings };
    let error = Trainer::resume(&path, &config, &preprocess, &other, Device::Cpu).unwrap_err();
    assert!(matches!(error, TrainError::Resume { .. }), "{error}");
}

#[test]
fn other_files_are_no_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("network.safetensors");
    let samples = digits().train.first(4);
    trainer(&samples, &Settings::default()).save(&path).unwrap();
    let good = std::fs::read(&path).unwrap();
    let truncated = &good[..good.len() / 2];
    let renamed = String::from_utf8_lossy(&good[..4000])
        .find("classifier.bias")
        .unwrap();
    let mut missing = good.clone();
    missing[renamed] = b'k';
    for bytes in [&b""[..], b"text", truncated, &missing] {
        std::fs::write(&path, bytes).unwrap();
        let error = Network::load(&path, Device::Cpu).unwrap_err();
        assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
    }
    std::fs::write(&path, &good).unwrap();
    Network::load(&path, Device::Cpu).unwrap();
}

#[test]
fn labels_and_divergence_are_checked() {
    let mut samples = digits().train.first(8);
    let settings = Settings {
        epochs: 1,
        learning_rate: 1e30,
        batch: 2,
        ..Settings::default()
    };
    let mut diverging = trainer(&samples, &settings);
    let error = diverging.epoch(&samples, &mut |_, _, _| ()).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { .. }), "{error}");
    samples.labels[3] = 10;
    let error = trainer(&samples, &Settings::default())
        .epoch(&samples, &mut |_, _, _| ())
        .unwrap_err();
    assert!(
        matches!(
            error,
            TrainError::Classes {
                network: 10,
                dataset: 11
            }
        ),
        "{error}"
    );
}

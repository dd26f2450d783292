//! The exported network computes what libtorch computes.

use std::path::Path;

use prost::Message;
use sepconv_quantize::dataset::{Dataset, ImageSize, Preprocess};
use sepconv_train::batch::{image_batch, standardize};
use sepconv_train::{Network, Settings, TrainError, Trainer, XceptionConfig, export};
use tch::Device;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

#[test]
fn tract_agrees_on_a_batch_of_digits_after_training() {
    let dataset = Dataset::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data"), None).unwrap();
    let samples = dataset.train.first(256);
    let config = XceptionConfig::micro(10, samples.images.size());
    let settings = Settings {
        epochs: 1,
        ..Settings::default()
    };
    let preprocess = standardize(&samples.images, &dataset.classes);
    let mut trainer = Trainer::new(&config, preprocess.clone(), &settings, Device::Cpu).unwrap();
    trainer.epoch(&samples, &mut |_, _, _| ()).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("network.onnx");
    let difference = export::export(trainer.network(), &path).unwrap();
    assert!(difference <= 1e-4, "{difference:e}");

    let indices: Vec<usize> = (0..32).collect();
    let images = image_batch(&dataset.test.images, &indices, &preprocess, Device::Cpu);
    let expected = tch::no_grad(|| trainer.network().xception.forward(&images, false));
    let values = |tensor: &tch::Tensor| Vec::<f32>::try_from(&tensor.view(-1)).unwrap();
    let model = tract_onnx::onnx()
        .model_for_path(&path)
        .and_then(|model| model.with_input_fact(0, f32::fact([32, 1, 28, 28]).into()))
        .and_then(|model| model.into_optimized()?.into_runnable())
        .unwrap();
    let input = Tensor::from_shape(&[32, 1, 28, 28], &values(&images)).unwrap();
    let outputs = model.run(tvec!(input.into())).unwrap();
    let found = outputs[0].to_plain_array_view::<f32>().unwrap();
    assert_eq!(found.shape(), [32, 10]);
    for (a, b) in found.iter().zip(values(&expected)) {
        assert!((a - b).abs() <= 1e-4, "{a} {b}");
    }

    let proto = ModelProto::decode(&*std::fs::read(&path).unwrap()).unwrap();
    let metadata = proto
        .metadata_props
        .iter()
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect();
    assert_eq!(Preprocess::from_metadata(&metadata).unwrap(), Some(preprocess));
    let graph = proto.graph.unwrap();
    let count = |operator| graph.node.iter().filter(|node| node.op_type == operator).count();
    // 7 modules: 2 convolutions, 13 separable convolutions, 4 projections.
    assert_eq!(
        (count("Conv"), count("BatchNormalization")),
        (2 + 2 * 13 + 4, 2 + 13 + 4)
    );
    assert_eq!((count("MaxPool"), count("Add"), count("Relu")), (4, 5, 14));
}

#[test]
fn tract_agrees_for_every_stride_and_parity() {
    for (height, width, channels, stem_stride) in [(29, 32, 3, 1), (37, 42, 1, 2), (7, 7, 3, 2)] {
        let size = ImageSize {
            height,
            width,
            channels,
        };
        let config = XceptionConfig {
            stem_stride,
            middle_repeats: 2,
            ..XceptionConfig::micro(3, size)
        };
        let preprocess = Preprocess {
            height,
            width,
            channels,
            mean: vec![127.5; channels as usize],
            std: vec![50.0; channels as usize],
            classes: vec![],
        };
        let network = Network::new(&config, preprocess, 3, Device::Cpu).unwrap();
        let difference = export::check(&network, &export::to_onnx(&network)).unwrap();
        assert!(difference <= 1e-4, "{height}x{width}: {difference:e}");
    }
}

#[test]
fn a_wrong_export_is_noticed() {
    let size = ImageSize {
        height: 28,
        width: 28,
        channels: 1,
    };
    let config = XceptionConfig::micro(10, size);
    let preprocess = Preprocess {
        height: 28,
        width: 28,
        channels: 1,
        mean: vec![127.5],
        std: vec![50.0],
        classes: vec![],
    };
    let one = Network::new(&config, preprocess.clone(), 1, Device::Cpu).unwrap();
    let other = Network::new(&config, preprocess, 2, Device::Cpu).unwrap();
    let error = export::check(&one, &export::to_onnx(&other)).unwrap_err();
    assert!(matches!(error, TrainError::Disagreement { .. }), "{error}");
    assert!(matches!(
        export::check(&one, b"not a network"),
        Err(TrainError::Tract(_))
    ));
}

//! The full configuration is the paper's network, in libtorch too.

use sepconv_quantize::dataset::ImageSize;
use sepconv_train::model::trainable_parameters;
use sepconv_train::{Xception, XceptionConfig, architecture};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

fn parameters(config: &XceptionConfig) -> usize {
    let store = VarStore::new(Device::Cpu);
    Xception::new(&store.root(), config);
    trainable_parameters(&store)
}

#[test]
fn the_full_configuration_has_the_papers_parameters_and_shapes() {
    let config = XceptionConfig::full(1000);
    let store = VarStore::new(Device::Cpu);
    let network = Xception::new(&store.root(), &config);
    assert_eq!(trainable_parameters(&store), 22_855_952);
    let all: usize = store.variables().values().map(Tensor::numel).sum();
    assert_eq!(all - trainable_parameters(&store), 54_528, "running statistics");

    let image = Tensor::zeros([1, 3, 299, 299], (Kind::Float, Device::Cpu));
    let outputs = tch::no_grad(|| network.module_outputs(&image));
    let shapes: Vec<Vec<i64>> = outputs.iter().map(Tensor::size).collect();
    let expected: Vec<Vec<i64>> = architecture::modules(&config)
        .iter()
        .map(|module| module.output)
        .map(|output| {
            vec![
                1,
                output.channels.into(),
                output.height.into(),
                output.width.into(),
            ]
        })
        .collect();
    assert_eq!(shapes, expected);
    assert_eq!(tch::no_grad(|| network.forward(&image, false)).size(), [1, 1000]);
}

#[test]
fn micro_configurations_stay_below_60000_parameters() {
    for (side, channels) in [(28, 1), (32, 3)] {
        let config = XceptionConfig::micro(
            10,
            ImageSize {
                height: side,
                width: side,
                channels,
            },
        );
        let count = parameters(&config);
        assert!(
            (20_000..=60_000).contains(&count),
            "{side}x{side}x{channels}: {count}"
        );
    }
}

#[test]
fn every_stride_and_parity_gives_the_predicted_shapes() {
    for (height, width, stem_stride) in [(28, 33, 1), (31, 40, 2), (5, 6, 1), (7, 7, 2)] {
        let size = ImageSize {
            height,
            width,
            channels: 3,
        };
        let config = XceptionConfig {
            stem_stride,
            ..XceptionConfig::micro(4, size)
        };
        config.check().unwrap();
        let store = VarStore::new(Device::Cpu);
        let network = Xception::new(&store.root(), &config);
        let image = Tensor::zeros([2, 3, height.into(), width.into()], (Kind::Float, Device::Cpu));
        let outputs = tch::no_grad(|| network.module_outputs(&image));
        for (module, output) in architecture::modules(&config).iter().zip(outputs) {
            let shape = module.output;
            assert_eq!(
                output.size(),
                [2, shape.channels.into(), shape.height.into(), shape.width.into()]
            );
        }
    }
}

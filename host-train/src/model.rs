//! The network in libtorch.

use tch::nn::{self, BatchNormConfig, ConvConfig, Module as _, ModuleT as _, Path};
use tch::{Kind, Tensor};

use crate::XceptionConfig;
use crate::architecture::{self, Layer, Module, Shortcut};

/// Added to the variance in batch normalization; the value of the published Xception.
pub const NORM_EPSILON: f64 = 1e-3;

/// An Xception network. Tensors are NCHW, `f32`.
///
/// Parameters are named after their place: `module2.separable1.depthwise.weight`, `module2.separable1.norm.bias`,
/// `module2.shortcut.convolution.weight`, `classifier.weight`.
#[derive(Debug)]
pub struct Xception {
    config: XceptionConfig,
    modules: Vec<BuiltModule>,
    classifier: nn::Linear,
}

#[derive(Debug)]
struct BuiltModule {
    layers: Vec<BuiltLayer>,
    shortcut: BuiltShortcut,
}

#[derive(Debug)]
enum BuiltLayer {
    Convolution {
        convolution: nn::Conv2D,
        norm: nn::BatchNorm,
    },
    Separable {
        depthwise: nn::Conv2D,
        pointwise: nn::Conv2D,
        norm: nn::BatchNorm,
    },
    Relu,
    MaxPool,
}

#[derive(Debug)]
// One for each module, built once: its size does not matter.
#[allow(clippy::large_enum_variant)]
enum BuiltShortcut {
    None,
    Identity,
    Projection {
        convolution: nn::Conv2D,
        norm: nn::BatchNorm,
    },
}

impl Xception {
    /// Builds the network with random weights, its parameters under `path`.
    ///
    /// The configuration must have passed [`XceptionConfig::check`].
    pub fn new(path: &Path<'_>, config: &XceptionConfig) -> Xception {
        let list = architecture::modules(config);
        let features = i64::from(list.last().expect("there are always modules").output.channels);
        let modules = list
            .iter()
            .enumerate()
            .map(|(index, module)| BuiltModule::new(&(path / module_name(index)), module))
            .collect();
        let classifier = nn::linear(
            path / "classifier",
            features,
            i64::from(config.classes),
            Default::default(),
        );
        Xception {
            config: config.clone(),
            modules,
            classifier,
        }
    }

    /// The configuration that the network was built from.
    pub fn config(&self) -> &XceptionConfig {
        &self.config
    }

    /// Computes logits, [batch, classes], from normalized images, [batch, channels, height, width].
    ///
    /// With `train`, batch normalization uses the batch's statistics and updates its running ones.
    pub fn forward(&self, images: &Tensor, train: bool) -> Tensor {
        let features = self
            .modules
            .iter()
            .fold(images.shallow_clone(), |x, module| module.forward(&x, train));
        self.classify(&features)
    }

    /// The output of every module, NCHW, in inference.
    pub fn module_outputs(&self, images: &Tensor) -> Vec<Tensor> {
        let mut outputs: Vec<Tensor> = Vec::with_capacity(self.modules.len());
        for module in &self.modules {
            let output = module.forward(outputs.last().unwrap_or(images), false);
            outputs.push(output);
        }
        outputs
    }

    /// Global average pooling and the classifier.
    fn classify(&self, features: &Tensor) -> Tensor {
        self.classifier
            .forward(&features.mean_dim([2i64, 3].as_slice(), false, Kind::Float))
    }
}

impl BuiltModule {
    fn new(path: &Path<'_>, module: &Module) -> BuiltModule {
        let mut channels = i64::from(module.input.channels);
        let mut layers = Vec::new();
        for (name, layer) in layer_names(&module.layers).into_iter().zip(&module.layers) {
            let (built, output) = build_layer(&(path / name), *layer, channels);
            layers.push(built);
            channels = output;
        }
        let shortcut = match module.shortcut {
            Shortcut::None => BuiltShortcut::None,
            Shortcut::Identity => BuiltShortcut::Identity,
            Shortcut::Projection => {
                let path = path / "shortcut";
                let config = ConvConfig {
                    stride: 2,
                    bias: false,
                    ..Default::default()
                };
                BuiltShortcut::Projection {
                    convolution: nn::conv2d(
                        &path / "convolution",
                        i64::from(module.input.channels),
                        channels,
                        1,
                        config,
                    ),
                    norm: norm(&path, channels),
                }
            }
        };
        BuiltModule { layers, shortcut }
    }

    fn forward(&self, input: &Tensor, train: bool) -> Tensor {
        let output = self
            .layers
            .iter()
            .fold(input.shallow_clone(), |x, layer| layer.forward(&x, train));
        match &self.shortcut {
            BuiltShortcut::None => output,
            BuiltShortcut::Identity => output + input,
            BuiltShortcut::Projection { convolution, norm } => {
                output + norm.forward_t(&convolution.forward(input), train)
            }
        }
    }
}

/// Builds a layer with `inputs` input channels; also returns its output channels.
fn build_layer(path: &Path<'_>, layer: Layer, inputs: i64) -> (BuiltLayer, i64) {
    match layer {
        Layer::Convolution { filters, stride } => {
            let filters = i64::from(filters);
            let config = ConvConfig {
                stride: i64::from(stride),
                bias: false,
                ..Default::default()
            };
            let convolution = nn::conv2d(path / "convolution", inputs, filters, 3, config);
            (
                BuiltLayer::Convolution {
                    convolution,
                    norm: norm(path, filters),
                },
                filters,
            )
        }
        Layer::Separable { filters } => {
            let filters = i64::from(filters);
            let config = ConvConfig {
                padding: 1,
                groups: inputs,
                bias: false,
                ..Default::default()
            };
            let depthwise = nn::conv2d(path / "depthwise", inputs, inputs, 3, config);
            let config = ConvConfig {
                bias: false,
                ..Default::default()
            };
            let pointwise = nn::conv2d(path / "pointwise", inputs, filters, 1, config);
            (
                BuiltLayer::Separable {
                    depthwise,
                    pointwise,
                    norm: norm(path, filters),
                },
                filters,
            )
        }
        Layer::Relu => (BuiltLayer::Relu, inputs),
        Layer::MaxPool => (BuiltLayer::MaxPool, inputs),
    }
}

impl BuiltLayer {
    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        match self {
            BuiltLayer::Convolution { convolution, norm } => norm.forward_t(&convolution.forward(x), train),
            BuiltLayer::Separable {
                depthwise,
                pointwise,
                norm,
            } => norm.forward_t(&pointwise.forward(&depthwise.forward(x)), train),
            BuiltLayer::Relu => x.relu(),
            BuiltLayer::MaxPool => max_pool(x),
        }
    }
}

/// 3×3 max pooling with stride 2 and Keras's "same" padding: (1, 1) for an odd size, (0, 1) for an even one. The
/// latter is what rounding the output size up does.
fn max_pool(x: &Tensor) -> Tensor {
    let (_, _, height, width) = x.size4().expect("feature maps have four dimensions");
    x.max_pool2d([3, 3], [2, 2], [height % 2, width % 2], [1, 1], true)
}

fn norm(path: &Path<'_>, channels: i64) -> nn::BatchNorm {
    let config = BatchNormConfig {
        eps: NORM_EPSILON,
        ws_init: nn::Init::Const(1.0),
        ..Default::default()
    };
    nn::batch_norm2d(path / "norm", channels, config)
}

/// The name of a module, counted from 1 as in the paper.
pub(crate) fn module_name(index: usize) -> String {
    format!("module{}", index + 1)
}

/// A name for each layer, unique in its module: `separable1`, `relu1`, `separable2`...
pub(crate) fn layer_names(layers: &[Layer]) -> Vec<String> {
    let kind = |layer: &Layer| match layer {
        Layer::Convolution { .. } => "convolution",
        Layer::Separable { .. } => "separable",
        Layer::Relu => "relu",
        Layer::MaxPool => "pool",
    };
    let number = |index: usize| {
        layers[..=index]
            .iter()
            .filter(|other| kind(other) == kind(&layers[index]))
            .count()
    };
    layers
        .iter()
        .enumerate()
        .map(|(index, layer)| format!("{}{}", kind(layer), number(index)))
        .collect()
}

/// The number of trainable parameters in a store.
pub fn trainable_parameters(store: &nn::VarStore) -> usize {
    store.trainable_variables().iter().map(Tensor::numel).sum()
}

//! The layers of a configuration, as data: the network is built, exported and counted from this one list.

use crate::XceptionConfig;

/// The shape of a feature map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Channels.
    pub channels: u32,
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

/// One layer of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// 3×3 convolution without padding or bias, then batch normalization.
    Convolution {
        /// Output channels.
        filters: u32,
        /// Rows and columns from one window to the next.
        stride: u32,
    },
    /// 3×3 depthwise convolution that keeps the size, then pointwise convolution, then batch normalization; neither
    /// has a bias, and there is no activation between them.
    Separable {
        /// Output channels.
        filters: u32,
    },
    /// max(x, 0).
    Relu,
    /// 3×3 maximum with stride 2 and "same" padding, as in Keras: half the size, rounded up, and where the padding
    /// is odd, more of it after than before.
    MaxPool,
}

/// What is added to a module's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortcut {
    /// Nothing.
    None,
    /// The module's input.
    Identity,
    /// The module's input after a 1×1 convolution with stride 2, without bias, and batch normalization.
    Projection,
}

/// A module of the paper's Figure 5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Shape of the input.
    pub input: Feature,
    /// Shape of the output.
    pub output: Feature,
    /// The layers, in order.
    pub layers: Vec<Layer>,
    /// The linear residual connection around them.
    pub shortcut: Shortcut,
}

impl Module {
    fn new(input: Feature, layers: Vec<Layer>, shortcut: Shortcut) -> Module {
        let output = layers.iter().fold(input, |shape, layer| layer.output(shape));
        Module {
            input,
            output,
            layers,
            shortcut,
        }
    }
}

impl Layer {
    /// The shape of the layer's output.
    pub fn output(self, input: Feature) -> Feature {
        match self {
            Layer::Convolution { filters, stride } => Feature {
                channels: filters,
                height: (input.height - 3) / stride + 1,
                width: (input.width - 3) / stride + 1,
            },
            Layer::Separable { filters } => Feature {
                channels: filters,
                ..input
            },
            Layer::Relu => input,
            Layer::MaxPool => Feature {
                height: input.height.div_ceil(2),
                width: input.width.div_ceil(2),
                ..input
            },
        }
    }
}

/// The modules of a configuration, in order. Global average pooling and the classifier follow them.
///
/// The configuration must have passed [`XceptionConfig::check`].
pub fn modules(config: &XceptionConfig) -> Vec<Module> {
    use Layer::{Convolution, MaxPool, Relu, Separable};

    let input = Feature {
        channels: config.channels,
        height: config.height,
        width: config.width,
    };
    let filters = |paper| config.scaled(paper);
    let separable = |paper| Separable {
        filters: filters(paper),
    };

    let stem = vec![
        Convolution {
            filters: filters(32),
            stride: config.stem_stride,
        },
        Relu,
        Convolution {
            filters: filters(64),
            stride: 1,
        },
        Relu,
    ];
    let mut list = vec![(stem, Shortcut::None)];
    list.push((
        vec![separable(128), Relu, separable(128), MaxPool],
        Shortcut::Projection,
    ));
    for (first, second) in [(256, 256), (728, 728)] {
        list.push((
            vec![Relu, separable(first), Relu, separable(second), MaxPool],
            Shortcut::Projection,
        ));
    }
    for _ in 0..config.middle_repeats {
        list.push(([Relu, separable(728)].repeat(3), Shortcut::Identity));
    }
    list.push((
        vec![Relu, separable(728), Relu, separable(1024), MaxPool],
        Shortcut::Projection,
    ));
    list.push((vec![separable(1536), Relu, separable(2048), Relu], Shortcut::None));

    let mut shape = input;
    list.into_iter()
        .map(|(layers, shortcut)| {
            let module = Module::new(shape, layers, shortcut);
            shape = module.output;
            module
        })
        .collect()
}

/// The number of convolution layers as the paper counts them: convolutions and separable convolutions, without the
/// 1×1 convolutions of the residual connections.
pub fn convolution_layers(modules: &[Module]) -> usize {
    let layers = modules.iter().flat_map(|module| &module.layers);
    layers
        .filter(|layer| matches!(layer, Layer::Convolution { .. } | Layer::Separable { .. }))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_configuration_is_figure_5() {
        let modules = modules(&XceptionConfig::full(1000));
        assert_eq!(modules.len(), 14);
        assert_eq!(convolution_layers(&modules), 36);

        let mut expected = vec![(147, 64), (74, 128), (37, 256), (19, 728)];
        expected.extend([(19, 728); 8]);
        expected.extend([(10, 1024), (10, 2048)]);
        let outputs: Vec<_> = modules.iter().map(|module| module.output).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|&(side, channels)| Feature {
                channels,
                height: side,
                width: side,
            })
            .collect();
        assert_eq!(outputs, expected);

        let shortcuts: Vec<_> = modules.iter().map(|module| module.shortcut).collect();
        assert_eq!((shortcuts[0], shortcuts[13]), (Shortcut::None, Shortcut::None));
        assert!(
            shortcuts[4..12]
                .iter()
                .all(|&shortcut| shortcut == Shortcut::Identity)
        );
        assert!(
            [1, 2, 3, 12]
                .iter()
                .all(|&index| shortcuts[index] == Shortcut::Projection)
        );
    }

    #[test]
    fn shapes_shrink_to_a_pixel_and_no_further() {
        let smallest = XceptionConfig {
            height: 5,
            width: 6,
            stem_stride: 1,
            ..XceptionConfig::full(2)
        };
        smallest.check().unwrap();
        let last = modules(&smallest).pop().unwrap().output;
        assert_eq!((last.height, last.width), (1, 1));
    }
}

//! Plans of networks shaped like those that users bring: every schedule gives the same bytes, and the arena is small.

use super::{Options, Plan, plan};
use crate::network::{Linear, Network, Node, Operation, Tensor, TensorId};
use crate::write;
use sepconv::fixed_point::Multiplier;
use sepconv::layout::Target;
use sepconv::operator::Window;
use sepconv::{AlignedVec, Element, Model, Shape};

/// Builds networks with pseudo-random weights.
struct Builder {
    network: Network,
    state: u32,
}

impl Builder {
    fn new(height: u32, width: u32, channels: u32) -> Self {
        let mut builder = Self {
            network: Network::default(),
            state: 12345,
        };
        builder.tensor(Shape::new(height, width, channels));
        builder
    }

    fn random(&mut self) -> i8 {
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.state >> 24) as i8
    }

    fn tensor(&mut self, shape: Shape) -> TensorId {
        let zero_point = self.random() as i32 / 8;
        let name = format!("tensor {}", self.network.tensors.len());
        self.network.add_tensor(Tensor {
            name,
            shape,
            element: Element::Int8,
            scale: 0.05,
            zero_point,
        })
    }

    fn node(&mut self, inputs: &[TensorId], shape: Shape, operation: Operation) -> TensorId {
        let output = self.tensor(shape);
        let (name, inputs) = (format!("node {output}"), inputs.to_vec());
        self.network.nodes.push(Node {
            name,
            inputs,
            output,
            activation: (-128, 127),
            operation,
        });
        output
    }

    fn linear(&mut self, window: Window, weights_per_channel: usize, channels: u32) -> Linear {
        let weights = (0..weights_per_channel * channels as usize)
            .map(|_| self.random().max(-127))
            .collect();
        let bias = (0..channels).map(|_| self.random() as i64 * 16).collect();
        let multiplier = Multiplier::from_real(0.02 / (weights_per_channel as f64).sqrt()).unwrap();
        Linear {
            window,
            weights,
            weight_bits: 8,
            bias,
            multipliers: vec![multiplier; channels as usize],
        }
    }

    fn shape(&self, tensor: TensorId) -> Shape {
        self.network.tensors[tensor].shape
    }

    /// A 3 × 3 window with SAME padding, and the output's shape.
    fn same(&self, input: TensorId, stride: u32, channels: u32) -> (Window, Shape) {
        let shape = self.shape(input);
        let pad = |size: u32| (((size.div_ceil(stride) - 1) * stride + 3).saturating_sub(size) / 2) as usize;
        let window = Window {
            kernel_height: 3,
            kernel_width: 3,
            stride_height: stride as usize,
            stride_width: stride as usize,
            pad_top: pad(shape.height),
            pad_left: pad(shape.width),
            ..Window::UNIT
        };
        (
            window,
            Shape::new(
                shape.height.div_ceil(stride),
                shape.width.div_ceil(stride),
                channels,
            ),
        )
    }

    fn convolution(&mut self, input: TensorId, stride: u32, channels: u32) -> TensorId {
        let (window, shape) = self.same(input, stride, channels);
        let linear = self.linear(window, 9 * self.shape(input).channels as usize, channels);
        self.node(&[input], shape, Operation::Convolution(linear))
    }

    fn pointwise(&mut self, input: TensorId, channels: u32) -> TensorId {
        let shape = Shape {
            channels,
            ..self.shape(input)
        };
        let linear = self.linear(Window::UNIT, self.shape(input).channels as usize, channels);
        self.node(&[input], shape, Operation::Pointwise(linear))
    }

    fn separable(&mut self, input: TensorId, stride: u32, channels: u32) -> TensorId {
        let (window, shape) = self.same(input, stride, self.shape(input).channels);
        let linear = self.linear(window, 9, shape.channels);
        let depthwise = self.node(&[input], shape, Operation::Depthwise(linear));
        self.pointwise(depthwise, channels)
    }

    fn max_pool(&mut self, input: TensorId) -> TensorId {
        let (window, shape) = self.same(input, 2, self.shape(input).channels);
        self.node(&[input], shape, Operation::MaxPool(window))
    }

    fn add(&mut self, a: TensorId, b: TensorId) -> TensorId {
        let shape = self.shape(a);
        let half = Multiplier::from_real(0.5).unwrap();
        let output = Multiplier::from_real(1.5 / f64::from(1 << 20)).unwrap();
        self.node(
            &[a, b],
            shape,
            Operation::Add {
                a: half,
                b: half,
                output,
                left_shift: 20,
                constant: None,
            },
        )
    }

    fn classifier(mut self, input: TensorId, classes: u32) -> Network {
        let shape = self.shape(input);
        let mean = Multiplier::from_real(1.0 / shape.pixels() as f64).unwrap();
        let mean = self.node(&[input], Shape::vector(shape.channels), Operation::Mean(mean));
        let linear = self.linear(Window::UNIT, shape.channels as usize, classes);
        self.network.output = self.node(&[mean], Shape::vector(classes), Operation::FullyConnected(linear));
        self.network
    }
}

/// MobileNetV1 0.25 on 96 × 96, as in MLPerf Tiny's visual wake words.
fn mobilenet() -> Network {
    let mut builder = Builder::new(96, 96, 3);
    let mut last = builder.convolution(0, 2, 8);
    let blocks = [
        (1, 16),
        (2, 32),
        (1, 32),
        (2, 64),
        (1, 64),
        (2, 128),
        (1, 128),
        (1, 128),
        (2, 256),
        (1, 256),
    ];
    for (stride, channels) in blocks {
        last = builder.separable(last, stride, channels);
    }
    builder.classifier(last, 2)
}

/// ResNet-8 on 32 × 32, as in MLPerf Tiny's image classification.
fn resnet() -> Network {
    let mut builder = Builder::new(32, 32, 3);
    let mut last = builder.convolution(0, 1, 16);
    for (stride, channels) in [(1, 16), (2, 32), (2, 64)] {
        let inner = builder.convolution(last, stride, channels);
        let inner = builder.convolution(inner, 1, channels);
        let skip = if stride == 1 {
            last
        } else {
            builder.convolution(last, stride, channels)
        };
        last = builder.add(skip, inner);
    }
    builder.classifier(last, 10)
}

/// A small Xception: entry, middle and exit flow.
fn xception() -> Network {
    let mut builder = Builder::new(29, 31, 1);
    let mut last = builder.convolution(0, 1, 8);
    for channels in [16, 24] {
        let skip = builder.convolution(last, 2, channels);
        let inner = builder.separable(last, 1, channels);
        let inner = builder.separable(inner, 1, channels);
        let inner = builder.max_pool(inner);
        last = builder.add(skip, inner);
    }
    let inner = builder.separable(last, 1, 24);
    let inner = builder.separable(inner, 1, 24);
    last = builder.add(last, inner);
    last = builder.separable(last, 1, 32);
    builder.classifier(last, 10)
}

fn output(network: &Network, plan: &Plan) -> Vec<i8> {
    let bytes = write::to_bytes(network, plan, Target::Plain).expect("the plan is sound");
    let model = Model::new(&bytes).expect("the file is sound");
    assert_eq!(model.arena_len(), plan.activations);
    let input: Vec<i8> = (0..model.input().bytes())
        .map(|i| (i * 37 % 251) as u8 as i8)
        .collect();
    // What the arena held before must not matter.
    let mut arena = AlignedVec::copy_of(&vec![0x55; model.arena_len()]);
    let mut output = vec![0; model.output().bytes()];
    model.run(&input, &mut arena, &mut output).unwrap();
    output
}

#[test]
fn every_schedule_gives_the_same_bytes() {
    for network in [mobilenet(), resnet(), xception()] {
        let expected = output(&network, &plan(&network, &Options::WHOLE));
        assert!(
            expected.iter().any(|value| *value != expected[0]),
            "the outputs differ from each other"
        );
        let streamed = plan(&network, &Options::SMALLEST);
        let pushed = plan(
            &network,
            &Options {
                push_input: true,
                ..Options::SMALLEST
            },
        );
        let fused = plan(
            &network,
            &Options {
                fuse_bytes: 4096,
                ..Options::WHOLE
            },
        );
        for plan in [&streamed, &pushed, &fused] {
            assert_eq!(output(&network, plan), expected);
            assert!(plan.lower_bound <= plan.activations);
        }
        assert!(streamed.activations < streamed.whole);
    }
}

#[test]
fn arenas_are_within_their_bars() {
    let kib = |network: &Network, options: &Options| plan(network, options).activations as f64 / 1024.0;
    assert!(kib(&mobilenet(), &Options::SMALLEST) <= 40.0);
    assert!(
        kib(
            &mobilenet(),
            &Options {
                push_input: true,
                ..Options::SMALLEST
            }
        ) <= 24.0
    );
    assert!(kib(&resnet(), &Options::SMALLEST) <= 24.0);
}

//! Quantized networks compute what the float graph computes, within their steps.

use super::convert;
use crate::calibrate::{Method, Range, Statistics};
use crate::convert::Precision;
use crate::float;
use crate::graph::{
    Activation, Clamp, Convolution, Depthwise, FullyConnected, Graph, Operator, Padding, Shape, TensorId,
    Weights, Window,
};
use crate::network::{Metadata, Network};
use crate::plan::{Options, plan};
use crate::write::to_bytes;
use sepconv::layout::Target;
use sepconv::{AlignedVec, Model};

/// Pseudo-random numbers in [-1, 1).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn weights(&mut self, count: usize, channels: usize) -> Weights {
        let spread = (3.0 * channels as f32 / count as f32).sqrt();
        let values = (0..count).map(|_| self.next() * spread).collect();
        Weights::new(values, (0..channels).map(|_| self.next() * 0.3).collect())
    }
}

fn convolution(random: &mut Random, window: Window, from: usize, to: usize) -> Operator {
    let weights = random.weights(window.taps() * from * to, to);
    Operator::Convolution(Convolution {
        window,
        in_channels: from,
        out_channels: to,
        weights,
    })
}

fn depthwise(random: &mut Random, channels: usize) -> Operator {
    let window = Window::new(3, 3).padding(Padding::same(1));
    let weights = random.weights(9 * channels, channels);
    Operator::Depthwise(Depthwise {
        window,
        channels,
        multiplier: 1,
        weights,
    })
}

/// A residual network with most of the operators that graphs have.
fn graph(random: &mut Random) -> Graph {
    let mut graph = Graph::new("test", "image", Shape::new(12, 12, 3));
    let mut push = |operator: Operator, inputs: &[TensorId], clamp: Clamp| {
        let name = format!("{}-{}", operator.name(), graph.nodes.len());
        let output = graph
            .push(name.clone(), operator, inputs, name)
            .expect("the shapes fit");
        graph.nodes.last_mut().expect("just pushed").clamp = clamp;
        graph.output = output;
        output
    };
    let stem = push(
        convolution(random, Window::new(3, 3).padding(Padding::same(1)), 3, 16),
        &[TensorId(0)],
        Clamp::RELU,
    );
    let spread = push(depthwise(random, 16), &[stem], Clamp::NONE);
    let mixed = push(
        convolution(random, Window::new(1, 1), 16, 16),
        &[spread],
        Clamp::NONE,
    );
    let sum = push(Operator::Add, &[stem, mixed], Clamp::NONE);
    let rectified = push(Operator::Clamp, &[sum], Clamp::RELU6);
    let pooled = push(
        Operator::MaxPool(Window::new(3, 3).stride(2).padding(Padding::same(1))),
        &[rectified],
        Clamp::NONE,
    );
    let average = Operator::AveragePool {
        window: Window::new(2, 2).padding(Padding::same(1)),
        count_padding: true,
    };
    let averaged = push(average, &[pooled], Clamp::NONE);
    let curved = push(Operator::Activation(Activation::Silu), &[averaged], Clamp::NONE);
    let gate = push(Operator::GlobalAveragePool, &[curved], Clamp::NONE);
    let gate = push(Operator::Activation(Activation::Sigmoid), &[gate], Clamp::NONE);
    let gated = push(Operator::Multiply, &[curved, gate], Clamp::NONE);
    let joined = push(Operator::Concat, &[gated, curved], Clamp::NONE);
    let mean = push(Operator::GlobalAveragePool, &[joined], Clamp::NONE);
    let weights = random.weights(32 * 10, 10);
    push(
        Operator::FullyConnected(FullyConnected {
            inputs: 32,
            outputs: 10,
            weights,
        }),
        &[mean],
        Clamp::NONE,
    );
    graph
}

fn run_quantized(network: &Network, input: &[f32]) -> Vec<f32> {
    let bytes = to_bytes(network, &plan(network, &Options::SMALLEST), Target::Plain).unwrap();
    let model = Model::new(&bytes).unwrap();
    let (from, to) = (model.input(), model.output());
    let quantized: Vec<i8> = input
        .iter()
        .map(|value| ((value / from.scale).round() as i32 + from.zero_point).clamp(-128, 127) as i8)
        .collect();
    let mut arena = AlignedVec::zeroed(model.arena_len());
    let mut output = vec![0i8; to.bytes()];
    model.run(&quantized, &mut arena, &mut output).unwrap();
    output
        .iter()
        .map(|value| (*value as i32 - to.zero_point) as f32 * to.scale)
        .collect()
}

#[test]
fn int8_is_near_float() {
    let mut random = Random(7);
    let graph = graph(&mut random);
    let mut image = || (0..12 * 12 * 3).map(|_| random.next()).collect::<Vec<f32>>();
    let mut statistics = Statistics::new(&graph);
    for _ in 0..8 {
        statistics.add(&graph, &image()).unwrap();
    }
    for method in [Method::MinMax, Method::Percentile(1e-4), Method::Mse] {
        let network = convert(
            &graph,
            &statistics.ranges(method),
            &Precision::narrow(),
            Metadata::default(),
        )
        .unwrap();
        let (mut signal, mut noise) = (0.0, 0.0);
        for _ in 0..8 {
            let image = image();
            let expected = float::run(&graph, &image).unwrap();
            for (expected, found) in expected.iter().zip(run_quantized(&network, &image)) {
                signal += expected * expected;
                noise += (expected - found).powi(2);
            }
        }
        let decibels = 10.0 * (signal / noise).log10();
        assert!(decibels > 25.0, "{method:?}: {decibels} dB");
    }
}

/// Finer steps than those of a layer's sums would need a shift to the left, which could overflow.
#[test]
fn a_wide_layer_reads_8_bits_unless_its_steps_are_finer_than_its_sums() {
    let mut random = Random(5);
    let mut graph = Graph::new("test", "image", Shape::new(1, 1, 6));
    let weights = random.weights(6 * 4, 4);
    let layer = Operator::FullyConnected(FullyConnected {
        inputs: 6,
        outputs: 4,
        weights,
    });
    graph.output = graph.push("layer", layer, &[TensorId(0)], "logits").unwrap();
    let precision = Precision {
        wide: [graph.output].into(),
    };
    let image: Vec<f32> = (0..6).map(|_| random.next()).collect();
    let expected = float::run(&graph, &image).unwrap();
    for (reach, nodes) in [(8.0, 1), (1e-3, 2)] {
        let (symmetric, reach) = (
            Range { min: -1.0, max: 1.0 },
            Range {
                min: -reach,
                max: reach,
            },
        );
        let network = convert(&graph, &[symmetric, reach], &precision, Metadata::default()).unwrap();
        assert_eq!(network.nodes.len(), nodes, "{reach:?}");
        let bytes = to_bytes(&network, &plan(&network, &Options::SMALLEST), Target::Plain).unwrap();
        let found = crate::recipe::infer(&Model::new(&bytes).unwrap(), &image);
        for (expected, found) in expected.iter().zip(&found) {
            let expected = expected.clamp(reach.min, reach.max);
            assert!(
                (expected - found).abs() < 0.03,
                "{reach:?}: {found}, not {expected}"
            );
        }
    }
}

#[test]
fn a_lone_clamp_has_steps_for_its_own_range() {
    let graph = graph(&mut Random(7));
    let mut statistics = Statistics::new(&graph);
    statistics.add(&graph, &[0.5; 12 * 12 * 3]).unwrap();
    let network = convert(
        &graph,
        &statistics.ranges(Method::MinMax),
        &Precision::narrow(),
        Metadata::default(),
    )
    .unwrap();
    let clamp = network
        .nodes
        .iter()
        .find(|node| node.name.starts_with("clamp"))
        .unwrap();
    let (from, to) = (&network.tensors[clamp.inputs[0]], &network.tensors[clamp.output]);
    // Its input takes both signs, its output only one.
    assert!(to.scale < 0.7 * from.scale, "{} of {}", to.scale, from.scale);
    assert_eq!((to.zero_point, clamp.activation.0), (-128, -128));
}

/// What the quantized form of a graph on 4 × 4 × 6 inputs differs by from the float graph, in steps of its output at most.
fn steps_apart(graph: &Graph) -> f32 {
    let mut random = Random(3);
    let images: Vec<Vec<f32>> = (0..4).map(|_| (0..96).map(|_| random.next()).collect()).collect();
    let mut statistics = Statistics::new(graph);
    for image in &images {
        statistics.add(graph, image).unwrap();
    }
    let network = convert(
        graph,
        &statistics.ranges(Method::MinMax),
        &Precision::narrow(),
        Metadata::default(),
    )
    .unwrap();
    let step = network.tensors[network.output].scale;
    let differences = images.iter().flat_map(|image| {
        let expected = float::run(graph, image).unwrap();
        let found = run_quantized(&network, image);
        assert_eq!(expected.len(), found.len());
        expected.into_iter().zip(found).map(|(a, b)| (a - b).abs())
    });
    differences.fold(0.0, f32::max) / step
}

/// Squeeze and excitation, as exporters write it: the weights of channels may come first.
#[test]
fn either_operand_of_a_product_is_broadcast() {
    for swapped in [false, true] {
        let mut graph = Graph::new("test", "image", Shape::new(4, 4, 6));
        let image = graph.input;
        let pooled = graph
            .push("pool", Operator::GlobalAveragePool, &[image], "pool")
            .unwrap();
        let sigmoid = Operator::Activation(Activation::Sigmoid);
        let gate = graph.push("gate", sigmoid, &[pooled], "gate").unwrap();
        let operands = if swapped { [gate, image] } else { [image, gate] };
        graph.output = graph
            .push("scaled", Operator::Multiply, &operands, "scaled")
            .unwrap();
        let steps = steps_apart(&graph);
        assert!(steps <= 2.0, "swapped {swapped}: {steps} steps");
    }
}

/// The runtime concatenates a few tensors at a time; networks such as Inception have more.
#[test]
fn any_number_of_inputs_is_concatenated() {
    let mut graph = Graph::new("test", "image", Shape::new(4, 4, 6));
    let image = graph.input;
    let parts: Vec<TensorId> = (0..9)
        .map(|number| {
            let clamp = Clamp {
                min: -1.0 + number as f32 * 0.1,
                max: 1.0,
            };
            let name = format!("part{number}");
            let part = graph.push(&name, Operator::Clamp, &[image], &name).unwrap();
            graph.nodes[number].clamp = clamp;
            part
        })
        .collect();
    graph.output = graph.push("joined", Operator::Concat, &parts, "joined").unwrap();
    assert_eq!(graph.shape(graph.output).channels, 54);
    let steps = steps_apart(&graph);
    assert!(steps <= 1.0, "{steps} steps");
}

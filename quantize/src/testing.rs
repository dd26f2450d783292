//! A small network to test with: the shape of a depthwise separable classifier, with made-up weights.

use crate::network::{Linear, Metadata, Network, Node, Operation, Preprocess, Tensor, TensorId};
use crate::plan::{Options, plan};
use crate::write::to_bytes;
use sepconv::fixed_point::Multiplier;
use sepconv::layout::Target;
use sepconv::operator::Window;
use sepconv::{AlignedVec, Element, Shape};

/// Classes of [`classifier`].
pub const CLASSES: [&str; 4] = ["red", "green", "blue", "other"];

/// A classifier of 8 × 8 RGB images into four classes: convolution, depthwise, pointwise, mean, fully connected. The same
/// seed gives the same weights.
pub fn classifier(seed: u64) -> Network {
    let mut random = Random(seed);
    let mut network = Network {
        metadata: Metadata {
            source: "made-up".into(),
            preprocess: Some(Preprocess {
                mean: vec![127.5],
                std: vec![127.5],
                channel_order: "RGB".into(),
                resize: "bilinear".into(),
                crop: None,
            }),
            classes: CLASSES.map(String::from).to_vec(),
            ..Metadata::default()
        },
        ..Network::default()
    };
    let mut tensor = |name: &str, shape| {
        network.add_tensor(Tensor {
            name: name.into(),
            shape,
            element: Element::Int8,
            scale: 1.0 / 127.5,
            zero_point: 0,
        })
    };
    let input = tensor("image", Shape::new(8, 8, 3));
    let features = tensor("features", Shape::new(4, 4, 8));
    let filtered = tensor("filtered", Shape::new(4, 4, 8));
    let mixed = tensor("mixed", Shape::new(4, 4, 16));
    let pooled = tensor("pooled", Shape::vector(16));
    let scores = tensor("scores", Shape::vector(CLASSES.len() as u32));
    let window = |stride, pad| Window {
        kernel_height: 3,
        kernel_width: 3,
        stride_height: stride,
        stride_width: stride,
        pad_top: pad,
        pad_left: pad,
        ..Window::UNIT
    };
    let mut add = |name: &str, input: TensorId, output: TensorId, operation| {
        let activation = (-128, 127);
        network.nodes.push(Node {
            name: name.into(),
            inputs: vec![input],
            output,
            activation,
            operation,
        });
    };
    add(
        "convolution",
        input,
        features,
        Operation::Convolution(random.linear(window(2, 0), 27, 8)),
    );
    add(
        "depthwise",
        features,
        filtered,
        Operation::Depthwise(random.linear(window(1, 1), 9, 8)),
    );
    add(
        "pointwise",
        filtered,
        mixed,
        Operation::Pointwise(random.linear(Window::UNIT, 8, 16)),
    );
    let sixteenth = Multiplier::from_real(1.0 / 16.0).expect("a factor in range");
    add("mean", mixed, pooled, Operation::Mean(sixteenth));
    add(
        "classifier",
        pooled,
        scores,
        Operation::FullyConnected(random.linear(Window::UNIT, 16, CLASSES.len())),
    );
    (network.input, network.output) = (input, scores);
    network
}

/// The `.sepc` file of a network, planned for the smallest arena.
///
/// # Panics
///
/// If the network does not fit the format.
pub fn file(network: &Network) -> AlignedVec<u8> {
    to_bytes(network, &plan(network, &Options::SMALLEST), Target::Plain).expect("a sound network")
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators").
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn linear(&mut self, window: Window, weights_per_channel: usize, channels: usize) -> Linear {
        let weights = (0..weights_per_channel * channels)
            .map(|_| (self.next() as i8).max(-127))
            .collect();
        let bias = (0..channels).map(|_| self.next() as i8 as i64 * 16).collect();
        // Keeps sums of random terms within eight bits, mostly.
        let factor = 1.0 / (73.0 * (weights_per_channel as f64).sqrt());
        let multiplier = Multiplier::from_real(factor).expect("a factor in range");
        Linear {
            window,
            weights,
            weight_bits: 8,
            bias,
            multipliers: vec![multiplier; channels],
        }
    }
}

//! A tiny network, written record by record: what a quantizer does. Its weights are made up, so that it classifies nothing.
//!
//! An image of 8 × 8 × 3 goes through a 3 × 3 convolution to 8 channels, a separable convolution (depthwise, then
//! pointwise to 16 channels), the mean over the image, a fully connected layer to 4 classes, and softmax.

#![allow(dead_code)] // Each example uses a part.

use sepconv::fixed_point::Multiplier;
use sepconv::format::{MAX_INPUTS, NONE, OperatorRecord, PUSH_INPUT, Step, TensorRecord};
use sepconv::image::Image;
use sepconv::operator::{Kind, Softmax};
use sepconv::{AlignedVec, Shape};

/// The model that the first argument names, or the tiny one.
pub fn model_or_tiny() -> Result<AlignedVec<u8>, Box<dyn std::error::Error>> {
    match std::env::args().nth(1) {
        Some(path) => Ok(AlignedVec::copy_of(
            &std::fs::read(&path).map_err(|error| format!("{path}: {error}"))?,
        )),
        None => Ok(network().to_bytes()),
    }
}

/// The network with every operator run whole, one after the other.
pub fn network() -> Image {
    let mut network = Network {
        image: Image {
            arena_len: 0,
            scratch_len: 0,
            input: 0,
            output: 6,
            tensors: Vec::new(),
            operators: Vec::new(),
            steps: Vec::new(),
            constants: Vec::new(),
            metadata: b"{}".to_vec(),
        },
    };
    network.tensor(Shape::new(8, 8, 3), 0);
    network.linear(Kind::Convolution, 3, Shape::new(8, 8, 8), 27);
    network.linear(Kind::Depthwise, 3, Shape::new(8, 8, 8), 9);
    network.linear(Kind::Pointwise, 1, Shape::new(8, 8, 16), 8);
    let mut mean = record(Kind::Mean, 3);
    let by_64 = Multiplier::from_real(1.0).expect("1 is in range").divided_by(64);
    (mean.params[0], mean.params[1]) = (by_64.mantissa.to_bits(), by_64.shift as i32);
    network.operator(mean, Shape::vector(16), -128);
    network.linear(Kind::FullyConnected, 1, Shape::vector(4), 16);
    let mut softmax = record(Kind::Softmax, 5);
    let parameters = Softmax::from_real(0.1).expect("0.1 is in range");
    softmax.params[0] = parameters.multiplier.mantissa.to_bits();
    softmax.params[1] = parameters.multiplier.shift as i32;
    softmax.params[2] = parameters.difference_min;
    network.operator(softmax, Shape::vector(4), -128);
    network.image
}

/// The same network, streamed: the caller pushes input rows, and the convolutions keep only the rows that are still needed.
pub fn streamed() -> Image {
    let mut image = network();
    // A 3 x 3 window needs three rows; the pointwise convolution's output is read whole by the mean.
    for (tensor, rows) in [(0, 3), (1, 3), (2, 1)] {
        image.tensors[tensor].ring_rows = rows;
    }
    let step = |operator, first_row, rows| Step {
        operator,
        reserved: 0,
        first_row,
        rows,
    };
    image.steps.clear();
    for row in 0..10 {
        // Each convolution follows the one before it by a row: the window's lower row.
        for (operator, behind) in [(PUSH_INPUT, 0), (0, 1), (1, 2), (2, 2)] {
            if (behind..behind + 8).contains(&row) {
                image.steps.push(step(operator, row - behind, 1));
            }
        }
    }
    image.steps.extend([3, 4, 5].map(|operator| step(operator, 0, 1)));
    place(&mut image);
    image
}

struct Network {
    image: Image,
}

impl Network {
    fn tensor(&mut self, shape: Shape, zero_point: i16) {
        self.image.tensors.push(TensorRecord {
            element: 0,
            reserved: 0,
            zero_point,
            scale: 1.0 / 256.0,
            height: shape.height,
            width: shape.width,
            channels: shape.channels,
            ring_rows: shape.height,
            offset: 0,
            reserved_end: 0,
        });
        place(&mut self.image);
    }

    /// Adds an operator that reads the tensor before its output, and runs whole.
    fn operator(&mut self, mut record: OperatorRecord, shape: Shape, zero_point: i16) {
        record.output = self.image.tensors.len() as u16;
        self.tensor(shape, zero_point);
        self.image.steps.push(Step {
            operator: self.image.operators.len() as u16,
            reserved: 0,
            first_row: 0,
            rows: shape.height as u16,
        });
        self.image.operators.push(record);
    }

    /// Adds an operator with weights and ReLU (the least value is the output's zero point, -128).
    fn linear(&mut self, kind: Kind, window: u16, shape: Shape, weights_per_channel: u32) {
        let mut record = record(kind, self.image.tensors.len() as u16 - 1);
        (record.kernel_height, record.kernel_width) = (window, window);
        (record.stride_height, record.stride_width) = (1, 1);
        (record.dilation_height, record.dilation_width) = (1, 1);
        (record.pad_top, record.pad_left) = (window / 2, window / 2);
        record.weight_bits = 8;
        let weights: Vec<u8> = (0..weights_per_channel * shape.channels)
            .map(|number| (number * 37 + 11) as u8)
            .collect();
        let channels = shape.channels as usize;
        let scale = 0.01 / f64::from(weights_per_channel).sqrt();
        let multiplier = Multiplier::from_real(scale).expect("a scale below 1");
        let mantissa = multiplier.mantissa.to_bits().to_le_bytes();
        record.weights_offset = self.image.push_constant(&weights);
        record.weights_len = weights.len() as u32;
        record.bias_offset = self.image.push_constant(&vec![0; channels * 4]);
        record.multipliers_offset = self.image.push_constant(&mantissa.repeat(channels));
        record.shifts_offset = self.image.push_constant(&vec![multiplier.shift as u8; channels]);
        self.operator(record, shape, -128);
    }
}

fn record(kind: Kind, input: u16) -> OperatorRecord {
    let mut record = OperatorRecord::from_bytes(&[0; OperatorRecord::SIZE]);
    record.kind = kind as u8;
    record.inputs = [NONE; MAX_INPUTS];
    record.inputs[0] = input;
    (record.activation_min, record.activation_max) = (-128, 127);
    record
}

/// Places the tensors one after the other. (A real planner lets those overlap that are not needed at the same time.)
fn place(image: &mut Image) {
    let mut end = 0;
    for tensor in &mut image.tensors {
        tensor.offset = end;
        end += (tensor.ring_rows * tensor.width * tensor.channels).next_multiple_of(16);
    }
    image.arena_len = end;
}

//! The quantized network: what importers and the quantizer make, and what the planner and the writer take.

use sepconv::fixed_point::Multiplier;
use sepconv::operator::{self, Kind, Operator, Window};
use sepconv::{Element, Shape};

/// The number of a tensor in [`Network::tensors`].
pub type TensorId = usize;

/// A quantized network: operators in an order in which each finds its inputs computed.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// All activations.
    pub tensors: Vec<Tensor>,
    /// The operators, in order of execution.
    pub nodes: Vec<Node>,
    /// The network's input.
    pub input: TensorId,
    /// The network's output.
    pub output: TensorId,
    /// What people and host tools want to know.
    pub metadata: Metadata,
}

/// An activation: `real = scale × (q − zero_point)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The name in the source model.
    pub name: String,
    /// Height, width, channels.
    pub shape: Shape,
    /// The type of the values.
    pub element: Element,
    /// The real size of one quantization step.
    pub scale: f32,
    /// The quantized value of the real number zero.
    pub zero_point: i32,
}

/// An operator of a network.
#[derive(Clone, Debug)]
pub struct Node {
    /// The name in the source model.
    pub name: String,
    /// Input tensors.
    pub inputs: Vec<TensorId>,
    /// The output tensor.
    pub output: TensorId,
    /// The least and greatest output values.
    pub activation: (i32, i32),
    /// What it computes.
    pub operation: Operation,
}

/// What a node computes; see [`Kind`] for the definitions.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Convolution.
    Convolution(Linear),
    /// Depthwise convolution.
    Depthwise(Linear),
    /// Convolution with a 1 × 1 window.
    Pointwise(Linear),
    /// Fully connected.
    FullyConnected(Linear),
    /// Elementwise sum.
    Add {
        /// Multiplier of the first operand.
        a: Multiplier,
        /// Multiplier of the second operand.
        b: Multiplier,
        /// Multiplier of the sum.
        output: Multiplier,
        /// Bits that sums gain before the multipliers: 20 for int8, 15 for int16.
        left_shift: u8,
        /// A constant second operand.
        constant: Option<Constant>,
    },
    /// Elementwise product.
    Mul {
        /// Multiplier of the product.
        output: Multiplier,
        /// A constant second operand.
        constant: Option<Constant>,
    },
    /// Average pooling.
    AveragePool(Window),
    /// Max pooling.
    MaxPool(Window),
    /// Mean over height and width.
    Mean(Multiplier),
    /// Padding.
    Pad {
        /// Rows above the input.
        top: u32,
        /// Columns left of the input.
        left: u32,
        /// Channels before the input's.
        front: u32,
        /// The quantized value of the padding.
        value: i32,
    },
    /// Concatenation along an axis: 0 height, 1 width, 2 channels.
    Concatenation {
        /// The axis.
        axis: u8,
    },
    /// The same values under another shape.
    Reshape,
    /// Softmax over the channels.
    Softmax {
        /// Input scale × beta, in Q5.26.
        multiplier: Multiplier,
        /// Differences from the maximum below this contribute nothing.
        difference_min: i32,
    },
    /// A function of one int8 value: entry `q + 128`.
    Lookup(Box<[i8; 256]>),
    /// Another quantization.
    Requantize(Multiplier),
    /// Nearest-neighbour resizing.
    ResizeNearest {
        /// The input row that each output row copies.
        rows: Vec<u16>,
        /// The input column that each output column copies.
        columns: Vec<u16>,
    },
    /// Another order of axes: which input axis each output axis is.
    Transpose([u8; 3]),
    /// The number of the greatest channel.
    ArgMax,
}

/// Weights, biases and multipliers of a linear operator.
#[derive(Clone, Debug)]
pub struct Linear {
    /// The window; [`Window::UNIT`] for pointwise and fully connected.
    pub window: Window,
    /// Weights, in the order that [`Kind`] gives; four-bit weights lie in [-8, 7].
    pub weights: Vec<i8>,
    /// Bits of a weight in the file: 8 or 4.
    pub weight_bits: u8,
    /// A bias for each output channel; it fits in 32 bits unless activations are int16.
    pub bias: Vec<i64>,
    /// Input scale × weight scale ÷ output scale for each output channel.
    pub multipliers: Vec<Multiplier>,
}

/// A constant operand: one int8 value, or one a channel.
#[derive(Clone, Debug)]
pub struct Constant {
    /// The quantized values.
    pub values: Vec<i8>,
    /// The quantized value of the real number zero.
    pub zero_point: i32,
}

/// What people and host tools want to know about a model; stored as JSON in the file.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// The source file's name.
    pub source: String,
    /// The source file's SHA-256, in hexadecimal.
    pub source_sha256: String,
    /// The version of the tool that wrote the file.
    pub tool: String,
    /// Settings of calibration and quantization, in words.
    pub settings: String,
    /// How an image becomes an input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preprocess: Option<Preprocess>,
    /// What the memory plan came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanFigures>,
    /// Names of the classes, in order.
    pub classes: Vec<String>,
    /// Names of operators, in order.
    pub operators: Vec<String>,
}

/// How an image becomes an input: resized as a whole to the input's height and width, then `(pixel − mean) ÷ std` for
/// each channel, pixels being in 0..=255.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Preprocess {
    /// Subtracted from pixels: one value a channel, or one for all.
    pub mean: Vec<f32>,
    /// Divides the difference: one value a channel, or one for all.
    pub std: Vec<f32>,
    /// `RGB`, `BGR` or `GRAY`; `NONE` where inputs are no images: then `mean` and `std` are those of given integers.
    pub channel_order: String,
    /// `bilinear` or `bicubic`.
    pub resize: String,
    /// Instead of the whole image, its central part of the input's aspect ratio, this fraction (0 to 1) of the largest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<f32>,
}

/// What a memory plan came to, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PlanFigures {
    /// The most that is alive at one time under the schedule: no placement can do with less.
    pub lower_bound: usize,
    /// The arena with every operator whole.
    pub whole: usize,
}

impl Operation {
    /// The kind under which a file stores the operation.
    pub fn kind(&self) -> Kind {
        match self {
            Operation::Convolution(_) => Kind::Convolution,
            Operation::Depthwise(_) => Kind::Depthwise,
            Operation::Pointwise(_) => Kind::Pointwise,
            Operation::FullyConnected(_) => Kind::FullyConnected,
            Operation::Add { .. } => Kind::Add,
            Operation::Mul { .. } => Kind::Mul,
            Operation::AveragePool(_) => Kind::AveragePool,
            Operation::MaxPool(_) => Kind::MaxPool,
            Operation::Mean(_) => Kind::Mean,
            Operation::Pad { .. } => Kind::Pad,
            Operation::Concatenation { .. } => Kind::Concatenation,
            Operation::Reshape => Kind::Reshape,
            Operation::Softmax { .. } => Kind::Softmax,
            Operation::Lookup(_) => Kind::Lookup,
            Operation::Requantize(_) => Kind::Requantize,
            Operation::ResizeNearest { .. } => Kind::ResizeNearest,
            Operation::Transpose(_) => Kind::Transpose,
            Operation::ArgMax => Kind::ArgMax,
        }
    }

    /// The rows `from..to` of input number `number` that output rows `first..first + rows` read.
    pub fn input_rows(&self, number: usize, input: Shape, first: usize, rows: usize) -> (usize, usize) {
        let window = |window: &Window| {
            Operator::MaxPool(operator::Pool {
                window: *window,
                activation_min: 0,
                activation_max: 0,
            })
        };
        let same_rows = Operator::Lookup(operator::Lookup { table: &[] });
        let operator = match self {
            Operation::Convolution(linear) | Operation::Depthwise(linear) => window(&linear.window),
            Operation::AveragePool(pool) | Operation::MaxPool(pool) => window(pool),
            Operation::Add { .. } | Operation::Mul { .. } if number == 1 && input.pixels() == 1 => {
                Operator::Reshape
            }
            Operation::Pad {
                top,
                left,
                front,
                value,
            } => Operator::Pad(operator::Pad {
                top: *top,
                left: *left,
                front: *front,
                value: *value,
            }),
            Operation::Concatenation { axis } => {
                Operator::Concatenation(operator::Concatenation { axis: *axis })
            }
            Operation::ResizeNearest { rows: sources, .. } => {
                let source = |y: usize| sources.get(y).copied().unwrap_or(0) as usize;
                return (source(first), source(first + rows - 1) + 1);
            }
            Operation::FullyConnected(_)
            | Operation::Mean(_)
            | Operation::Reshape
            | Operation::Transpose(_) => Operator::Reshape,
            _ => same_rows,
        };
        operator::input_rows(&operator, number, input, first, rows)
    }
}

impl Network {
    /// Adds a tensor and returns its number.
    pub fn add_tensor(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        self.tensors.len() - 1
    }

    /// Bytes of a tensor's row.
    pub fn row_bytes(&self, tensor: TensorId) -> usize {
        let tensor = &self.tensors[tensor];
        tensor.shape.row_values() * tensor.element.bytes()
    }

    /// Multiply-accumulates of a node; 0 for all but linear operators.
    pub fn macs(&self, node: &Node) -> u64 {
        let output = self.tensors[node.output].shape;
        let input = self.tensors[node.inputs[0]].shape;
        let linear = |linear: &Linear, depth: u32| {
            let taps = linear.window.kernel_height * linear.window.kernel_width;
            output.values() as u64 * taps as u64 * depth as u64
        };
        match &node.operation {
            Operation::Convolution(l) | Operation::Pointwise(l) => linear(l, input.channels),
            Operation::Depthwise(l) => linear(l, 1),
            Operation::FullyConnected(_) => output.values() as u64 * input.values() as u64,
            _ => 0,
        }
    }

    /// The node that computes each tensor.
    pub fn producers(&self) -> Vec<Option<usize>> {
        let mut producers = vec![None; self.tensors.len()];
        for (number, node) in self.nodes.iter().enumerate() {
            producers[node.output] = Some(number);
        }
        producers
    }

    /// The nodes that read each tensor, each with the position of the tensor among its inputs.
    pub fn consumers(&self) -> Vec<Vec<(usize, usize)>> {
        let mut consumers = vec![Vec::new(); self.tensors.len()];
        for (number, node) in self.nodes.iter().enumerate() {
            for (position, &input) in node.inputs.iter().enumerate() {
                consumers[input].push((number, position));
            }
        }
        consumers
    }

    /// Removes tensors that no node computes or reads, and numbers the others anew.
    pub fn drop_unused_tensors(&mut self) {
        let mut used = vec![false; self.tensors.len()];
        for id in self
            .nodes
            .iter()
            .flat_map(|node| node.inputs.iter().chain([&node.output]))
        {
            used[*id] = true;
        }
        (used[self.input], used[self.output]) = (true, true);
        let new_ids: Vec<TensorId> = (0..used.len())
            .map(|id| used[..id].iter().filter(|used| **used).count())
            .collect();
        let mut keep = used.iter();
        self.tensors.retain(|_| keep.next() == Some(&true));
        for node in &mut self.nodes {
            node.inputs.iter_mut().for_each(|id| *id = new_ids[*id]);
            node.output = new_ids[node.output];
        }
        (self.input, self.output) = (new_ids[self.input], new_ids[self.output]);
    }
}

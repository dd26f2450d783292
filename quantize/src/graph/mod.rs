//! The float network between import and quantization.
//!
//! A [`Graph`] is a list of nodes in execution order over numbered tensors. Every tensor is one image's activation in
//! NHWC order with the batch left out: [`Shape`] is height, width, channels, and a vector is `1 x 1 x channels`.
//! Weights are stored as TFLite stores them (see [`Convolution`], [`Depthwise`], [`FullyConnected`]).
//!
//! `onnx::read` makes a graph, `rewrite` simplifies it without changing what it
//! computes, and `float` runs it.

mod display;
mod infer;
mod operator;
mod weights;

pub use infer::{MAX_ELEMENTS, ShapeError, output_shape};
pub use operator::{
    Activation, Affine, Convolution, Depthwise, FullyConnected, Operator, Padding, Resize, Window,
};
pub use weights::{QuantizedWeights, Weights};

use crate::dataset::Preprocess;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Height, width and channels of an activation, in elements. All are at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// Rows.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Values of a pixel.
    pub channels: usize,
}

impl Shape {
    /// A shape from its three extents.
    pub fn new(height: usize, width: usize, channels: usize) -> Self {
        Shape {
            height,
            width,
            channels,
        }
    }

    /// The shape of a vector: `1 x 1 x channels`.
    pub fn vector(channels: usize) -> Self {
        Shape::new(1, 1, channels)
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Number of pixels, `height * width`.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// Index of a tensor in [`Graph::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(pub usize);

/// int8 quantization of an activation, per tensor: `real = scale * (q - zero_point)`, `q` and `zero_point` in
/// [-128, 127].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantization {
    /// Real value of one step; positive.
    pub scale: f32,
    /// The quantized value that stands for 0.
    pub zero_point: i32,
}

/// One activation, between the node that makes it and the nodes that read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Name in the source file, for errors and reports.
    pub name: String,
    /// Extents.
    pub shape: Shape,
    /// Quantization fixed by an already quantized source; `None` where it is left to calibration.
    pub quantization: Option<Quantization>,
}

/// The range that a node's result is clamped to; a fused ReLU is `[0, inf]`, ReLU6 `[0, 6]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamp {
    /// Lowest value let through.
    pub min: f32,
    /// Highest value let through; not below `min`.
    pub max: f32,
}

impl Clamp {
    /// Lets every value through.
    pub const NONE: Clamp = Clamp {
        min: f32::NEG_INFINITY,
        max: f32::INFINITY,
    };
    /// `max(x, 0)`.
    pub const RELU: Clamp = Clamp {
        min: 0.0,
        max: f32::INFINITY,
    };
    /// `min(max(x, 0), 6)`.
    pub const RELU6: Clamp = Clamp { min: 0.0, max: 6.0 };

    /// Whether every value is let through.
    pub fn is_none(&self) -> bool {
        *self == Clamp::NONE
    }

    /// The clamped value.
    pub fn apply(&self, x: f32) -> f32 {
        x.max(self.min).min(self.max)
    }

    /// This clamp followed by another, as one.
    pub fn then(&self, next: Clamp) -> Clamp {
        Clamp {
            min: next.apply(self.min),
            max: next.apply(self.max),
        }
    }
}

/// One operator with its inputs, output and fused clamp.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name in the source file; the output's name where the file gives none.
    pub name: String,
    /// What is computed.
    pub operator: Operator,
    /// Tensors read, in the operator's order.
    pub inputs: Vec<TensorId>,
    /// Tensor made. Every tensor but the graph's input is made by exactly one node.
    pub output: TensorId,
    /// Applied to every element of the result.
    pub clamp: Clamp,
}

/// A float network with one input and one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// Name in the source file.
    pub name: String,
    /// All tensors; [`TensorId`] indexes them. Rewrites may leave tensors that no node uses.
    pub tensors: Vec<Tensor>,
    /// Nodes in an order in which every node comes after those it reads from.
    pub nodes: Vec<Node>,
    /// The image.
    pub input: TensorId,
    /// The result, usually class scores.
    pub output: TensorId,
    /// Preprocessing recorded in the source file.
    pub preprocess: Option<Preprocess>,
    /// What the importer changed that the user should know, one sentence each.
    pub notes: Vec<String>,
}

impl Graph {
    /// A graph with an input tensor and no nodes: its output is its input.
    pub fn new(name: impl Into<String>, input_name: impl Into<String>, input: Shape) -> Self {
        Graph {
            name: name.into(),
            tensors: vec![Tensor {
                name: input_name.into(),
                shape: input,
                quantization: None,
            }],
            nodes: Vec::new(),
            input: TensorId(0),
            output: TensorId(0),
            preprocess: None,
            notes: Vec::new(),
        }
    }

    /// The tensor behind an index. Panics where the index belongs to another graph.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0]
    }

    /// The extents of a tensor.
    pub fn shape(&self, id: TensorId) -> Shape {
        self.tensor(id).shape
    }

    /// Adds a tensor that no node makes yet.
    pub fn add_tensor(&mut self, name: impl Into<String>, shape: Shape) -> TensorId {
        self.tensors.push(Tensor {
            name: name.into(),
            shape,
            quantization: None,
        });
        TensorId(self.tensors.len() - 1)
    }

    /// Appends a node, inferring its output's shape. The output tensor gets the name `output_name`; the graph's output is
    /// left as it is.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        operator: Operator,
        inputs: &[TensorId],
        output_name: impl Into<String>,
    ) -> Result<TensorId, ShapeError> {
        let shapes: Vec<Shape> = inputs.iter().map(|&id| self.shape(id)).collect();
        let shape = output_shape(&operator, &shapes)?;
        let output = self.add_tensor(output_name, shape);
        self.nodes.push(Node {
            name: name.into(),
            operator,
            inputs: inputs.to_vec(),
            output,
            clamp: Clamp::NONE,
        });
        Ok(output)
    }

    /// Index of the node that makes a tensor; `None` for the graph's input.
    pub fn producer(&self, id: TensorId) -> Option<usize> {
        self.nodes.iter().position(|node| node.output == id)
    }

    /// Indices of the nodes that read a tensor, in execution order.
    pub fn consumers(&self, id: TensorId) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|&n| self.nodes[n].inputs.contains(&id))
            .collect()
    }

    /// How many readers a tensor has; being the graph's output counts as one.
    pub fn uses(&self, id: TensorId) -> usize {
        let reads = self
            .nodes
            .iter()
            .flat_map(|node| &node.inputs)
            .filter(|&&input| input == id)
            .count();
        reads + usize::from(self.output == id)
    }

    /// Makes every reader of `old`, the graph's output included, read `new`.
    pub fn replace_uses(&mut self, old: TensorId, new: TensorId) {
        for input in self.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
            if *input == old {
                *input = new;
            }
        }
        if self.output == old {
            self.output = new;
        }
    }

    /// Multiply-accumulates of one inference, counting convolutions and fully connected layers.
    pub fn macs(&self) -> u64 {
        self.nodes
            .iter()
            .map(|node| node.operator.macs(self.shape(node.output)))
            .sum()
    }
}

//! What can be wrong with a model.

use crate::dataset::DatasetError;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// A model that cannot be imported. Each message names the thing and says what would work instead.
#[derive(Debug, Error)]
pub enum OnnxError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The bytes are not an ONNX model.
    #[error("not an ONNX model, or a damaged one: {0}. Is the file complete?")]
    Decode(#[from] prost::DecodeError),
    /// A model without nodes.
    #[error("the model holds no graph with nodes; export it again")]
    Empty,
    /// An operator set that is too old.
    #[error("the model uses ONNX operator set {version}; export it again with operator set 11 or later")]
    Opset {
        /// Version declared; 0 where none is.
        version: i64,
    },
    /// Not exactly one input.
    #[error("the model has {} inputs ({}); only networks with one image input can be quantized. Fix the others as \
             constants before exporting", names.len(), names.join(", "))]
    Inputs {
        /// Names of all inputs.
        names: Vec<String>,
    },
    /// Not exactly one output.
    #[error("the model has {} outputs ({}); only networks with one output can be quantized. Export the one that \
             classifies", names.len(), names.join(", "))]
    Outputs {
        /// Names of all outputs.
        names: Vec<String>,
    },
    /// An input whose spatial extents are not numbers.
    #[error(
        "input {input:?} has the shape [{dims}]; only the batch may be symbolic. Export with fixed height, width \
             and channels"
    )]
    DynamicShape {
        /// Name of the input.
        input: String,
        /// Its extents as declared.
        dims: String,
    },
    /// An input that is no image, sequence or vector, or is too large for one.
    #[error(
        "input {input:?} has the shape [{dims}]; expected [batch, channels, height, width], \
             [batch, height, width, channels], [batch, channels, width] or [batch, features]"
    )]
    InputRank {
        /// Name of the input.
        input: String,
        /// Its extents as declared.
        dims: String,
    },
    /// An input of another element type.
    #[error(
        "input {input:?} holds {element}; only float32 and float16 inputs are supported. Export the model with a \
             float input"
    )]
    InputType {
        /// Name of the input.
        input: String,
        /// The element type's name.
        element: String,
    },
    /// A stored tensor that is damaged or of an unknown type.
    #[error("tensor {name:?}: {problem}")]
    Tensor {
        /// Name in the file.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// A node that reads something that nothing makes.
    #[error(
        "node {node:?} ({operator}) reads {input:?}, which no earlier node, initializer or input provides; \
             the file is damaged or its nodes are out of order"
    )]
    MissingValue {
        /// Node name.
        node: String,
        /// Operator type.
        operator: String,
        /// The name that is missing.
        input: String,
    },
    /// A node that cannot be imported.
    #[error("node {node:?} ({operator}): {reason}. {instead}")]
    Node {
        /// Node name.
        node: String,
        /// Operator type.
        operator: String,
        /// Why it cannot be imported.
        reason: String,
        /// What would work.
        instead: String,
    },
    /// The output is a constant or missing.
    #[error("output {output:?} is not computed from the input")]
    Output {
        /// Name of the output.
        output: String,
    },
    /// Metadata that cannot be understood.
    #[error("metadata property \"sepconv.preprocess\": {0}")]
    Preprocess(#[from] DatasetError),
}

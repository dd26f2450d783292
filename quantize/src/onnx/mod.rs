//! ONNX import: a file of operator set 11 or later becomes a float [`Graph`].
//!
//! The model may use NCHW or NHWC (transposed) order, a symbolic or fixed batch, fp16 tensors followed by Cast, shape
//! arithmetic, and QuantizeLinear/DequantizeLinear pairs, whose parameters are kept exactly. What the graph cannot hold
//! is refused with the node's name, its operator, the reason, and what would work instead.
//!
//! Operators of activations that are read (anything is folded where all inputs are constants):
//!
//! | kind | operators |
//! |---|---|
//! | layers | Conv (1-D and 2-D, any kernel, stride, dilation, padding, groups), Gemm, MatMul with constant weights |
//! | normalization | BatchNormalization in evaluation mode |
//! | arithmetic | Add, Sub, Mul, Sum of activations; Add, Sub, Mul, Div with a constant per channel or for all; Neg; Pow to 0.5, 1 or 2 |
//! | clamps | Relu, Clip, Min and Max with a constant |
//! | activations | Sigmoid, HardSigmoid, HardSwish, Swish, Gelu, Tanh, Elu, Selu, LeakyRelu, PRelu, Softplus, Mish, Softsign, Abs, Sqrt, Exp |
//! | pools | MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool, ReduceMean and ReduceMax over height and width |
//! | data | Pad with a constant, Concat of channels, Slice, Split, Resize and Upsample by repetition, Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Identity, Dropout, Cast, Shape |
//! | classifier | Softmax and ArgMax over channels |
//! | quantization | QuantizeLinear, DequantizeLinear |

mod arithmetic;
mod constant;
mod convolution;
mod dense;
mod error;
mod fold;
mod importer;
mod layout;
mod movement;
mod node;
mod pool;
mod quantization;
mod reduce;
mod resize;

#[cfg(test)]
mod tests;

pub use error::OnnxError;

use crate::dataset::Preprocess;
use crate::graph::Graph;
use prost::Message;
use std::path::Path;
use tract_onnx::pb::ModelProto;

/// Reads an ONNX file. Tensors stored outside the file are looked for in its folder.
pub fn read(path: &Path) -> Result<Graph, OnnxError> {
    let bytes = std::fs::read(path).map_err(|source| OnnxError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    read_bytes_of(&bytes, path)
}

/// Reads the contents of an ONNX file. Tensors stored outside it are looked for in its folder.
pub fn read_bytes_of(bytes: &[u8], path: &Path) -> Result<Graph, OnnxError> {
    let mut graph = decode(bytes, path.parent())?;
    if graph.name.is_empty() {
        graph.name = path
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
    }
    Ok(graph)
}

/// Reads an ONNX model from memory; all its tensors must be inside.
pub fn read_bytes(bytes: &[u8]) -> Result<Graph, OnnxError> {
    decode(bytes, None)
}

fn decode(bytes: &[u8], folder: Option<&Path>) -> Result<Graph, OnnxError> {
    let model = ModelProto::decode(bytes)?;
    let mut graph = importer::import(&model, folder)?;
    graph.preprocess = preprocess(&model)?;
    Ok(graph)
}

fn preprocess(model: &ModelProto) -> Result<Option<Preprocess>, OnnxError> {
    let properties = model.metadata_props.iter();
    let properties = properties.map(|property| (property.key.clone(), property.value.clone()));
    Ok(Preprocess::from_metadata(&properties.collect())?)
}

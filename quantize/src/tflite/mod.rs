//! Import of `.tflite` files, quantized or float.
//!
//! A file that full integer quantization made (int8 activations and weights, or the variants "16x8" with int16
//! activations and int4 weights) becomes a [`Network`] that computes what TensorFlow Lite Micro computes, bit for bit.
//! Supported are one subgraph with one input and one output, batch 1, and the operators CONV_2D, DEPTHWISE_CONV_2D,
//! FULLY_CONNECTED, ADD, MUL, AVERAGE_POOL_2D, MAX_POOL_2D, MEAN, PAD, PADV2, CONCATENATION, RESHAPE, SQUEEZE,
//! EXPAND_DIMS, SOFTMAX, RELU, RELU6, LEAKY_RELU, ELU, HARD_SWISH, LOGISTIC, TANH, QUANTIZE, DEQUANTIZE,
//! RESIZE_NEAREST_NEIGHBOR, TRANSPOSE and ARG_MAX. Anything else is refused with the operator's number, name and version.
//!
//! **uint8 input and output.** The runtime's tensors are int8. Where a file's input or output is uint8, the network's
//! holds each value minus 128 (the byte with its highest bit flipped) under a zero point smaller by 128.
//!
//! **Float models** ([`read_float`]) become a float [`Graph`], to be calibrated and quantized as one from ONNX. Weights that
//! are stored as float16 or int8 only (dynamic range quantization) are converted. Beside the operators above, except ADD and MUL of constants that are
//! neither of channels nor of one value, concatenation of other axes than channels, resizing by other than whole factors,
//! and ARG_MAX and QUANTIZE, they may hold RELU_N1_TO_1.
//!
//! **Float input and output.** Operators that quantize the input or dequantize the output are dropped: the network's
//! input and output are the quantized values.

mod arithmetic;
mod elementwise;
mod error;
mod file;
mod fixed_functions;
mod float;
mod import;
mod linear;
mod movement;
mod node;
mod tables;

pub use error::TfliteError;

use crate::graph::Graph;
use crate::network::Network;
use std::path::Path;

/// Reads a `.tflite` file.
///
/// # Errors
///
/// If the file cannot be read, is damaged, or holds what is not supported; see [`TfliteError`].
pub fn read(path: &Path) -> Result<Network, TfliteError> {
    let bytes = std::fs::read(path).map_err(|source| TfliteError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    from_bytes(&bytes)
}

/// Reads the contents of a `.tflite` file.
///
/// # Errors
///
/// As [`read`], except that no file is opened.
///
/// ```
/// let error = sepconv_quantize::tflite::from_bytes(b"not a model").unwrap_err();
/// assert!(error.to_string().contains("TFL3"));
/// ```
pub fn from_bytes(bytes: &[u8]) -> Result<Network, TfliteError> {
    import::import(&file::File::open(bytes)?)
}

/// Reads a float `.tflite` file as a graph to be calibrated.
///
/// # Errors
///
/// If the file cannot be read, is damaged, is quantized, or holds what is not supported; see [`TfliteError`].
pub fn read_float(path: &Path) -> Result<Graph, TfliteError> {
    let bytes = std::fs::read(path).map_err(|source| TfliteError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    float_from_bytes(&bytes, &name)
}

/// Reads the contents of a float `.tflite` file. `name` is what reports call the graph.
///
/// # Errors
///
/// As [`read_float`], except that no file is opened.
pub fn float_from_bytes(bytes: &[u8], name: &str) -> Result<Graph, TfliteError> {
    float::import(&file::File::open(bytes)?, name)
}

//! See the crate's README.

pub mod dataset;
pub mod float;
pub mod graph;
pub mod network;
pub mod onnx;
pub mod plan;
pub mod rewrite;
pub mod tflite;
pub mod write;

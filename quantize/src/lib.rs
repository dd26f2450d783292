//! See the crate's README.

pub mod arithmetic;
pub mod calibrate;
pub mod constant_channels;
pub mod convert;
pub mod dataset;
pub mod evaluate;
pub mod float;
pub mod four_bits;
pub mod graph;
pub mod inference;
pub mod network;
pub mod onnx;
pub mod plan;
pub mod preprocess;
pub mod qdq;
pub mod recipe;
pub mod report;
pub mod resample;
pub mod rewrite;
pub mod summary;
pub mod testing;
pub mod tflite;
pub mod write;

//! Why a `.tflite` file is refused.

use std::path::PathBuf;

/// Why a `.tflite` file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TfliteError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The bytes are not those of a `.tflite` file.
    #[error("not a .tflite file: the identifier TFL3 is missing at byte 4")]
    NotTflite,
    /// The flatbuffer is damaged.
    #[error("damaged .tflite file: {0}")]
    Damaged(String),
    /// A version of the schema that this importer does not know.
    #[error("the file is of schema version {0}; only version 3 is supported: convert the model again")]
    SchemaVersion(u32),
    /// The file is not one graph with one input and one output.
    #[error("the file has {count} {what}; exactly one is supported")]
    Count {
        /// How many there are.
        count: usize,
        /// Of what: subgraphs, inputs, outputs.
        what: &'static str,
    },
    /// The model is not quantized.
    #[error(
        "the model is a float model (operator {index}, {name}, works on float32): it has to be calibrated"
    )]
    Float {
        /// The number of the first operator on float values.
        index: usize,
        /// Its name in the schema.
        name: String,
    },
    /// An operator, or a use of it, that is not supported.
    #[error("operator {index}, {name} version {version}: {reason}")]
    Operator {
        /// The operator's number in the file.
        index: usize,
        /// Its name in the schema.
        name: String,
        /// Its version.
        version: i32,
        /// What is not supported.
        reason: String,
    },
    /// A tensor that is damaged or not supported.
    #[error("tensor {index} ({name}): {reason}")]
    Tensor {
        /// The tensor's number in the file.
        index: usize,
        /// Its name in the file.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The imported network breaks a rule of networks.
    #[error("the imported network is not valid: {0}")]
    Network(String),
}

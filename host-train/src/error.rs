//! What can go wrong in training and export.

use std::path::PathBuf;

use sepconv_quantize::dataset::DatasetError;

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The data set could not be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// No such network.
    #[error("network configuration: {0}")]
    Config(String),
    /// No such training.
    #[error("training settings: {0}")]
    Settings(String),
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file that is no checkpoint of ours.
    #[error("{path}: not a checkpoint of sepconv-train: {what}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A checkpoint that cannot be resumed as asked.
    #[error("{path}: cannot resume: {what}; use the same settings, or another output file to start anew")]
    Resume {
        /// The checkpoint.
        path: PathBuf,
        /// The difference.
        what: String,
    },
    /// The data set does not fit the network in a checkpoint.
    #[error("the network has {network} classes, the data set {dataset}")]
    Classes {
        /// Classes of the network.
        network: u32,
        /// Classes of the data set.
        dataset: usize,
    },
    /// The loss is no longer a number.
    #[error("training diverged in epoch {epoch}: the loss is {loss}; try a lower --learning-rate")]
    Diverged {
        /// Counted from 1.
        epoch: u32,
        /// The loss.
        loss: f64,
    },
    /// A CUDA device was asked for and there is none.
    #[error("no CUDA device that libtorch can use; leave --device at auto or cpu")]
    NoCuda,
    /// tract does not accept or cannot run the exported network.
    #[error("the exported network does not run: {0}")]
    Tract(String),
    /// tract computes something else than libtorch.
    #[error(
        "the exported network differs from libtorch's by {difference:.1e}; {allowed:.0e} at most is allowed"
    )]
    Disagreement {
        /// Largest absolute difference of two logits.
        difference: f32,
        /// The bound.
        allowed: f32,
    },
}

impl TrainError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> TrainError {
        let path = path.into();
        move |source| TrainError::Io { path, source }
    }
}

//! Trains networks of the Xception family with libtorch and exports them to ONNX for `sepconv`.
//!
//! [`XceptionConfig`] says which network; [`architecture::modules`] lists its layers; [`Xception`] is it in libtorch.
//! A [`Trainer`] trains it and writes checkpoints, [`evaluate::evaluate`] measures it, [`export::export`] writes ONNX.
//! Data sets are read by `sepconv_quantize::dataset`.

pub mod architecture;
pub mod batch;
mod config;
pub mod device;
mod error;
pub mod evaluate;
pub mod export;
mod files;
pub mod model;
mod network;
pub mod optimizer;
pub mod random;
mod train;

pub use config::XceptionConfig;
pub use error::TrainError;
pub use model::Xception;
pub use network::{Header, Network};
pub use train::{Settings, Trainer};

//! One module for each subcommand, and what they share.

pub mod eval;
pub mod export;
pub mod train;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sepconv_train::{TrainError, device};
use tch::Device;

/// Where the images are.
#[derive(Debug, Args)]
pub struct DataArguments {
    /// MNIST IDX files, CIFAR-10 binary files, or a folder of images for each class
    #[arg(long, value_name = "DIR", default_value_os_t = shipped_data())]
    pub data: PathBuf,
}

/// The digits that come with the project, found from the workspace's root or from where the crate was built.
fn shipped_data() -> PathBuf {
    let relative = Path::new("host-train/data");
    if relative.is_dir() {
        relative.to_path_buf()
    } else {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
    }
}

/// Where to compute.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DeviceChoice {
    /// A CUDA device if there is one
    Auto,
    /// The processor
    Cpu,
    /// A CUDA device
    Cuda,
}

impl DeviceChoice {
    /// The device; an error if it was asked for and is not there.
    pub fn device(self) -> Result<Device, TrainError> {
        match self {
            DeviceChoice::Auto => Ok(device::best()),
            DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Cuda => device::cuda(),
        }
    }
}

/// A progress bar on standard error; none with `--json`.
pub fn progress_bar(length: u64, what: &str, json: bool) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg} {eta}")
        .expect("the template is well-formed")
        .progress_chars("=> ");
    let target = if json {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    ProgressBar::with_draw_target(Some(length), target)
        .with_style(style)
        .with_prefix(what.to_string())
}

/// Prints one JSON object.
pub fn print_json(report: &impl serde::Serialize) {
    println!(
        "{}",
        serde_json::to_string(report).expect("plain numbers and strings serialize")
    );
}

//! `sepconv-train export`

use std::path::PathBuf;

use clap::Args;
use sepconv_train::{Network, TrainError, export};
use serde::Serialize;
use tch::Device;

use super::print_json;

#[derive(Debug, Args)]
pub struct Arguments {
    /// The checkpoint
    #[arg(value_name = "FILE.safetensors")]
    checkpoint: PathBuf,
    /// The ONNX file to write
    #[arg(short, long, value_name = "FILE.onnx")]
    output: PathBuf,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    bytes: u64,
    /// Largest difference between libtorch's and tract's logits.
    difference: f32,
    allowed_difference: f32,
}

pub fn run(arguments: &Arguments) -> Result<(), TrainError> {
    let network = Network::load(&arguments.checkpoint, Device::Cpu)?;
    let difference = export::export(&network, &arguments.output)?;
    let bytes = std::fs::metadata(&arguments.output)
        .map_err(|source| TrainError::Io {
            path: arguments.output.clone(),
            source,
        })?
        .len();
    let report = Report {
        bytes,
        difference,
        allowed_difference: export::ALLOWED_DIFFERENCE,
    };
    if arguments.json {
        print_json(&report);
    } else {
        println!("wrote {} ({bytes} bytes)", arguments.output.display());
        println!(
            "tract and libtorch differ by {difference:.1e} (allowed {:.0e})",
            report.allowed_difference
        );
    }
    Ok(())
}

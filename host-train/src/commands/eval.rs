//! `sepconv-train eval`

use std::path::PathBuf;

use clap::Args;
use sepconv_quantize::dataset::Dataset;
use sepconv_train::evaluate::evaluate;
use sepconv_train::{Network, TrainError};

use super::{DataArguments, DeviceChoice, print_json, progress_bar};

#[derive(Debug, Args)]
pub struct Arguments {
    /// The checkpoint
    #[arg(value_name = "FILE.safetensors")]
    checkpoint: PathBuf,
    #[command(flatten)]
    data: DataArguments,
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceChoice,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), TrainError> {
    let network = Network::load(&arguments.checkpoint, arguments.device.device()?)?;
    let dataset = Dataset::open(&arguments.data.data, Some(network.preprocess.size()))?;
    let classes = network.xception.config().classes;
    if dataset.classes.len() != classes as usize {
        return Err(TrainError::Classes {
            network: classes,
            dataset: dataset.classes.len(),
        });
    }
    let bar = progress_bar(dataset.test.len() as u64, "evaluating", arguments.json);
    let accuracy = evaluate(&network, &dataset.test, &mut |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    if arguments.json {
        print_json(&accuracy);
    } else {
        println!("images {}", accuracy.count);
        println!("top-1  {:.2} %", 100.0 * accuracy.top1);
        println!("top-5  {:.2} %", 100.0 * accuracy.top5);
    }
    Ok(())
}

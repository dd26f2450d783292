//! `sepconv-train train`

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use indicatif::ProgressBar;
use sepconv_quantize::dataset::{Dataset, ImageSize, Samples};
use sepconv_train::architecture::{self, convolution_layers};
use sepconv_train::batch::{Augmentation, standardize};
use sepconv_train::evaluate::{Accuracy, evaluate};
use sepconv_train::model::trainable_parameters;
use sepconv_train::{Settings, TrainError, Trainer, XceptionConfig};
use serde::Serialize;

use super::{DataArguments, DeviceChoice, print_json, progress_bar};

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    data: DataArguments,
    /// The checkpoint to write
    #[arg(short, long, value_name = "FILE.safetensors")]
    output: PathBuf,
    /// Go on from the checkpoint, if it exists
    #[arg(long)]
    resume: bool,
    /// Resize images to HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS [default: the data set's own size]
    #[arg(long, value_parser = parse_size)]
    size: Option<ImageSize>,
    #[command(flatten)]
    network: NetworkArguments,
    #[command(flatten)]
    training: TrainingArguments,
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceChoice,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Which network; without any of these, the micro configuration.
#[derive(Debug, Args)]
struct NetworkArguments {
    /// The paper's network of Figure 5, for 299x299 images
    #[arg(long)]
    full: bool,
    /// Factor on the paper's channel numbers [default: 0.0625; with --full 1]
    #[arg(long, value_name = "FACTOR")]
    width_multiplier: Option<f64>,
    /// Modules in the middle flow [default: 1; with --full 8]
    #[arg(long, value_name = "COUNT")]
    middle_repeats: Option<u32>,
    /// Stride of the first convolution, 1 or 2 [default: 1; with --full 2]
    #[arg(long, value_name = "STRIDE")]
    stem_stride: Option<u32>,
}

#[derive(Debug, Args)]
struct TrainingArguments {
    /// Times every training image is seen
    #[arg(long, default_value_t = Settings::default().epochs)]
    epochs: u32,
    /// Images a step
    #[arg(long, default_value_t = Settings::default().batch)]
    batch: usize,
    /// Use only this many training images
    #[arg(long, value_name = "IMAGES", value_parser = RangedU64ValueParser::<usize>::new().range(2..))]
    limit: Option<usize>,
    /// The highest learning rate
    #[arg(long, default_value_t = Settings::default().learning_rate)]
    learning_rate: f64,
    /// Of convolution and classifier weights
    #[arg(long, default_value_t = Settings::default().weight_decay)]
    weight_decay: f64,
    /// Part of each target that is spread over all classes
    #[arg(long, default_value_t = Settings::default().label_smoothing)]
    label_smoothing: f64,
    /// Largest random shift, as a part of the image's side
    #[arg(long, default_value_t = Settings::default().augmentation.shift)]
    shift: f64,
    /// Largest random rotation, in degrees
    #[arg(long, default_value_t = Settings::default().augmentation.rotation)]
    rotation: f64,
    /// Largest random change of scale
    #[arg(long, default_value_t = Settings::default().augmentation.scale)]
    scale: f64,
    /// Mirror half the images left to right (not for digits)
    #[arg(long)]
    flip: bool,
    /// Decides weights, order and variations
    #[arg(long, default_value_t = Settings::default().seed)]
    seed: u64,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    parameters: usize,
    modules: usize,
    convolution_layers: usize,
    train_images: usize,
    epochs: u32,
    /// Of the last epoch; nothing if the checkpoint was already finished.
    train_loss: Option<f64>,
    seconds: f64,
    #[serde(flatten)]
    test: Accuracy,
}

pub fn run(arguments: &Arguments) -> Result<(), TrainError> {
    let device = arguments.device.device()?;
    let full_size = ImageSize {
        height: 299,
        width: 299,
        channels: 3,
    };
    let size = arguments.size.or(arguments.network.full.then_some(full_size));
    let dataset = Dataset::open(&arguments.data.data, size)?;
    let train = match arguments.training.limit {
        Some(limit) => dataset.train.first(limit),
        None => dataset.train,
    };
    let config = arguments
        .network
        .config(dataset.classes.len() as u32, train.images.size());
    let preprocess = standardize(&train.images, &dataset.classes);
    let settings = arguments.training.settings();
    let mut trainer = if arguments.resume && arguments.output.exists() {
        Trainer::resume(&arguments.output, &config, &preprocess, &settings, device)?
    } else {
        Trainer::new(&config, preprocess, &settings, device)?
    };

    let parameters = trainable_parameters(&trainer.network().store);
    let modules = architecture::modules(&config);
    if !arguments.json {
        eprintln!(
            "{} modules, {} convolution layers, {parameters} parameters; {} training images of {} on {device:?}",
            modules.len(),
            convolution_layers(&modules),
            train.len(),
            config.size(),
        );
    }
    let start = Instant::now();
    let train_loss = train_epochs(&mut trainer, &train, settings.epochs, arguments)?;
    let seconds = start.elapsed().as_secs_f64();
    let test = evaluate(trainer.network(), &dataset.test, &mut |_| ())?;
    let report = Report {
        parameters,
        modules: modules.len(),
        convolution_layers: convolution_layers(&modules),
        train_images: train.len(),
        epochs: trainer.epochs(),
        train_loss,
        seconds,
        test,
    };
    if arguments.json {
        print_json(&report);
    } else {
        println!("trained    {} epochs in {seconds:.1} s", report.epochs);
        println!("test       {:.2} % of {} images", 100.0 * test.top1, test.count);
        println!("checkpoint {}", arguments.output.display());
    }
    Ok(())
}

/// Trains the epochs that are left, a checkpoint after each; returns the last one's loss.
fn train_epochs(
    trainer: &mut Trainer,
    samples: &Samples,
    epochs: u32,
    arguments: &Arguments,
) -> Result<Option<f64>, TrainError> {
    let mut last = None;
    let bar: ProgressBar = progress_bar(u64::from(epochs), "training", arguments.json);
    bar.set_position(u64::from(trainer.epochs()));
    // Written before anything is computed, so that a file that cannot be written costs no time.
    trainer.save(&arguments.output)?;
    while !trainer.is_finished() {
        let loss = trainer.epoch(samples, &mut |step, steps, loss| {
            bar.set_message(format!("epochs, step {step}/{steps}, loss {loss:.3}"));
        })?;
        trainer.save(&arguments.output)?;
        bar.inc(1);
        last = Some(loss);
    }
    bar.finish();
    Ok(last)
}

impl NetworkArguments {
    fn config(&self, classes: u32, size: ImageSize) -> XceptionConfig {
        let base = if self.full {
            XceptionConfig::full(classes)
        } else {
            XceptionConfig::micro(classes, size)
        };
        XceptionConfig {
            height: size.height,
            width: size.width,
            channels: size.channels,
            width_multiplier: self.width_multiplier.unwrap_or(base.width_multiplier),
            middle_repeats: self.middle_repeats.unwrap_or(base.middle_repeats),
            stem_stride: self.stem_stride.unwrap_or(base.stem_stride),
            ..base
        }
    }
}

impl TrainingArguments {
    fn settings(&self) -> Settings {
        Settings {
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
            label_smoothing: self.label_smoothing,
            augmentation: Augmentation {
                shift: self.shift,
                rotation: self.rotation,
                scale: self.scale,
                flip: self.flip,
            },
            seed: self.seed,
        }
    }
}

/// Reads `HEIGHTxWIDTH` or `HEIGHTxWIDTHxCHANNELS`; three channels if it does not say.
fn parse_size(text: &str) -> Result<ImageSize, String> {
    let numbers: Result<Vec<u32>, _> = text.split('x').map(str::parse).collect();
    let size = match numbers.as_deref() {
        Ok(&[height, width]) => ImageSize {
            height,
            width,
            channels: 3,
        },
        Ok(&[height, width, channels]) => ImageSize {
            height,
            width,
            channels,
        },
        _ => return Err("expected HEIGHTxWIDTH or HEIGHTxWIDTHxCHANNELS, such as 32x32x3".to_string()),
    };
    size.check().map_err(|error| error.to_string())?;
    Ok(size)
}

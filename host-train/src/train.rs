//! Training: settings, the loop over epochs, resuming.

use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::path::Path;

use sepconv_quantize::dataset::{Preprocess, Samples};
use serde::{Deserialize, Serialize};
use tch::{Device, Reduction, Tensor};

use crate::batch::{Augmentation, image_batch, label_batch};
use crate::network::{Header, copy_tensors, read_checkpoint, write_checkpoint};
use crate::optimizer::AdamW;
use crate::random::SplitMix64;
use crate::{Network, TrainError, XceptionConfig};

/// How a network is trained.
///
/// AdamW; the learning rate rises over the first tenth of all steps and then falls as a half cosine to nearly 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Times every image is seen.
    pub epochs: u32,
    /// Images a step.
    pub batch: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Of convolution and classifier weights.
    pub weight_decay: f64,
    /// Part of the probability that training targets spread over all classes.
    pub label_smoothing: f64,
    /// How training images are varied.
    pub augmentation: Augmentation,
    /// Decides weights, order and variations.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            epochs: 24,
            batch: 64,
            learning_rate: 4e-3,
            weight_decay: 1e-2,
            label_smoothing: 0.05,
            augmentation: Augmentation {
                shift: 0.08,
                rotation: 10.0,
                scale: 0.1,
                flip: false,
            },
            seed: 1,
        }
    }
}

impl Settings {
    /// Checks that every value makes sense.
    pub fn check(&self) -> Result<(), TrainError> {
        let refuse = |what: String| Err(TrainError::Settings(what));
        let part = 0.0..1.0;
        let augmentation = self.augmentation;
        if self.epochs == 0 || self.batch < 2 {
            return refuse("there must be at least 1 epoch and 2 images a batch".to_string());
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return refuse(format!("learning rate {} is not above 0", self.learning_rate));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return refuse(format!("weight decay {} is negative", self.weight_decay));
        }
        if ![self.label_smoothing, augmentation.shift, augmentation.scale]
            .iter()
            .all(|x| part.contains(x))
        {
            return refuse("label smoothing, shift and scale must be at least 0 and below 1".to_string());
        }
        if !(0.0..=180.0).contains(&augmentation.rotation) {
            return refuse(format!(
                "rotation {} is not 0 to 180 degrees",
                augmentation.rotation
            ));
        }
        Ok(())
    }

    /// The learning rate of step `step` of `total`.
    fn learning_rate_at(&self, step: u64, total: u64) -> f64 {
        let warm_up = (total / 10).max(1);
        let rising = (step + 1) as f64 / warm_up as f64;
        let falling = 0.5 * (1.0 + (PI * step as f64 / total as f64).cos());
        self.learning_rate * rising.min(1.0) * falling
    }
}

/// A training in progress.
#[derive(Debug)]
pub struct Trainer {
    network: Network,
    optimizer: AdamW,
    settings: Settings,
    epochs: u32,
}

impl Trainer {
    /// Begins a training.
    pub fn new(
        config: &XceptionConfig,
        preprocess: Preprocess,
        settings: &Settings,
        device: Device,
    ) -> Result<Trainer, TrainError> {
        settings.check()?;
        let network = Network::new(config, preprocess, settings.seed, device)?;
        let optimizer = AdamW::new(&network.store, settings.weight_decay);
        Ok(Trainer {
            network,
            optimizer,
            settings: settings.clone(),
            epochs: 0,
        })
    }

    /// Goes on where a checkpoint stopped. Network, preprocessing and settings must be those it was begun with;
    /// then, on the same machine, the outcome is that of a training without interruption.
    pub fn resume(
        path: &Path,
        config: &XceptionConfig,
        preprocess: &Preprocess,
        settings: &Settings,
        device: Device,
    ) -> Result<Trainer, TrainError> {
        let (header, tensors) = read_checkpoint(path)?;
        let differing = [
            ("the network is another", header.config != *config),
            (
                "the images or their normalization are others",
                header.preprocess != *preprocess,
            ),
            ("the training settings are others", header.settings != *settings),
        ];
        if let Some((what, _)) = differing.iter().find(|(_, differs)| *differs) {
            return Err(TrainError::Resume {
                path: path.to_path_buf(),
                what: what.to_string(),
            });
        }
        let network = Network::from_checkpoint(path, &header, &tensors, device)?;
        let mut optimizer = AdamW::new(&network.store, settings.weight_decay);
        copy_tensors(path, &tensors, optimizer.state())?;
        optimizer.set_steps(header.steps);
        Ok(Trainer {
            network,
            optimizer,
            settings: header.settings,
            epochs: header.epochs,
        })
    }

    /// Trains one epoch; `on_step` is called with the number of steps done, of all steps, and the loss of each step.
    ///
    /// Returns the mean loss. Images that do not fill a batch are left out of this epoch; the next one has another
    /// order.
    pub fn epoch(
        &mut self,
        samples: &Samples,
        on_step: &mut dyn FnMut(usize, usize, f64),
    ) -> Result<f64, TrainError> {
        let classes = self.network.xception.config().classes;
        if let Some(&label) = samples.labels.iter().find(|&&label| label >= classes) {
            return Err(TrainError::Classes {
                network: classes,
                dataset: label as usize + 1,
            });
        }
        let batch = self.settings.batch.min(samples.len());
        if batch < 2 {
            return Err(TrainError::Settings(format!(
                "{} training images are too few",
                samples.len()
            )));
        }
        let mut random = SplitMix64::new(self.settings.seed, u64::from(self.epochs));
        let order = random.permutation(samples.len());
        let steps = order.len() / batch;
        let total = steps as u64 * u64::from(self.settings.epochs);
        let mut sum = 0.0;
        for (index, indices) in order.chunks_exact(batch).enumerate() {
            let rate = self.settings.learning_rate_at(self.optimizer.steps(), total);
            let loss = self.step(samples, indices, rate, &mut random);
            if !loss.is_finite() {
                return Err(TrainError::Diverged {
                    epoch: self.epochs + 1,
                    loss,
                });
            }
            sum += loss;
            on_step(index + 1, steps, loss);
        }
        self.epochs += 1;
        Ok(sum / steps as f64)
    }

    /// One step of the optimizer; returns the loss before it.
    fn step(&mut self, samples: &Samples, indices: &[usize], rate: f64, random: &mut SplitMix64) -> f64 {
        let device = self.network.store.device();
        let images = image_batch(&samples.images, indices, &self.network.preprocess, device);
        let images = self.settings.augmentation.apply(&images, random);
        let labels = label_batch(samples, indices, device);
        let logits = self.network.xception.forward(&images, true);
        let loss = logits.cross_entropy_loss::<Tensor>(
            &labels,
            None,
            Reduction::Mean,
            -100, // no label is ignored
            self.settings.label_smoothing,
        );
        self.optimizer.step(&loss, rate);
        loss.double_value(&[])
    }

    /// Writes a checkpoint, all or nothing.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let mut tensors: BTreeMap<String, Tensor> = self.network.store.variables().into_iter().collect();
        tensors.append(&mut self.optimizer.state());
        let header = Header {
            config: self.network.xception.config().clone(),
            preprocess: self.network.preprocess.clone(),
            settings: self.settings.clone(),
            epochs: self.epochs,
            steps: self.optimizer.steps(),
        };
        write_checkpoint(path, &header, tensors)
    }

    /// Epochs finished.
    pub fn epochs(&self) -> u32 {
        self.epochs
    }

    /// Whether all epochs are finished.
    pub fn is_finished(&self) -> bool {
        self.epochs >= self.settings.epochs
    }

    /// The network as trained so far.
    pub fn network(&self) -> &Network {
        &self.network
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_rises_and_falls() {
        let settings = Settings {
            learning_rate: 1.0,
            ..Settings::default()
        };
        let rates: Vec<f64> = (0..100)
            .map(|step| settings.learning_rate_at(step, 100))
            .collect();
        assert!(rates[0] > 0.0 && rates[0] < 0.11);
        assert!(rates[..10].is_sorted() && rates[10..].is_sorted_by(|a, b| a >= b));
        assert!(rates[10] > 0.97 && rates[99] < 0.001);
        assert!(settings.learning_rate_at(0, 1) > 0.0);
    }

    #[test]
    fn senseless_settings_are_refused() {
        let good = Settings::default();
        good.check().unwrap();
        let augmentation = Augmentation {
            rotation: f64::NAN,
            ..good.augmentation
        };
        let bad = [
            Settings {
                epochs: 0,
                ..good.clone()
            },
            Settings {
                batch: 1,
                ..good.clone()
            },
            Settings {
                learning_rate: 0.0,
                ..good.clone()
            },
            Settings {
                weight_decay: -1.0,
                ..good.clone()
            },
            Settings {
                label_smoothing: 1.0,
                ..good.clone()
            },
            Settings {
                augmentation,
                ..good.clone()
            },
        ];
        for settings in bad {
            assert!(settings.check().is_err(), "{settings:?}");
        }
    }
}

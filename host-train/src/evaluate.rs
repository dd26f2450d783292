//! Accuracy on labelled images.

use sepconv_quantize::dataset::Samples;
use serde::Serialize;
use tch::Kind;

use crate::batch::{image_batch, label_batch};
use crate::{Network, TrainError};

const BATCH: usize = 128;

/// How often a network is right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Accuracy {
    /// Images looked at.
    pub count: usize,
    /// Part of them whose class got the highest logit.
    pub top1: f64,
    /// Part of them whose class is among the five highest logits.
    pub top5: f64,
}

/// Measures `network` on `samples`; `on_batch` is called with the number of images done.
pub fn evaluate(
    network: &Network,
    samples: &Samples,
    on_batch: &mut dyn FnMut(usize),
) -> Result<Accuracy, TrainError> {
    let classes = network.xception.config().classes;
    if let Some(&label) = samples.labels.iter().find(|&&label| label >= classes) {
        return Err(TrainError::Classes {
            network: classes,
            dataset: label as usize + 1,
        });
    }
    let device = network.store.device();
    let indices: Vec<usize> = (0..samples.len()).collect();
    let (mut top1, mut top5) = (0.0, 0.0);
    for batch in indices.chunks(BATCH) {
        let images = image_batch(&samples.images, batch, &network.preprocess, device);
        let labels = label_batch(samples, batch, device).unsqueeze(1);
        let logits = tch::no_grad(|| network.xception.forward(&images, false));
        let (_, best) = logits.topk(i64::from(classes.min(5)), 1, true, true);
        let hits = best.eq_tensor(&labels).to_kind(Kind::Float);
        top1 += hits.select(1, 0).sum(Kind::Double).double_value(&[]);
        top5 += hits.sum(Kind::Double).double_value(&[]);
        on_batch(batch.last().map_or(0, |last| last + 1));
    }
    let count = samples.len();
    Ok(Accuracy {
        count,
        top1: top1 / count as f64,
        top5: top5 / count as f64,
    })
}

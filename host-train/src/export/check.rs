//! The same batch through libtorch and, exported, through tract.

use sepconv_quantize::dataset::Images;
use tract_onnx::prelude::*;

use crate::batch::image_batch;
use crate::network::values_of;
use crate::random::SplitMix64;
use crate::{Network, TrainError};

/// The largest difference of two logits that passes, as a part of the largest logit or of 1, whichever is more.
pub const ALLOWED_DIFFERENCE: f32 = 1e-4;

const BATCH: usize = 4;

/// Runs a batch of random images through `network` and through tract reading `onnx`.
///
/// Returns the largest difference of two logits, measured as [`ALLOWED_DIFFERENCE`] says; more than that is an error.
pub fn check(network: &Network, onnx: &[u8]) -> Result<f32, TrainError> {
    let size = network.preprocess.size();
    let mut random = SplitMix64::new(0, 0);
    let noise = (0..BATCH * size.bytes())
        .map(|_| random.next_u64() as u8)
        .collect();
    let batch: Vec<usize> = (0..BATCH).collect();
    let device = network.store.device();
    let images = image_batch(&Images::new(size, noise), &batch, &network.preprocess, device);
    let expected = values_of(&tch::no_grad(|| network.xception.forward(&images, false)));
    let shape: Vec<usize> = images.size().iter().map(|&side| side as usize).collect();
    let found = run_tract(onnx, &shape, &values_of(&images))
        .map_err(|error| TrainError::Tract(format!("{error:#}")))?;
    if found.len() != expected.len() {
        return Err(TrainError::Tract(format!(
            "{} logits, not {}",
            found.len(),
            expected.len()
        )));
    }
    let unit = expected
        .iter()
        .fold(1f32, |largest, logit| largest.max(logit.abs()));
    let difference = expected.iter().zip(&found).fold(0f32, |largest, (a, b)| {
        let difference = (a - b).abs() / unit;
        // Not `max`, which would drop a NaN.
        if difference <= largest {
            largest
        } else {
            difference
        }
    });
    if difference <= ALLOWED_DIFFERENCE {
        Ok(difference)
    } else {
        Err(TrainError::Disagreement {
            difference,
            allowed: ALLOWED_DIFFERENCE,
        })
    }
}

fn run_tract(mut onnx: &[u8], shape: &[usize], images: &[f32]) -> TractResult<Vec<f32>> {
    let model = tract_onnx::onnx()
        .model_for_read(&mut onnx)?
        .with_input_fact(0, f32::fact(shape).into())?
        .into_optimized()?
        .into_runnable()?;
    let outputs = model.run(tvec!(Tensor::from_shape(shape, images)?.into()))?;
    Ok(outputs[0].to_plain_array_view::<f32>()?.iter().copied().collect())
}

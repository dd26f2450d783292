//! What is done to pixels before they enter a network.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{DatasetError, ImageSize};

/// The key of an ONNX model's `metadata_props` that holds a [`Preprocess`] as JSON.
pub const METADATA_KEY: &str = "sepconv.preprocess";

/// The preprocessing that a float network was trained with: resize to `height` × `width`, then `(pixel - mean) / std` for each channel.
///
/// Pixels are 0 to 255; three channels are red, green, blue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preprocess {
    /// Rows of the network's input.
    pub height: u32,
    /// Columns of the network's input.
    pub width: u32,
    /// 1 (grey) or 3 (RGB).
    pub channels: u32,
    /// For each channel, in pixel units.
    pub mean: Vec<f32>,
    /// For each channel, in pixel units, above 0.
    pub std: Vec<f32>,
    /// Class names, or nothing if they are unknown.
    #[serde(default)]
    pub classes: Vec<String>,
}

impl Preprocess {
    /// The size images are resized to.
    pub fn size(&self) -> ImageSize {
        ImageSize {
            height: self.height,
            width: self.width,
            channels: self.channels,
        }
    }

    /// Checks that there are a mean and a standard deviation for each channel, and that they are usable.
    pub fn check(&self) -> Result<(), DatasetError> {
        self.size().check()?;
        let channels = self.channels as usize;
        if self.mean.len() != channels || self.std.len() != channels {
            return Err(DatasetError::Preprocess(format!(
                "{} means and {} standard deviations for {channels} channels",
                self.mean.len(),
                self.std.len()
            )));
        }
        if !self.mean.iter().all(|mean| mean.is_finite()) {
            return Err(DatasetError::Preprocess(format!(
                "mean {:?} is not finite",
                self.mean
            )));
        }
        if !self.std.iter().all(|std| std.is_finite() && *std > 0.0) {
            return Err(DatasetError::Preprocess(format!(
                "standard deviation {:?} is not above 0",
                self.std
            )));
        }
        Ok(())
    }

    /// Normalizes pixels, HWC or NHWC, keeping their layout.
    pub fn normalize(&self, pixels: &[u8]) -> Vec<f32> {
        let channels = self.mean.iter().zip(&self.std).cycle();
        pixels
            .iter()
            .zip(channels)
            .map(|(&pixel, (mean, std))| (f32::from(pixel) - mean) / std)
            .collect()
    }

    /// Reads the description from an ONNX model's `metadata_props`; `None` if the model carries none.
    pub fn from_metadata(metadata: &HashMap<String, String>) -> Result<Option<Preprocess>, DatasetError> {
        let Some(json) = metadata.get(METADATA_KEY) else {
            return Ok(None);
        };
        let preprocess: Preprocess =
            serde_json::from_str(json).map_err(|error| DatasetError::Preprocess(error.to_string()))?;
        preprocess.check()?;
        Ok(Some(preprocess))
    }

    /// The description as JSON, as [`Preprocess::from_metadata`] reads it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain numbers and strings serialize")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgb() -> Preprocess {
        let classes = vec!["cat".to_string(), "dog".to_string()];
        Preprocess {
            height: 2,
            width: 3,
            channels: 3,
            mean: vec![0.0, 10.0, 20.0],
            std: vec![1.0, 2.0, 4.0],
            classes,
        }
    }

    #[test]
    fn normalizes_each_channel() {
        assert_eq!(
            rgb().normalize(&[1, 12, 24, 2, 14, 28]),
            [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]
        );
    }

    #[test]
    fn survives_the_way_through_metadata() {
        let mut metadata = HashMap::from([(METADATA_KEY.to_string(), rgb().to_json())]);
        assert_eq!(Preprocess::from_metadata(&metadata).unwrap(), Some(rgb()));
        metadata.insert(METADATA_KEY.to_string(), "{".to_string());
        assert!(Preprocess::from_metadata(&metadata).is_err());
        let short = Preprocess {
            std: vec![1.0],
            ..rgb()
        };
        metadata.insert(METADATA_KEY.to_string(), short.to_json());
        assert!(
            Preprocess::from_metadata(&metadata)
                .unwrap_err()
                .to_string()
                .contains("1 standard deviations")
        );
        assert_eq!(Preprocess::from_metadata(&HashMap::new()).unwrap(), None);
    }

    #[test]
    fn refuses_what_cannot_be_computed() {
        assert!(
            Preprocess {
                std: vec![1.0, 0.0, 1.0],
                ..rgb()
            }
            .check()
            .is_err()
        );
        assert!(
            Preprocess {
                mean: vec![f32::NAN, 0.0, 1.0],
                ..rgb()
            }
            .check()
            .is_err()
        );
        assert!(Preprocess { height: 0, ..rgb() }.check().is_err());
    }
}

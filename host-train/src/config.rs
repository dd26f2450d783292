//! The family of networks: which Xception to build.

use sepconv_quantize::dataset::ImageSize;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// Which member of the Xception family to build.
///
/// The paper is F. Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", 2017; its Figure 5 is
/// [`XceptionConfig::full`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XceptionConfig {
    /// Number of classes, at least 2.
    pub classes: u32,
    /// Rows of the input image.
    pub height: u32,
    /// Columns of the input image.
    pub width: u32,
    /// Channels of the input image: 1 (grey) or 3 (RGB).
    pub channels: u32,
    /// Factor on the paper's channel numbers, which are then rounded to multiples of 8, at least 8.
    pub width_multiplier: f64,
    /// Modules of the middle flow; 8 in the paper.
    pub middle_repeats: u32,
    /// Stride of the first convolution, 1 or 2; 2 in the paper.
    pub stem_stride: u32,
}

impl XceptionConfig {
    /// The paper's Figure 5: 299×299 RGB, 36 convolution layers in 14 modules.
    pub fn full(classes: u32) -> XceptionConfig {
        XceptionConfig {
            classes,
            height: 299,
            width: 299,
            channels: 3,
            width_multiplier: 1.0,
            middle_repeats: 8,
            stem_stride: 2,
        }
    }

    /// A network for images of about 28 to 32 pixels and a microcontroller: a sixteenth of the channels, one module
    /// in the middle flow, full resolution in the stem. Fewer than 60,000 parameters with 10 classes.
    pub fn micro(classes: u32, size: ImageSize) -> XceptionConfig {
        XceptionConfig {
            classes,
            height: size.height,
            width: size.width,
            channels: size.channels,
            width_multiplier: 1.0 / 16.0,
            middle_repeats: 1,
            stem_stride: 1,
        }
    }

    /// The size of the input image.
    pub fn size(&self) -> ImageSize {
        ImageSize {
            height: self.height,
            width: self.width,
            channels: self.channels,
        }
    }

    /// The number of channels this configuration has where the paper's network has `paper`.
    pub fn scaled(&self, paper: u32) -> u32 {
        let eighths = (f64::from(paper) * self.width_multiplier / 8.0).round() as u32;
        8 * eighths.max(1)
    }

    /// Checks that the network can be built.
    pub fn check(&self) -> Result<(), TrainError> {
        let refuse = |what: String| Err(TrainError::Config(what));
        self.size().check()?;
        if !(2..=100_000).contains(&self.classes) {
            return refuse(format!("{} classes; a classifier has 2 to 100000", self.classes));
        }
        if !(self.width_multiplier > 0.0 && self.width_multiplier <= 4.0) {
            return refuse(format!(
                "width multiplier {} is not above 0 and at most 4",
                self.width_multiplier
            ));
        }
        if self.middle_repeats > 64 {
            return refuse(format!(
                "{} modules in the middle flow; 64 at most",
                self.middle_repeats
            ));
        }
        if !matches!(self.stem_stride, 1 | 2) {
            return refuse(format!("stem stride {}; 1 or 2", self.stem_stride));
        }
        // Two 3×3 convolutions without padding, the first with the stem's stride, must leave a pixel.
        let smallest = 3 + 2 * self.stem_stride;
        if self.height < smallest || self.width < smallest {
            return refuse(format!(
                "images of {}x{} are too small; {smallest}x{smallest} at least with stem stride {}",
                self.height, self.width, self.stem_stride
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_multiples_of_eight() {
        let full = XceptionConfig::full(1000);
        for paper in [32, 64, 128, 256, 728, 1024, 1536, 2048] {
            assert_eq!(full.scaled(paper), paper);
        }
        let micro = XceptionConfig::micro(
            10,
            ImageSize {
                height: 28,
                width: 28,
                channels: 1,
            },
        );
        assert_eq!(
            [32, 256, 728, 2048].map(|paper| micro.scaled(paper)),
            [8, 16, 48, 128]
        );
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        let good = XceptionConfig::full(10);
        good.check().unwrap();
        let bad = [
            XceptionConfig {
                classes: 1,
                ..good.clone()
            },
            XceptionConfig {
                channels: 2,
                ..good.clone()
            },
            XceptionConfig {
                height: 6,
                ..good.clone()
            },
            XceptionConfig {
                width_multiplier: 0.0,
                ..good.clone()
            },
            XceptionConfig {
                width_multiplier: f64::NAN,
                ..good.clone()
            },
            XceptionConfig {
                middle_repeats: 65,
                ..good.clone()
            },
            XceptionConfig {
                stem_stride: 3,
                ..good.clone()
            },
        ];
        for config in bad {
            assert!(config.check().is_err(), "{config:?}");
        }
        XceptionConfig {
            height: 7,
            width: 7,
            ..good
        }
        .check()
        .unwrap();
    }
}

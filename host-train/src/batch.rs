//! From stored images to the tensors a network takes.

use sepconv_quantize::dataset::{Images, Preprocess, Samples};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::random::SplitMix64;

/// How training images are varied at random. Everything at 0 leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Augmentation {
    /// Largest shift, as a part of the image's side.
    pub shift: f64,
    /// Largest rotation, in degrees.
    pub rotation: f64,
    /// Largest change of scale: 0.1 is 10 % larger or smaller.
    pub scale: f64,
    /// Whether half the images are mirrored left to right. Wrong for digits.
    pub flip: bool,
}

impl Augmentation {
    /// Leaves images as they are.
    pub const NONE: Augmentation = Augmentation {
        shift: 0.0,
        rotation: 0.0,
        scale: 0.0,
        flip: false,
    };

    /// Varies a batch of images, [batch, channels, height, width], each in its own way. What comes into view from
    /// outside repeats the border.
    pub fn apply(&self, images: &Tensor, random: &mut SplitMix64) -> Tensor {
        if *self == Augmentation::NONE {
            return images.shallow_clone();
        }
        let batch = images.size()[0];
        let maps: Vec<f32> = (0..batch)
            .flat_map(|_| self.affine_map(random))
            .map(|x| x as f32)
            .collect();
        let maps = Tensor::from_slice(&maps)
            .view([batch, 2, 3])
            .to_device(images.device());
        let grid = Tensor::affine_grid_generator(&maps, images.size(), false);
        const BILINEAR: i64 = 0;
        const BORDER: i64 = 1;
        images.grid_sampler(&grid, BILINEAR, BORDER, false)
    }

    /// A random 2×3 matrix from places in the result to places in the image; the image spans -1 to 1.
    fn affine_map(&self, random: &mut SplitMix64) -> [f64; 6] {
        let (sin, cos) = (self.rotation.to_radians() * random.symmetric()).sin_cos();
        let scale = 1.0 + self.scale * random.symmetric();
        // The image is 2 units long.
        let (right, down) = (
            2.0 * self.shift * random.symmetric(),
            2.0 * self.shift * random.symmetric(),
        );
        let mirror = if random.symmetric() < 0.0 && self.flip {
            -1.0
        } else {
            1.0
        };
        [
            mirror * scale * cos,
            -scale * sin,
            right,
            mirror * scale * sin,
            scale * cos,
            down,
        ]
    }
}

/// The images at `indices`, normalized: [batch, channels, height, width], `f32`.
pub fn image_batch(images: &Images, indices: &[usize], preprocess: &Preprocess, device: Device) -> Tensor {
    let size = images.size();
    let pixels: Vec<u8> = indices
        .iter()
        .flat_map(|&index| images.get(index))
        .copied()
        .collect();
    let shape = [
        indices.len() as i64,
        i64::from(size.height),
        i64::from(size.width),
        i64::from(size.channels),
    ];
    let pixels = Tensor::from_slice(&pixels)
        .view(shape)
        .to_device(device)
        .to_kind(Kind::Float);
    let mean = Tensor::from_slice(&preprocess.mean).to_device(device);
    let std = Tensor::from_slice(&preprocess.std).to_device(device);
    ((pixels - mean) / std).permute([0, 3, 1, 2]).contiguous()
}

/// The labels at `indices`: `[batch]`, `i64`.
pub fn label_batch(samples: &Samples, indices: &[usize], device: Device) -> Tensor {
    let labels: Vec<i64> = indices
        .iter()
        .map(|&index| i64::from(samples.labels[index]))
        .collect();
    Tensor::from_slice(&labels).to_device(device)
}

/// The preprocessing that gives the pixels of `images` mean 0 and standard deviation 1 in each channel.
pub fn standardize(images: &Images, classes: &[String]) -> Preprocess {
    let size = images.size();
    let channels = size.channels as usize;
    let count = (images.pixels().len() / channels) as f64;
    let mut sums = vec![(0u64, 0u64); channels];
    for pixel in images.pixels().chunks_exact(channels) {
        for (sum, &value) in sums.iter_mut().zip(pixel) {
            sum.0 += u64::from(value);
            sum.1 += u64::from(value) * u64::from(value);
        }
    }
    let mean = |sum: u64| sum as f64 / count;
    // Flat images have no deviation; 1 leaves them finite.
    let deviation = |(sum, squares): (u64, u64)| (mean(squares) - mean(sum).powi(2)).max(1.0).sqrt();
    Preprocess {
        height: size.height,
        width: size.width,
        channels: size.channels,
        mean: sums.iter().map(|sum| mean(sum.0) as f32).collect(),
        std: sums.iter().map(|&sum| deviation(sum) as f32).collect(),
        classes: classes.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use sepconv_quantize::dataset::ImageSize;

    use super::*;

    fn gradient() -> Images {
        let size = ImageSize {
            height: 4,
            width: 4,
            channels: 3,
        };
        Images::new(size, (0..2 * 48).map(|value| value as u8 * 2).collect())
    }

    #[test]
    fn batches_are_standardized_and_in_channel_order() {
        let images = gradient();
        let preprocess = standardize(&images, &[]);
        let batch = image_batch(&images, &[0, 1], &preprocess, Device::Cpu);
        assert_eq!(batch.size(), [2, 3, 4, 4]);
        for channel in 0..3 {
            let values = batch.select(1, channel);
            assert!(values.mean(Kind::Float).double_value(&[]).abs() < 1e-5);
            assert!((values.std(false).double_value(&[]) - 1.0).abs() < 1e-5);
        }
        // NHWC against NCHW: image 1, channel 2, row 3, column 1.
        let expected = preprocess.normalize(images.get(1))[(3 * 4 + 1) * 3 + 2];
        assert!((batch.double_value(&[1, 2, 3, 1]) as f32 - expected).abs() < 1e-6);
    }

    #[test]
    fn augmentation_flips_shifts_and_repeats() {
        let images = gradient();
        let preprocess = standardize(&images, &[]);
        let batch = image_batch(&images, &[0; 16], &preprocess, Device::Cpu);
        let same = Augmentation::NONE.apply(&batch, &mut SplitMix64::new(1, 0));
        assert_eq!(same, batch);

        let flip = Augmentation {
            flip: true,
            ..Augmentation::NONE
        };
        let flipped = flip.apply(&batch, &mut SplitMix64::new(1, 0));
        let mirrored = batch.flip([3]);
        let near = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]) < 1e-4;
        let kinds: Vec<(bool, bool)> = (0..16)
            .map(|index| (flipped.get(index), batch.get(index), mirrored.get(index)))
            .map(|(found, plain, mirror)| (near(&found, &plain), near(&found, &mirror)))
            .collect();
        assert!(
            kinds.contains(&(true, false)) && kinds.contains(&(false, true)),
            "{kinds:?}"
        );
        assert!(kinds.iter().all(|&(plain, mirror)| plain != mirror), "{kinds:?}");

        let all = Augmentation {
            shift: 0.1,
            rotation: 10.0,
            scale: 0.1,
            flip: false,
        };
        let varied = all.apply(&batch, &mut SplitMix64::new(1, 0));
        assert_eq!(varied, all.apply(&batch, &mut SplitMix64::new(1, 0)));
        assert!(!near(&varied.get(0), &varied.get(1)));
        assert!(varied.max().double_value(&[]) <= batch.max().double_value(&[]) + 1e-4);
    }
}

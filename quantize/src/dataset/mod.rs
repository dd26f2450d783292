//! Reading labelled images: MNIST IDX files, CIFAR-10 binary files and folders of image files.
//!
//! [`Dataset::open`] looks at a directory, finds out which format it holds and returns its training, calibration
//! and test images, decoded and resized. The calibration images are never among the test images.
//!
//! [`calibration_images`] reads images without their classes. For single files there are [`decode::load_image`] and
//! the table of labels that [`labels::read_labels`] reads.

pub mod cifar;
pub mod decode;
mod error;
pub mod folder;
pub mod idx;
pub mod labels;
pub mod preprocess;
mod split;

use std::path::Path;

pub use error::DatasetError;
pub use preprocess::Preprocess;

/// Calibration images taken out of the training images when a data set names none, at most.
pub const CALIBRATION_IMAGES: usize = 200;

/// The size of an image in pixels, and its number of channels: 1 (grey) or 3 (RGB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSize {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
    /// 1 for grey, 3 for red, green, blue.
    pub channels: u32,
}

impl ImageSize {
    /// Bytes of one image: height × width × channels.
    pub fn bytes(self) -> usize {
        self.height as usize * self.width as usize * self.channels as usize
    }

    /// Checks that the size is one that images can be decoded to.
    pub fn check(self) -> Result<(), DatasetError> {
        let side = 1..=4096;
        if !side.contains(&self.height) || !side.contains(&self.width) || !matches!(self.channels, 1 | 3) {
            return Err(DatasetError::Size(self));
        }
        Ok(())
    }
}

impl std::fmt::Display for ImageSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// Images of one size, in memory, 8 bits a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    size: ImageSize,
    pixels: Vec<u8>,
}

impl Images {
    /// Wraps `pixels`, laid out NHWC: image, row, column, channel.
    ///
    /// # Panics
    /// If `pixels` is not a whole number of images.
    pub fn new(size: ImageSize, pixels: Vec<u8>) -> Images {
        assert_eq!(
            pixels.len() % size.bytes(),
            0,
            "not a whole number of {size} images"
        );
        Images { size, pixels }
    }

    /// The size of every image.
    pub fn size(&self) -> ImageSize {
        self.size
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.pixels.len() / self.size.bytes()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.pixels.is_empty()
    }

    /// All pixels, NHWC.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels of image `index`, HWC.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn get(&self, index: usize) -> &[u8] {
        &self.pixels[index * self.size.bytes()..][..self.size.bytes()]
    }

    /// The images at `indices`, in that order.
    fn select(&self, indices: &[usize]) -> Images {
        let pixels = indices
            .iter()
            .flat_map(|&index| self.get(index))
            .copied()
            .collect();
        Images::new(self.size, pixels)
    }
}

/// Images with the class of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    /// The images.
    pub images: Images,
    /// The class index of each image.
    pub labels: Vec<u32>,
}

impl Samples {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The samples at `indices`, in that order.
    ///
    /// # Panics
    /// If an index is out of range.
    pub fn select(&self, indices: &[usize]) -> Samples {
        Samples {
            images: self.images.select(indices),
            labels: indices.iter().map(|&index| self.labels[index]).collect(),
        }
    }

    /// The first `count` samples, or all if there are fewer.
    pub fn first(&self, count: usize) -> Samples {
        let indices: Vec<usize> = (0..count.min(self.len())).collect();
        self.select(&indices)
    }
}

/// A labelled set of images, split into three parts that share no image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Class names; a label is an index into them.
    pub classes: Vec<String>,
    /// For training.
    pub train: Samples,
    /// For choosing quantization ranges.
    pub calibration: Samples,
    /// For measuring accuracy, and nothing else.
    pub test: Samples,
}

impl Dataset {
    /// Reads the data set in `dir` and resizes its images to `size`, or leaves them as they are.
    ///
    /// `dir` holds MNIST IDX files ([`idx`]), CIFAR-10 binary files ([`cifar`]), or a folder of images for each
    /// class ([`folder`]); the last has no size of its own and needs `size`.
    pub fn open(dir: &Path, size: Option<ImageSize>) -> Result<Dataset, DatasetError> {
        if let Some(size) = size {
            size.check()?;
        }
        if !dir.is_dir() {
            return Err(DatasetError::NotADirectory(dir.to_path_buf()));
        }
        let dataset = if idx::is_idx(dir) {
            idx::read(dir)?
        } else if cifar::is_cifar(dir) {
            cifar::read(dir)?
        } else {
            // Image files are resized as they are decoded, so that large images are not all held in memory.
            return folder::read(dir, size.ok_or_else(|| DatasetError::NoSize(dir.to_path_buf()))?);
        };
        Ok(match size {
            Some(size) => dataset.resized(size),
            None => dataset,
        })
    }

    fn resized(self, size: ImageSize) -> Dataset {
        let resize = |part: Samples| Samples {
            images: decode::resize(part.images, size),
            labels: part.labels,
        };
        Dataset {
            classes: self.classes,
            train: resize(self.train),
            calibration: resize(self.calibration),
            test: resize(self.test),
        }
    }
}

/// Reads up to `limit` images to calibrate with: the calibration part of a data set that has one, else its training
/// images, else all image files in `dir` and below. Never the test images of a data set in a known format.
pub fn calibration_images(dir: &Path, size: ImageSize, limit: usize) -> Result<Images, DatasetError> {
    size.check()?;
    if idx::is_idx(dir) || cifar::is_cifar(dir) {
        return Ok(Dataset::open(dir, Some(size))?.calibration.first(limit).images);
    }
    let part = ["calibration", "train"]
        .iter()
        .map(|part| dir.join(part))
        .find(|path| path.is_dir());
    folder::read_unlabelled(part.as_deref().unwrap_or(dir), size, limit)
}

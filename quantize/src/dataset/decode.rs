//! Decoding image files and resizing.

use std::path::Path;

use image::{DynamicImage, GrayImage, ImageReader, RgbImage};
use rayon::prelude::*;

use super::{DatasetError, ImageSize, Images};
use crate::preprocess::to_pixels;
use crate::resample::Filter;

/// Reads one image file (PNG, JPEG or BMP, told by its content) and resizes the whole of it to `size`.
///
/// Returns height × width × channels bytes, HWC, RGB if there are three channels. Resizing is bicubic, as
/// Pillow does it ([`crate::resample`]), and does not keep the aspect ratio. Colour becomes grey by the Rec. 601 weights;
/// transparency is ignored.
pub fn load_image(path: &Path, size: ImageSize) -> Result<Vec<u8>, DatasetError> {
    size.check()?;
    let reader = ImageReader::open(path).map_err(DatasetError::io(path))?;
    let reader = reader.with_guessed_format().map_err(DatasetError::io(path))?;
    let image = reader.decode().map_err(|source| DatasetError::Image {
        path: path.to_path_buf(),
        source,
    })?;
    Ok(resize_image(image, size))
}

/// Reads many image files, in parallel, as [`load_image`] does.
pub fn load_images<P: AsRef<Path> + Sync>(paths: &[P], size: ImageSize) -> Result<Images, DatasetError> {
    let images: Vec<Vec<u8>> = paths
        .par_iter()
        .map(|path| load_image(path.as_ref(), size))
        .collect::<Result<_, _>>()?;
    Ok(Images::new(size, images.concat()))
}

/// Resizes images as [`load_image`] does.
pub fn resize(images: Images, size: ImageSize) -> Images {
    if images.size() == size {
        return images;
    }
    let resized: Vec<Vec<u8>> = (0..images.len())
        .into_par_iter()
        .map(|index| resize_image(to_dynamic(images.get(index), images.size()), size))
        .collect();
    Images::new(size, resized.concat())
}

/// Wraps the pixels of one image (HWC) for the `image` crate.
///
/// # Panics
/// If `pixels` does not have the length that `size` says.
pub(super) fn to_dynamic(pixels: &[u8], size: ImageSize) -> DynamicImage {
    let wrapped = if size.channels == 1 {
        GrayImage::from_raw(size.width, size.height, pixels.to_vec()).map(DynamicImage::ImageLuma8)
    } else {
        RgbImage::from_raw(size.width, size.height, pixels.to_vec()).map(DynamicImage::ImageRgb8)
    };
    wrapped.expect("pixels have the length that the size says")
}

fn resize_image(image: DynamicImage, size: ImageSize) -> Vec<u8> {
    // The colour type changes first: fewer channels are quicker to resize.
    let pixels = to_pixels(image, size.channels);
    let (height, width) = (size.height as usize, size.width as usize);
    pixels
        .resize(pixels.area(), height, width, Filter::Bicubic)
        .values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizing_keeps_flat_colour_and_converts_channels() {
        let rgb = ImageSize {
            height: 4,
            width: 6,
            channels: 3,
        };
        let flat = Images::new(rgb, [200, 100, 50].repeat(24));
        let small = ImageSize {
            height: 2,
            width: 5,
            channels: 3,
        };
        assert_eq!(resize(flat.clone(), small).pixels(), [200, 100, 50].repeat(10));

        let grey = resize(
            flat,
            ImageSize {
                height: 3,
                width: 3,
                channels: 1,
            },
        );
        // Rec. 601: 0.299 red + 0.587 green + 0.114 blue.
        assert!(grey.pixels().iter().all(|&p| p == 124), "{:?}", grey.pixels());
        let back = resize(
            grey.clone(),
            ImageSize {
                channels: 3,
                ..grey.size()
            },
        );
        assert_eq!(back.get(0)[..3], [grey.pixels()[0]; 3]);
    }

    #[test]
    fn errors_name_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broken.png");
        let size = ImageSize {
            height: 2,
            width: 2,
            channels: 1,
        };
        assert!(matches!(load_image(&path, size), Err(DatasetError::Io { .. })));
        std::fs::write(&path, b"not an image").unwrap();
        let error = load_image(&path, size).unwrap_err();
        assert!(matches!(error, DatasetError::Image { .. }));
        assert!(error.to_string().contains("broken.png"), "{error}");
        let zero = ImageSize { height: 0, ..size };
        assert!(matches!(load_image(&path, zero), Err(DatasetError::Size(_))));
    }
}

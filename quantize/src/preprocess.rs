//! From image files to a network's input, as the preprocessing stored in a model says.

use crate::dataset::DatasetError;
use crate::network::Preprocess;
use crate::resample::{Area, Filter, Pixels};
use image::{DynamicImage, ImageReader};
use sepconv::Shape;
use std::path::Path;

/// A checked [`Preprocess`] for inputs of one shape.
#[derive(Clone, Debug)]
pub struct Preprocessor {
    shape: Shape,
    mean: Vec<f32>,
    std: Vec<f32>,
    takes_images: bool,
    swap_red_and_blue: bool,
    filter: Filter,
    crop: Option<f32>,
}

impl Preprocessor {
    /// Checks that a description makes inputs of a shape.
    ///
    /// # Errors
    ///
    /// [`DatasetError::Preprocess`] says which value is not usable.
    pub fn new(preprocess: &Preprocess, shape: Shape) -> Result<Self, DatasetError> {
        let wrong = |what: String| Err(DatasetError::Preprocess(what));
        let channels = shape.channels as usize;
        let (order, wanted) = (preprocess.channel_order.as_str(), shape.channels);
        match (order, channels) {
            ("RGB" | "BGR", 3) | ("GRAY", 1) | ("NONE", _) => {}
            ("RGB" | "BGR" | "GRAY", _) => {
                return wrong(format!(
                    "images are {order}, but the network's input has {wanted} channels"
                ));
            }
            _ => return wrong(format!("channel order {order:?} is none of RGB, BGR, GRAY, NONE")),
        }
        let filter = match preprocess.resize.as_str() {
            "bilinear" => Filter::Bilinear,
            "bicubic" => Filter::Bicubic,
            other => return wrong(format!("resizing {other:?} is neither bilinear nor bicubic")),
        };
        let (mean, std) = (&preprocess.mean, &preprocess.std);
        for (name, values) in [("mean", mean), ("standard deviation", std)] {
            if values.len() != 1 && values.len() != channels {
                return wrong(format!(
                    "{} values of the {name} for {channels} channels",
                    values.len()
                ));
            }
        }
        if mean.iter().any(|mean| !mean.is_finite()) {
            return wrong(format!("mean {mean:?} is not finite"));
        }
        if std.iter().any(|std| !std.is_finite() || *std <= 0.0) {
            return wrong(format!("standard deviation {std:?} is not above 0"));
        }
        if preprocess.crop.is_some_and(|crop| !(crop > 0.0 && crop <= 1.0)) {
            return wrong(format!("crop {:?} is not above 0 and at most 1", preprocess.crop));
        }
        let spread = |values: &[f32]| values.iter().copied().cycle().take(channels).collect();
        Ok(Preprocessor {
            shape,
            mean: spread(mean),
            std: spread(std),
            takes_images: order != "NONE",
            swap_red_and_blue: order == "BGR",
            filter,
            crop: preprocess.crop,
        })
    }

    /// Reads an image file (PNG, JPEG or BMP, told by its content): pixels of the input's height, width and channels.
    ///
    /// # Errors
    ///
    /// [`DatasetError`] if the file cannot be read or decoded.
    pub fn load(&self, path: &Path) -> Result<Vec<u8>, DatasetError> {
        if !self.takes_images {
            return Err(DatasetError::Preprocess(format!(
                "{}: the network's inputs are no images; give an .npy or .npz array of them",
                path.display()
            )));
        }
        let io = |source| DatasetError::Io {
            path: path.to_path_buf(),
            source,
        };
        let reader = ImageReader::open(path)
            .map_err(io)?
            .with_guessed_format()
            .map_err(io)?;
        let decoded = reader.decode();
        let image = decoded.map_err(|source| DatasetError::Image {
            path: path.to_path_buf(),
            source,
        })?;
        Ok(self.pixels(&to_pixels(image, self.shape.channels)))
    }

    /// An image (one channel, or RGB) resized as [`load`](Self::load) does, in the network's order of channels.
    pub fn pixels(&self, image: &Pixels) -> Vec<u8> {
        let (height, width) = (self.shape.height as usize, self.shape.width as usize);
        let area = match self.crop {
            None => image.area(),
            Some(crop) => central_area(image, height as f64 / width as f64, crop as f64),
        };
        let mut pixels = image.resize(area, height, width, self.filter).values;
        if self.swap_red_and_blue {
            pixels.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
        }
        pixels
    }

    /// The network's real input: `(pixel − mean) ÷ std`, NHWC.
    pub fn normalize(&self, pixels: &[u8]) -> Vec<f32> {
        self.normalize_values(pixels)
    }

    /// The same for values that are no pixels, such as features in int8.
    pub fn normalize_values<T: Copy + Into<f32>>(&self, values: &[T]) -> Vec<f32> {
        let channels = self.mean.iter().zip(&self.std).cycle();
        let values = values.iter().zip(channels);
        values
            .map(|(value, (mean, std))| ((*value).into() - mean) / std)
            .collect()
    }
}

/// The largest area of an aspect (height ÷ width) around an image's centre, times a fraction.
fn central_area(image: &Pixels, aspect: f64, fraction: f64) -> Area {
    let (height, width) = (image.height as f64, image.width as f64);
    let width_used = width.min(height / aspect) * fraction;
    let height_used = (width_used * aspect).min(height);
    Area {
        top: (height - height_used) / 2.0,
        left: (width - width_used) / 2.0,
        height: height_used,
        width: width_used,
    }
}

/// A decoded image as pixels of one or three channels. Colour becomes grey by the Rec. 601 weights in 16-bit fixed point,
/// as Pillow and OpenCV do it; transparency is ignored.
pub fn to_pixels(image: DynamicImage, channels: u32) -> Pixels {
    let (height, width) = (image.height() as usize, image.width() as usize);
    let is_grey = !image.color().has_color();
    let values = match channels {
        1 if is_grey => image.into_luma8().into_raw(),
        1 => image
            .into_rgb8()
            .as_raw()
            .as_chunks()
            .0
            .iter()
            .map(|pixel| grey(*pixel))
            .collect(),
        _ => image.into_rgb8().into_raw(),
    };
    Pixels {
        height,
        width,
        channels: if channels == 1 { 1 } else { 3 },
        values,
    }
}

fn grey([red, green, blue]: [u8; 3]) -> u8 {
    ((red as u32 * 19595 + green as u32 * 38470 + blue as u32 * 7471 + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description() -> Preprocess {
        Preprocess {
            mean: vec![10.0],
            std: vec![2.0],
            channel_order: "BGR".into(),
            resize: "bilinear".into(),
            crop: None,
        }
    }

    #[test]
    fn pixels_become_inputs() {
        let preprocessor = Preprocessor::new(&description(), Shape::new(1, 2, 3)).unwrap();
        let image = Pixels {
            height: 1,
            width: 2,
            channels: 3,
            values: vec![10, 20, 30, 40, 50, 60],
        };
        let pixels = preprocessor.pixels(&image);
        assert_eq!(pixels, [30, 20, 10, 60, 50, 40]);
        assert_eq!(
            preprocessor.normalize(&pixels),
            [10.0, 5.0, 0.0, 25.0, 20.0, 15.0]
        );
    }

    #[test]
    fn crops_the_centre() {
        let half = Preprocess {
            crop: Some(0.5),
            channel_order: "GRAY".into(),
            ..description()
        };
        let preprocessor = Preprocessor::new(&half, Shape::new(2, 2, 1)).unwrap();
        let values = (0..4 * 8).map(|index| index as u8).collect();
        let image = Pixels {
            height: 4,
            width: 8,
            channels: 1,
            values,
        };
        // Rows 1 and 2, columns 3 and 4.
        assert_eq!(preprocessor.pixels(&image), [11, 12, 19, 20]);
    }

    #[test]
    fn unusable_descriptions_are_refused() {
        let refused = |change: fn(&mut Preprocess)| {
            let mut preprocess = description();
            change(&mut preprocess);
            Preprocessor::new(&preprocess, Shape::new(2, 2, 3))
                .unwrap_err()
                .to_string()
        };
        assert!(refused(|p| p.channel_order = "GRAY".into()).contains("3 channels"));
        assert!(refused(|p| p.channel_order = "YUV".into()).contains("RGB, BGR, GRAY"));
        assert!(refused(|p| p.resize = "nearest".into()).contains("bilinear"));
        assert!(refused(|p| p.mean = vec![1.0, 2.0]).contains("2 values of the mean"));
        assert!(refused(|p| p.std = vec![0.0]).contains("above 0"));
        assert!(refused(|p| p.crop = Some(1.5)).contains("crop"));
    }

    #[test]
    fn colour_becomes_grey_as_in_pillow() {
        // Pillow's convert("L") of these colours.
        assert_eq!(
            [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]].map(grey),
            [76, 150, 29, 255]
        );
    }
}

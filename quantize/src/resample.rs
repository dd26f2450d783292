//! Resizing 8-bit images, pixel for pixel as Pillow's `Image.resize` does it (up to version 12; 13 may change the order of the passes), which most published accuracies rest on.
//!
//! A separable filter, widened when the image gets smaller so that every source pixel counts: first along rows, then
//! along columns, each pass with 22-bit fixed-point coefficients and its result rounded to 8 bits. The bicubic filter is
//! Keys' with a = -1/2 (Keys, "Cubic convolution interpolation for digital image processing", 1981).

/// How pixels between pixels are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// A triangle over two pixels.
    Bilinear,
    /// Keys' cubic over four pixels.
    Bicubic,
}

/// A part of an image in pixels, from the top left corner: fractions allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// The upper edge.
    pub top: f64,
    /// The left edge.
    pub left: f64,
    /// Rows.
    pub height: f64,
    /// Columns.
    pub width: f64,
}

/// An 8-bit image: rows, columns, interleaved channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub channels: usize,
    /// `height × width × channels` values.
    pub values: Vec<u8>,
}

/// Bits behind the binary point of a coefficient; sums of 8-bit pixels then fit in 32 bits.
const PRECISION: u32 = 22;

impl Filter {
    /// How far from its centre the filter is not zero.
    fn support(self) -> f64 {
        match self {
            Filter::Bilinear => 1.0,
            Filter::Bicubic => 2.0,
        }
    }

    fn weight(self, distance: f64) -> f64 {
        const A: f64 = -0.5;
        let x = distance.abs();
        match self {
            Filter::Bilinear => (1.0 - x).max(0.0),
            Filter::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Filter::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            Filter::Bicubic => 0.0,
        }
    }
}

impl Pixels {
    /// The whole image as an area.
    pub fn area(&self) -> Area {
        Area {
            top: 0.0,
            left: 0.0,
            height: self.height as f64,
            width: self.width as f64,
        }
    }

    /// An area of the image, stretched to a size.
    ///
    /// # Panics
    ///
    /// If the area is empty or not within the image, or the size is empty.
    pub fn resize(&self, area: Area, height: usize, width: usize, filter: Filter) -> Pixels {
        assert!(area.top >= 0.0 && area.top + area.height <= self.height as f64 && area.height > 0.0);
        assert!(area.left >= 0.0 && area.left + area.width <= self.width as f64 && area.width > 0.0);
        assert!(height > 0 && width > 0);
        let mut image = self.clone();
        if width != self.width || area.width != self.width as f64 {
            image = image.resize_rows(&taps(self.width, area.left, area.width, width, filter));
        }
        if height != self.height || area.height != self.height as f64 {
            image = image.resize_columns(&taps(self.height, area.top, area.height, height, filter));
        }
        image
    }

    fn resize_rows(&self, taps: &[Tap]) -> Pixels {
        let channels = self.channels;
        let mut values = Vec::with_capacity(self.height * taps.len() * channels);
        for row in self.values.chunks_exact(self.width * channels) {
            for tap in taps {
                for channel in 0..channels {
                    let source = row[tap.first * channels + channel..].iter().step_by(channels);
                    values.push(tap.sum(source));
                }
            }
        }
        Pixels {
            width: taps.len(),
            values,
            ..*self
        }
    }

    fn resize_columns(&self, taps: &[Tap]) -> Pixels {
        let row_len = self.width * self.channels;
        let mut values = Vec::with_capacity(taps.len() * row_len);
        let mut sums = vec![0i32; row_len];
        for tap in taps {
            sums.fill(1 << (PRECISION - 1));
            let rows = self.values[tap.first * row_len..].chunks_exact(row_len);
            for (coefficient, row) in tap.coefficients.iter().zip(rows) {
                for (sum, pixel) in sums.iter_mut().zip(row) {
                    *sum += *pixel as i32 * coefficient;
                }
            }
            values.extend(sums.iter().map(|sum| round(*sum)));
        }
        Pixels {
            height: taps.len(),
            values,
            ..*self
        }
    }
}

/// What one output pixel is made of: source pixels from `first` on, each times its coefficient.
struct Tap {
    first: usize,
    coefficients: Vec<i32>,
}

impl Tap {
    fn sum<'p>(&self, pixels: impl Iterator<Item = &'p u8>) -> u8 {
        let terms = self.coefficients.iter().zip(pixels);
        round(terms.fold(1 << (PRECISION - 1), |sum, (coefficient, pixel)| {
            sum + *pixel as i32 * coefficient
        }))
    }
}

fn round(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// The taps along one axis of `len` pixels, of which the part from `start` of length `part` becomes `count` pixels.
fn taps(len: usize, start: f64, part: f64, count: usize, filter: Filter) -> Vec<Tap> {
    let scale = part / count as f64;
    let widening = scale.max(1.0);
    let reach = filter.support() * widening;
    let tap = |number: usize| {
        let centre = start + (number as f64 + 0.5) * scale;
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(len);
        let weights: Vec<f64> = (first..end)
            .map(|pixel| filter.weight((pixel as f64 - centre + 0.5) * (1.0 / widening)))
            .collect();
        let total: f64 = weights.iter().sum();
        let fixed = |weight: &f64| (weight / total * f64::from(1 << PRECISION)).round() as i32;
        Tap {
            first,
            coefficients: weights.iter().map(fixed).collect(),
        }
    };
    (0..count).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::fnv1a_64;

    /// The image that the recorded values below were made from.
    fn image() -> Pixels {
        let values = (0..7 * 5 * 3)
            .map(|index: u32| (index * index * 31 + index * 17) as u8)
            .collect();
        Pixels {
            height: 7,
            width: 5,
            channels: 3,
            values,
        }
    }

    /// Hashes of what Pillow 12 makes of [`image`].
    #[test]
    fn pixels_are_pillow_s() {
        let whole = image().area();
        let part = Area {
            top: 1.25,
            left: 0.5,
            height: 4.75,
            width: 4.0,
        };
        for (area, height, width, filter, first, hash) in [
            (
                whole,
                4,
                3,
                Filter::Bicubic,
                [57, 80, 117, 159],
                0x490f_b02c_9c21_051d,
            ),
            (
                whole,
                11,
                8,
                Filter::Bicubic,
                [0, 51, 173, 19],
                0x111a_9d27_6479_7157,
            ),
            (
                whole,
                2,
                3,
                Filter::Bilinear,
                [94, 84, 110, 131],
                0x60ed_b630_3d4c_4feb,
            ),
            (
                whole,
                8,
                9,
                Filter::Bilinear,
                [0, 48, 158, 25],
                0x5233_9668_3fd9_3829,
            ),
            (
                part,
                4,
                4,
                Filter::Bicubic,
                [106, 129, 109, 117],
                0x3045_4fdd_9d33_8297u64,
            ),
        ] {
            let made = image().resize(area, height, width, filter);
            assert_eq!(made.values[..4], first, "{filter:?} {height}x{width}");
            let bytes: Vec<i8> = made.values.iter().map(|value| *value as i8).collect();
            assert_eq!(fnv1a_64(&bytes), hash, "{filter:?} {height}x{width}");
        }
    }

    #[test]
    fn flat_images_stay_flat() {
        let flat = Pixels {
            height: 9,
            width: 4,
            channels: 1,
            values: vec![200; 36],
        };
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            let area = Area {
                top: 1.5,
                left: 0.25,
                height: 6.0,
                width: 3.0,
            };
            assert_eq!(flat.resize(area, 3, 7, filter).values, [200; 21]);
        }
    }
}

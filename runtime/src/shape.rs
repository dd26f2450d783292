//! Shapes and element types of tensors.

/// Height, width and channels of a tensor in NHWC order with one batch: element (y, x, c) is number
/// `(y * width + x) * channels + c`. A vector of n values is 1 × 1 × n.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows.
    pub height: u32,
    /// Pixels in a row.
    pub width: u32,
    /// Values in a pixel.
    pub channels: u32,
}

impl Shape {
    /// A shape of `height` rows of `width` pixels of `channels` values.
    pub const fn new(height: u32, width: u32, channels: u32) -> Self {
        Self {
            height,
            width,
            channels,
        }
    }

    /// A vector: one pixel of `channels` values.
    pub const fn vector(channels: u32) -> Self {
        Self::new(1, 1, channels)
    }

    /// The number of values in a row.
    pub const fn row_values(&self) -> usize {
        self.width as usize * self.channels as usize
    }

    /// The number of values.
    pub const fn values(&self) -> usize {
        self.height as usize * self.row_values()
    }

    /// The number of pixels.
    pub const fn pixels(&self) -> usize {
        self.height as usize * self.width as usize
    }
}

impl core::fmt::Display for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// The type of a tensor's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// Signed 8-bit integers.
    Int8,
    /// Signed 16-bit integers, little-endian; zero point 0 but for the output of softmax.
    Int16,
}

impl Element {
    /// Bytes a value takes.
    pub const fn bytes(self) -> usize {
        match self {
            Element::Int8 => 1,
            Element::Int16 => 2,
        }
    }
}

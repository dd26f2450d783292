//! Shapes and element types of tensors.

/// Height, width and channels of a tensor in NHWC order with one batch: element (y, x, c) is number
/// `(y * width + x) * channels + c`. A vector of n values is 1 × 1 × n.
///
/// ```
/// use sepconv::Shape;
/// let image = Shape::new(8, 8, 3);
/// assert_eq!((image.values(), image.to_string()), (192, "8x8x3".to_string()));
/// ```
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
    ///
    /// ```
    /// assert_eq!(sepconv::Shape::new(2, 3, 4).width, 3);
    /// ```
    pub const fn new(height: u32, width: u32, channels: u32) -> Self {
        Self {
            height,
            width,
            channels,
        }
    }

    /// A vector: one pixel of `channels` values.
    ///
    /// ```
    /// assert_eq!(sepconv::Shape::vector(10), sepconv::Shape::new(1, 1, 10));
    /// ```
    pub const fn vector(channels: u32) -> Self {
        Self::new(1, 1, channels)
    }

    /// The number of values in a row.
    ///
    /// ```
    /// assert_eq!(sepconv::Shape::new(2, 3, 4).row_values(), 12);
    /// ```
    pub const fn row_values(&self) -> usize {
        self.width as usize * self.channels as usize
    }

    /// The number of values.
    ///
    /// ```
    /// assert_eq!(sepconv::Shape::new(2, 3, 4).values(), 24);
    /// ```
    pub const fn values(&self) -> usize {
        self.height as usize * self.row_values()
    }

    /// The number of pixels.
    ///
    /// ```
    /// assert_eq!(sepconv::Shape::new(2, 3, 4).pixels(), 6);
    /// ```
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
///
/// ```
/// use sepconv::{Element, Model, tiny};
/// assert_eq!(Model::new(&tiny::WHOLE.0)?.input().element, Element::Int8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// Signed 8-bit integers.
    Int8,
    /// Signed 16-bit integers, little-endian; zero point 0 but for the output of softmax.
    Int16,
}

impl Element {
    /// Bytes a value takes.
    ///
    /// ```
    /// use sepconv::Element;
    /// assert_eq!((Element::Int8.bytes(), Element::Int16.bytes()), (1, 2));
    /// ```
    pub const fn bytes(self) -> usize {
        match self {
            Element::Int8 => 1,
            Element::Int16 => 2,
        }
    }
}

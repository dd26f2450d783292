//! Operators: their kinds, and their parameters as kernels see them.
//!
//! An [`Operator`] is decoded from its record whenever it runs, without copying constants. Decoding never fails: the
//! model view has checked every field (see [`crate::model`]), and what would lie outside the file decodes as empty.

mod decode;
mod geometry;
mod parameters;

pub use geometry::{Window, input_rows};
pub use parameters::{
    ArgMax, Binary, Concatenation, Linear, Lookup, Mean, Pad, Pool, Requantize, ResizeNearest, Softmax,
    Transpose,
};

pub(crate) use decode::{ZeroPoints, decode};

/// The kind of an operator, as a file stores it.
///
/// ```
/// use sepconv::operator::Kind;
/// assert_eq!((Kind::Depthwise as u8, Kind::Depthwise.name()), (2, "depthwise"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Convolution with any window. Weights: output channel, row, column, input channel (OHWI).
    Convolution = 1,
    /// Depthwise convolution: output channel c reads input channel `c / multiplier`. Weights: row, column, output channel.
    Depthwise = 2,
    /// Convolution with a 1 × 1 window, stride 1 and no padding. Weights: output channel, input channel.
    Pointwise = 3,
    /// Every output is a weighted sum of all inputs. Weights: output channel, input value (in NHWC order).
    FullyConnected = 4,
    /// Elementwise sum.
    Add = 5,
    /// Elementwise product.
    Mul = 6,
    /// Mean of the window's elements that lie within the input.
    AveragePool = 7,
    /// Maximum of the window's elements that lie within the input.
    MaxPool = 8,
    /// Mean over height and width.
    Mean = 9,
    /// Padding with a constant in height, width and channels.
    Pad = 10,
    /// Concatenation of up to four tensors along one axis.
    Concatenation = 11,
    /// The same values in the same order under another shape.
    Reshape = 12,
    /// Softmax over the channels of each pixel.
    Softmax = 13,
    /// A function of one int8 value, as a table of 256 bytes.
    Lookup = 14,
    /// Another scale, zero point or element type.
    Requantize = 15,
    /// Nearest-neighbour resizing.
    ResizeNearest = 16,
    /// Another order of height, width and channels.
    Transpose = 17,
    /// The number of the greatest channel of each pixel.
    ArgMax = 18,
}

impl Kind {
    /// All kinds, in the order of their codes.
    ///
    /// ```
    /// use sepconv::operator::Kind;
    /// assert!(Kind::ALL.iter().zip(1..).all(|(kind, code)| *kind as u8 == code));
    /// ```
    pub const ALL: [Kind; 18] = [
        Kind::Convolution,
        Kind::Depthwise,
        Kind::Pointwise,
        Kind::FullyConnected,
        Kind::Add,
        Kind::Mul,
        Kind::AveragePool,
        Kind::MaxPool,
        Kind::Mean,
        Kind::Pad,
        Kind::Concatenation,
        Kind::Reshape,
        Kind::Softmax,
        Kind::Lookup,
        Kind::Requantize,
        Kind::ResizeNearest,
        Kind::Transpose,
        Kind::ArgMax,
    ];

    /// The kind of a code; `None` for codes of no kind.
    ///
    /// ```
    /// use sepconv::operator::Kind;
    /// assert_eq!((Kind::from_code(13), Kind::from_code(0)), (Some(Kind::Softmax), None));
    /// ```
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }

    /// The name that reports use.
    ///
    /// ```
    /// assert_eq!(sepconv::operator::Kind::FullyConnected.name(), "fully connected");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Convolution => "convolution",
            Kind::Depthwise => "depthwise",
            Kind::Pointwise => "pointwise",
            Kind::FullyConnected => "fully connected",
            Kind::Add => "add",
            Kind::Mul => "mul",
            Kind::AveragePool => "average pool",
            Kind::MaxPool => "max pool",
            Kind::Mean => "mean",
            Kind::Pad => "pad",
            Kind::Concatenation => "concatenation",
            Kind::Reshape => "reshape",
            Kind::Softmax => "softmax",
            Kind::Lookup => "lookup",
            Kind::Requantize => "requantize",
            Kind::ResizeNearest => "resize nearest",
            Kind::Transpose => "transpose",
            Kind::ArgMax => "argmax",
        }
    }
}

/// An operator with its parameters.
///
/// ```
/// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
/// use sepconv::operator::Operator;
/// let last = model.operator(model.operator_count() - 1);
/// assert!(matches!(last, Some((_, Operator::Softmax(softmax))) if softmax.difference_min < 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Operator<'m> {
    /// See [`Kind::Convolution`].
    Convolution(Linear<'m>),
    /// See [`Kind::Depthwise`].
    Depthwise(Linear<'m>),
    /// See [`Kind::Pointwise`].
    Pointwise(Linear<'m>),
    /// See [`Kind::FullyConnected`].
    FullyConnected(Linear<'m>),
    /// See [`Kind::Add`].
    Add(Binary<'m>),
    /// See [`Kind::Mul`].
    Mul(Binary<'m>),
    /// See [`Kind::AveragePool`].
    AveragePool(Pool),
    /// See [`Kind::MaxPool`].
    MaxPool(Pool),
    /// See [`Kind::Mean`].
    Mean(Mean),
    /// See [`Kind::Pad`].
    Pad(Pad),
    /// See [`Kind::Concatenation`].
    Concatenation(Concatenation),
    /// See [`Kind::Reshape`].
    Reshape,
    /// See [`Kind::Softmax`].
    Softmax(Softmax),
    /// See [`Kind::Lookup`].
    Lookup(Lookup<'m>),
    /// See [`Kind::Requantize`].
    Requantize(Requantize),
    /// See [`Kind::ResizeNearest`].
    ResizeNearest(ResizeNearest<'m>),
    /// See [`Kind::Transpose`].
    Transpose(Transpose),
    /// See [`Kind::ArgMax`].
    ArgMax(ArgMax),
}

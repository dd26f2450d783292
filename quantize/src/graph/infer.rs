//! Shapes of results.

use super::{Operator, Shape, Window};
use thiserror::Error;

/// Most elements of a tensor: 1 GiB as floats, far above what a classifier needs.
pub const MAX_ELEMENTS: usize = 1 << 28;

/// Inputs that do not fit an operator.
#[derive(Debug, Error, PartialEq)]
pub enum ShapeError {
    /// The operator reads another number of tensors.
    #[error("{operator} reads {expected} tensor(s), {found} given")]
    InputCount {
        /// Operator name.
        operator: &'static str,
        /// Number it reads.
        expected: usize,
        /// Number given.
        found: usize,
    },
    /// The weights are made for another number of channels.
    #[error("{operator} is made for {expected} channels, its input is {found}")]
    Channels {
        /// Operator name.
        operator: &'static str,
        /// Channels of the weights.
        expected: usize,
        /// Shape given.
        found: Shape,
    },
    /// The window, with its dilation, is larger than the padded image.
    #[error("{operator} has a {kernel_height}x{kernel_width} window, larger than its padded input {found}")]
    WindowTooLarge {
        /// Operator name.
        operator: &'static str,
        /// Rows that the window covers.
        kernel_height: usize,
        /// Columns that the window covers.
        kernel_width: usize,
        /// Shape given, without padding.
        found: Shape,
    },
    /// A stride, dilation or kernel extent of 0.
    #[error("{operator} has a kernel, stride or dilation of 0")]
    EmptyWindow {
        /// Operator name.
        operator: &'static str,
    },
    /// Two shapes that cannot be combined.
    #[error("{operator} cannot combine shapes {left} and {right}")]
    Mismatch {
        /// Operator name.
        operator: &'static str,
        /// First shape.
        left: Shape,
        /// Other shape.
        right: Shape,
    },
    /// A reshape to another number of elements.
    #[error("cannot reshape {from} to {to}: the numbers of elements differ")]
    Elements {
        /// Shape given.
        from: Shape,
        /// Shape asked for.
        to: Shape,
    },
    /// The result would hold more than [`MAX_ELEMENTS`].
    #[error("{operator} makes a tensor that is too large: {height} x {width} x {channels} elements")]
    TooLarge {
        /// Operator name.
        operator: &'static str,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Channels.
        channels: usize,
    },
}

/// The shape that an operator makes of inputs of the given shapes.
pub fn output_shape(operator: &Operator, inputs: &[Shape]) -> Result<Shape, ShapeError> {
    let name = operator.name();
    let expected = match operator {
        Operator::Add | Operator::Multiply => 2,
        Operator::Concat => inputs.len().max(1),
        _ => 1,
    };
    if inputs.len() != expected {
        return Err(ShapeError::InputCount {
            operator: name,
            expected,
            found: inputs.len(),
        });
    }
    let input = inputs[0];
    let with_channels = |expected: usize| match input.channels == expected {
        true => Ok(input),
        false => Err(ShapeError::Channels {
            operator: name,
            expected,
            found: input,
        }),
    };
    let shape = match operator {
        Operator::Convolution(c) => windowed(name, &c.window, with_channels(c.in_channels)?, c.out_channels)?,
        Operator::Depthwise(d) => windowed(
            name,
            &d.window,
            with_channels(d.channels)?,
            d.channels * d.multiplier,
        )?,
        Operator::FullyConnected(f) => {
            if input.elements() != f.inputs {
                return Err(ShapeError::Channels {
                    operator: name,
                    expected: f.inputs,
                    found: input,
                });
            }
            Shape::vector(f.outputs)
        }
        Operator::Affine(a) => with_channels(a.scale.len())?,
        Operator::PRelu(slope) => with_channels(slope.len())?,
        Operator::Add | Operator::Multiply => broadcast(name, input, inputs[1])?,
        Operator::MaxPool(window) | Operator::AveragePool { window, .. } => {
            windowed(name, window, input, input.channels)?
        }
        Operator::GlobalAveragePool | Operator::GlobalMaxPool => Shape::vector(input.channels),
        Operator::Pad { padding, .. } => Shape::new(
            input.height + padding.top + padding.bottom,
            input.width + padding.left + padding.right,
            input.channels,
        ),
        Operator::Concat => concatenated(name, inputs)?,
        Operator::Reshape(to) | Operator::Rearrange { shape: to, .. } => {
            if matches!(operator, Operator::Reshape(_)) && to.elements() != input.elements() {
                return Err(ShapeError::Elements { from: input, to: *to });
            }
            *to
        }
        Operator::ResizeNearest(resize) => Shape::new(
            input.height * resize.height,
            input.width * resize.width,
            input.channels,
        ),
        Operator::ArgMax => Shape::new(input.height, input.width, 1),
        Operator::Clamp | Operator::Activation(_) | Operator::Softmax { .. } | Operator::Identity => input,
    };
    let elements = shape
        .height
        .checked_mul(shape.width)
        .and_then(|n| n.checked_mul(shape.channels));
    match elements {
        Some(n) if n <= MAX_ELEMENTS => Ok(shape),
        _ => Err(ShapeError::TooLarge {
            operator: name,
            height: shape.height,
            width: shape.width,
            channels: shape.channels,
        }),
    }
}

fn windowed(
    operator: &'static str,
    window: &Window,
    input: Shape,
    channels: usize,
) -> Result<Shape, ShapeError> {
    let (kernel, stride, dilation, pad) = (window.kernel, window.stride, window.dilation, window.padding);
    if [kernel.0, kernel.1, stride.0, stride.1, dilation.0, dilation.1].contains(&0) {
        return Err(ShapeError::EmptyWindow { operator });
    }
    let covers = ((kernel.0 - 1) * dilation.0 + 1, (kernel.1 - 1) * dilation.1 + 1);
    let padded = (
        input.height + pad.top + pad.bottom,
        input.width + pad.left + pad.right,
    );
    if covers.0 > padded.0 || covers.1 > padded.1 {
        return Err(ShapeError::WindowTooLarge {
            operator,
            kernel_height: covers.0,
            kernel_width: covers.1,
            found: input,
        });
    }
    Ok(Shape::new(
        (padded.0 - covers.0) / stride.0 + 1,
        (padded.1 - covers.1) / stride.1 + 1,
        channels,
    ))
}

fn broadcast(operator: &'static str, left: Shape, right: Shape) -> Result<Shape, ShapeError> {
    let fits = |small: Shape, large: Shape| {
        let pixels = (small.height, small.width) == (large.height, large.width)
            || (small.height, small.width) == (1, 1);
        pixels && (small.channels == large.channels || small.channels == 1)
    };
    match (fits(right, left), fits(left, right)) {
        (true, _) => Ok(left),
        (_, true) => Ok(right),
        _ => Err(ShapeError::Mismatch {
            operator,
            left,
            right,
        }),
    }
}

fn concatenated(operator: &'static str, inputs: &[Shape]) -> Result<Shape, ShapeError> {
    let first = inputs[0];
    for &other in &inputs[1..] {
        if (other.height, other.width) != (first.height, first.width) {
            return Err(ShapeError::Mismatch {
                operator,
                left: first,
                right: other,
            });
        }
    }
    Ok(Shape {
        channels: inputs.iter().map(|s| s.channels).sum(),
        ..first
    })
}

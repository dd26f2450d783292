//! Operators and their attributes.

use super::{Shape, Weights};

/// Zeros (or, for max pooling, nothing) around an image, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns on the left.
    pub left: usize,
    /// Columns on the right.
    pub right: usize,
}

impl Padding {
    /// The same padding on all four sides.
    pub fn same(pixels: usize) -> Self {
        Padding {
            top: pixels,
            bottom: pixels,
            left: pixels,
            right: pixels,
        }
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Padding::default()
    }
}

/// How a kernel moves over an image. Pairs are (rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Extent of the kernel in taps.
    pub kernel: (usize, usize),
    /// Pixels between neighbouring positions.
    pub stride: (usize, usize),
    /// Pixels between neighbouring taps; 1 is dense.
    pub dilation: (usize, usize),
    /// Padding around the image.
    pub padding: Padding,
}

impl Window {
    /// A dense kernel moving by one pixel with no padding.
    pub fn new(height: usize, width: usize) -> Self {
        Window {
            kernel: (height, width),
            stride: (1, 1),
            dilation: (1, 1),
            padding: Padding::default(),
        }
    }

    /// The same window with another stride in both directions.
    pub fn stride(self, stride: usize) -> Self {
        Window {
            stride: (stride, stride),
            ..self
        }
    }

    /// The same window with other padding.
    pub fn padding(self, padding: Padding) -> Self {
        Window { padding, ..self }
    }

    /// Whether this is a 1x1 kernel with stride 1 and no padding.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == (1, 1) && self.stride == (1, 1) && self.padding.is_none()
    }

    /// Number of taps.
    pub fn taps(&self) -> usize {
        self.kernel.0 * self.kernel.1
    }
}

/// Convolution; pointwise where the window is 1x1. Weights are OHWI:
/// `values[((o * kernel.0 + y) * kernel.1 + x) * in_channels + i]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    /// Kernel movement; padding is with zeros.
    pub window: Window,
    /// Channels read.
    pub in_channels: usize,
    /// Channels made.
    pub out_channels: usize,
    /// Weights and bias.
    pub weights: Weights,
}

/// Depthwise convolution: output channel `c * multiplier + m` reads input channel `c` only. Weights are HWC with
/// the output channel last: `values[(y * kernel.1 + x) * out_channels + o]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Depthwise {
    /// Kernel movement; padding is with zeros.
    pub window: Window,
    /// Channels read.
    pub channels: usize,
    /// Output channels for each input channel.
    pub multiplier: usize,
    /// Weights and bias, `channels * multiplier` output channels.
    pub weights: Weights,
}

/// Fully connected layer over the flattened NHWC input. Weights are `values[o * inputs + i]`.
#[derive(Clone, Debug, PartialEq)]
pub struct FullyConnected {
    /// Elements read.
    pub inputs: usize,
    /// Elements made.
    pub outputs: usize,
    /// Weights and bias.
    pub weights: Weights,
}

/// `y = scale[c] * x + offset[c]`: batch normalization at inference, or a product or sum with constants. Both vectors
/// hold one value per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Factors.
    pub scale: Vec<f32>,
    /// Summands.
    pub offset: Vec<f32>,
}

/// Nearest-neighbour enlargement by whole factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    /// Rows made of one row.
    pub height: usize,
    /// Columns made of one column.
    pub width: usize,
}

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `max(0, min(1, alpha * x + beta))`
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Value at 0.
        beta: f32,
    },
    /// `x * max(0, min(1, x / 6 + 1 / 2))`
    HardSwish,
    /// `x * sigmoid(x)`, also called swish
    Silu,
    /// `x / 2 * (1 + erf(x / sqrt(2)))`
    Gelu,
    /// The hyperbolic tangent approximation of [`Activation::Gelu`].
    GeluTanh,
    /// `tanh(x)`
    Tanh,
    /// `x` where positive, else `alpha * (exp(x) - 1)`
    Elu {
        /// Limit for very negative values, negated.
        alpha: f32,
    },
    /// `gamma * x` where positive, else `gamma * alpha * (exp(x) - 1)`
    Selu {
        /// Limit for very negative values, negated and before `gamma`.
        alpha: f32,
        /// Slope for positive values.
        gamma: f32,
    },
    /// `x` where positive, else `alpha * x`
    LeakyRelu {
        /// Slope for negative values.
        alpha: f32,
    },
    /// `log(1 + exp(x))`
    Softplus,
    /// `x * tanh(softplus(x))`
    Mish,
    /// `x / (1 + |x|)`
    Softsign,
    /// `|x|`
    Abs,
    /// `sqrt(x)`
    Sqrt,
    /// `exp(x)`
    Exp,
    /// `x * x`
    Square,
}

/// What a node computes. Elementwise operators keep the shape; the fused clamp of the node comes after.
#[derive(Clone, Debug, PartialEq)]
pub enum Operator {
    /// Convolution over all channels.
    Convolution(Convolution),
    /// Convolution of each channel on its own.
    Depthwise(Depthwise),
    /// Matrix times vector; makes `1 x 1 x outputs`.
    FullyConnected(FullyConnected),
    /// Per-channel factor and summand.
    Affine(Affine),
    /// Sum of two tensors of one shape, or of a tensor and one that is broadcast: `1 x 1 x C`, `H x W x 1` or
    /// `1 x 1 x 1`.
    Add,
    /// Product, with the shapes of [`Operator::Add`].
    Multiply,
    /// Nothing but the node's clamp: a ReLU, ReLU6 or clip that stands alone.
    Clamp,
    /// A function of one value.
    Activation(Activation),
    /// `x` where positive, else `slope[c] * x`.
    PRelu(Vec<f32>),
    /// Maximum over the window; padding is never the maximum.
    MaxPool(Window),
    /// Mean over the window.
    AveragePool {
        /// Kernel movement.
        window: Window,
        /// Whether padding counts as zeros (true) or the mean is over pixels of the image only (false).
        count_padding: bool,
    },
    /// Mean over height and width; makes `1 x 1 x C`.
    GlobalAveragePool,
    /// Maximum over height and width; makes `1 x 1 x C`.
    GlobalMaxPool,
    /// Constant pixels around the image.
    Pad {
        /// Pixels added on each side.
        padding: Padding,
        /// Their value.
        value: f32,
    },
    /// Tensors one after another along channels.
    Concat,
    /// The same elements in the same order with another shape.
    Reshape(Shape),
    /// Element `i` of the result is element `map[i]` of the input, both counted in NHWC order: transposes, slices
    /// and other fixed movements of data.
    Rearrange {
        /// Shape of the result.
        shape: Shape,
        /// Source of every element of the result.
        map: Vec<u32>,
    },
    /// Softmax over channels, at every pixel: `exp(beta * x)` normalized to sum 1.
    Softmax {
        /// Factor in the exponent.
        beta: f32,
    },
    /// Enlargement by repetition.
    ResizeNearest(Resize),
    /// Index of the largest channel at every pixel, the first of equals; makes one channel.
    ArgMax,
    /// A copy: only where it changes quantization, in graphs from quantized sources.
    Identity,
}

impl Operator {
    /// The operator's name in errors and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Operator::Convolution(c) if c.window.kernel == (1, 1) => "pointwise convolution",
            Operator::Convolution(_) => "convolution",
            Operator::Depthwise(_) => "depthwise convolution",
            Operator::FullyConnected(_) => "fully connected",
            Operator::Affine(_) => "affine",
            Operator::Add => "add",
            Operator::Multiply => "multiply",
            Operator::Clamp => "clamp",
            Operator::Activation(activation) => activation.name(),
            Operator::PRelu(_) => "parametric ReLU",
            Operator::MaxPool(_) => "max pool",
            Operator::AveragePool { .. } => "average pool",
            Operator::GlobalAveragePool => "global average pool",
            Operator::GlobalMaxPool => "global max pool",
            Operator::Pad { .. } => "pad",
            Operator::Concat => "concatenation",
            Operator::Reshape(_) => "reshape",
            Operator::Rearrange { .. } => "rearrange",
            Operator::Softmax { .. } => "softmax",
            Operator::ResizeNearest(_) => "resize nearest",
            Operator::ArgMax => "argmax",
            Operator::Identity => "identity",
        }
    }

    /// Weights, for the three operators that have them.
    pub fn weights(&self) -> Option<&Weights> {
        match self {
            Operator::Convolution(c) => Some(&c.weights),
            Operator::Depthwise(d) => Some(&d.weights),
            Operator::FullyConnected(f) => Some(&f.weights),
            _ => None,
        }
    }

    /// Weights to be changed, for the three operators that have them.
    pub fn weights_mut(&mut self) -> Option<&mut Weights> {
        match self {
            Operator::Convolution(c) => Some(&mut c.weights),
            Operator::Depthwise(d) => Some(&mut d.weights),
            Operator::FullyConnected(f) => Some(&mut f.weights),
            _ => None,
        }
    }

    /// The output channel that the weight at `index` belongs to; 0 for operators without weights.
    pub fn weight_channel(&self, index: usize) -> usize {
        match self {
            Operator::Convolution(c) => index / (c.window.taps() * c.in_channels),
            Operator::Depthwise(d) => index % (d.channels * d.multiplier),
            Operator::FullyConnected(f) => index / f.inputs,
            _ => 0,
        }
    }

    /// Multiply-accumulates for one inference, given the output's shape; 0 for operators without weights.
    pub fn macs(&self, output: Shape) -> u64 {
        let per_element = match self {
            Operator::Convolution(c) => c.window.taps() * c.in_channels,
            Operator::Depthwise(d) => d.window.taps(),
            Operator::FullyConnected(f) => f.inputs,
            _ => 0,
        };
        output.elements() as u64 * per_element as u64
    }
}

impl Activation {
    /// The function's name in errors and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Activation::Sigmoid => "sigmoid",
            Activation::HardSigmoid { .. } => "hard sigmoid",
            Activation::HardSwish => "hard swish",
            Activation::Silu => "SiLU",
            Activation::Gelu => "GELU",
            Activation::GeluTanh => "GELU (tanh)",
            Activation::Tanh => "tanh",
            Activation::Elu { .. } => "ELU",
            Activation::Selu { .. } => "SELU",
            Activation::LeakyRelu { .. } => "leaky ReLU",
            Activation::Softplus => "softplus",
            Activation::Mish => "mish",
            Activation::Softsign => "softsign",
            Activation::Abs => "abs",
            Activation::Sqrt => "sqrt",
            Activation::Exp => "exp",
            Activation::Square => "square",
        }
    }

    /// The function's value, computed in double precision.
    pub fn apply(&self, x: f32) -> f32 {
        let x = f64::from(x);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        // exp overflows above 709; log(1 + exp(x)) is x long before.
        let softplus = |x: f64| if x > 40.0 { x } else { x.exp().ln_1p() };
        let y = match *self {
            Activation::Sigmoid => sigmoid(x),
            Activation::HardSigmoid { alpha, beta } => {
                (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0)
            }
            Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Activation::Silu => x * sigmoid(x),
            Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
            Activation::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }
            Activation::Tanh => x.tanh(),
            Activation::Elu { alpha } => if_positive(x, x, || f64::from(alpha) * x.exp_m1()),
            Activation::Selu { alpha, gamma } => {
                f64::from(gamma) * if_positive(x, x, || f64::from(alpha) * x.exp_m1())
            }
            Activation::LeakyRelu { alpha } => if_positive(x, x, || f64::from(alpha) * x),
            Activation::Softplus => softplus(x),
            Activation::Mish => x * softplus(x).tanh(),
            Activation::Softsign => x / (1.0 + x.abs()),
            Activation::Abs => x.abs(),
            Activation::Sqrt => x.sqrt(),
            Activation::Exp => x.exp(),
            Activation::Square => x * x,
        };
        y as f32
    }
}

fn if_positive(x: f64, then: f64, otherwise: impl Fn() -> f64) -> f64 {
    if x > 0.0 { then } else { otherwise() }
}

/// The error function, by Abramowitz and Stegun's formula 7.1.26; absolute error at most 1.5e-7.
fn erf(x: f64) -> f64 {
    const A: [f64; 5] = [0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429];
    let t = 1.0 / (1.0 + 0.3275911 * x.abs());
    let polynomial = A.iter().rev().fold(0.0, |sum, a| (sum + a) * t);
    (1.0 - polynomial * (-x * x).exp()).copysign(x)
}

//! The parameters of each kind of operator.

use super::Window;
use crate::fixed_point::Multiplier;
use crate::layout::Layout;

/// Parameters of convolution, depthwise, pointwise and fully connected operators: a weighted sum of inputs, a bias, and
/// requantization per output channel. int8 becomes int8 or, with 8-bit weights in the plain layout, int16; int16 becomes int16.
///
/// ```
/// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
/// use sepconv::operator::Operator;
/// let Some((_, Operator::Convolution(linear))) = model.operator(0) else { panic!("not a convolution") };
/// assert_eq!(linear.weights.len(), 8 * 3 * 3 * 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Linear<'m> {
    /// The window; 1 × 1 for pointwise and fully connected.
    pub window: Window,
    /// How the constants are arranged. With any layout but plain, `weights` holds all of them.
    pub layout: Layout,
    /// Bits of a weight, 8 or 4. Four-bit weights are two a byte, the first in the low half, without gaps between rows.
    pub weight_bits: u8,
    /// Weights as bytes; see [`Kind`](super::Kind) for their order.
    pub weights: &'m [u8],
    /// Biases, i32 each (i64 with int16 activations), little-endian.
    pub bias: &'m [u8],
    /// Mantissas of the output multipliers, i32 each, little-endian.
    pub multipliers: &'m [u8],
    /// Shifts of the output multipliers, i8 each.
    pub shifts: &'m [u8],
    /// The input's zero point, which padding stands for.
    pub input_zero_point: i32,
    /// The output's zero point.
    pub output_zero_point: i32,
    /// The least output value.
    pub activation_min: i32,
    /// The greatest output value.
    pub activation_max: i32,
}

impl Linear<'_> {
    /// The bias of an output channel.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// # let Some((_, sepconv::operator::Operator::Convolution(linear))) = model.operator(0) else { panic!() };
    /// assert_eq!(linear.bias(0), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn bias(&self, channel: usize) -> i32 {
        read_i32(self.bias, channel)
    }

    /// The 64-bit bias of an output channel, with int16 activations.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// # let Some((_, sepconv::operator::Operator::Convolution(linear))) = model.operator(0) else { panic!() };
    /// assert_eq!(linear.wide_bias(1000), 0); // there is no such channel
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wide_bias(&self, channel: usize) -> i64 {
        let raw = self.bias.get(channel * 8..).and_then(|rest| rest.first_chunk());
        raw.map_or(0, |raw| i64::from_le_bytes(*raw))
    }

    /// The output multiplier of an output channel.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// # let Some((_, sepconv::operator::Operator::Convolution(linear))) = model.operator(0) else { panic!() };
    /// assert!((0.0..1.0).contains(&linear.multiplier(3).to_real()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn multiplier(&self, channel: usize) -> Multiplier {
        let shift = self.shifts.get(channel).map_or(0, |shift| *shift as i8);
        Multiplier::from_bits(read_i32(self.multipliers, channel), shift)
    }

    /// The output value of a channel whose sum, bias included, is `accumulator`.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// # let Some((_, sepconv::operator::Operator::Convolution(linear))) = model.operator(0) else { panic!() };
    /// assert_eq!(linear.requantize(0, 0), linear.output_zero_point);
    /// assert_eq!(linear.requantize(i32::MAX, 0), 127);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn requantize(&self, accumulator: i32, channel: usize) -> i32 {
        // `min` and `max` rather than `clamp`, which panics on an empty range.
        self.multiplier(channel)
            .apply(accumulator)
            .saturating_add(self.output_zero_point)
            .max(self.activation_min)
            .min(self.activation_max)
    }

    /// As [`requantize`](Self::requantize), for the 64-bit sums of int16 activations.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// # let Some((_, sepconv::operator::Operator::Convolution(linear))) = model.operator(0) else { panic!() };
    /// assert_eq!(linear.requantize_wide(0, 0), linear.output_zero_point);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn requantize_wide(&self, accumulator: i64, channel: usize) -> i32 {
        self.multiplier(channel)
            .apply_wide(accumulator)
            .saturating_add(self.output_zero_point)
            .max(self.activation_min)
            .min(self.activation_max)
    }
}

#[inline(always)]
fn read_i32(bytes: &[u8], index: usize) -> i32 {
    let raw = bytes.get(index * 4..).and_then(|rest| rest.first_chunk());
    raw.map_or(0, |raw| i32::from_le_bytes(*raw))
}

/// Parameters of elementwise addition and multiplication of tensors `a` and `b`. `b` is as large as `a`, or one pixel (a
/// vector over channels, or a single value), or `constant` where that is not empty.
///
/// Addition: `((a − a_zero) << left_shift) × a_multiplier + ((b − b_zero) << left_shift) × b_multiplier`, times the output
/// multiplier, plus the output zero point, clamped. With m = 2 × the greater of the input scales, the multipliers are
/// `a_scale / m`, `b_scale / m` and `m / (output_scale × 2^left_shift)`; all are below 1, so sums cannot overflow.
/// Multiplication: `(a − a_zero) × (b − b_zero) × output_multiplier`, likewise, with the multiplier
/// `a_scale × b_scale / output_scale`. (TensorFlow Lite: `add.cc`, `mul.cc`.)
///
/// In a record, `params` holds mantissa and shift of the multipliers of `a`, `b` and the output, then
/// `left_shift << 16 | zero point of the constant`; the constant itself is the weights.
///
/// ```
/// use sepconv::fixed_point::Multiplier;
/// use sepconv::operator::Binary;
/// // Two inputs of the output's scale.
/// let half = Multiplier::from_real(0.5).unwrap();
/// let sum = Binary {
///     constant: &[],
///     packed: &[],
///     a_zero_point: 0,
///     b_zero_point: 0,
///     output_zero_point: 0,
///     left_shift: 20,
///     a_multiplier: half,
///     b_multiplier: half,
///     output_multiplier: Multiplier::from_real(2.0 / f64::from(1 << 20)).unwrap(),
///     activation_min: -128,
///     activation_max: 127,
/// };
/// let scaled = |value: i32| half.apply(value << sum.left_shift);
/// assert_eq!(sum.output_multiplier.apply(scaled(30) + scaled(12)), 42);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Binary<'m> {
    /// A constant `b` of the same element type as `a`: a single value, one for each channel, or as many as `a` has. Empty
    /// where `b` is a tensor.
    pub constant: &'m [u8],
    /// Constants for x86-64 kernels, in a sum that was [packed](crate::layout::pack()) for them; else empty.
    pub packed: &'m [u8],
    /// The zero point of `a`.
    pub a_zero_point: i32,
    /// The zero point of `b`.
    pub b_zero_point: i32,
    /// The output's zero point.
    pub output_zero_point: i32,
    /// Bits that sums gain before the multipliers: 20 for int8, 15 for int16. Not used by multiplication.
    pub left_shift: u8,
    /// The multiplier of `a`. Not used by multiplication.
    pub a_multiplier: Multiplier,
    /// The multiplier of `b`. Not used by multiplication.
    pub b_multiplier: Multiplier,
    /// The multiplier of the sum or product.
    pub output_multiplier: Multiplier,
    /// The least output value.
    pub activation_min: i32,
    /// The greatest output value.
    pub activation_max: i32,
}

/// Parameters of average and max pooling. Input and output share scale and zero point, and the window is not dilated.
/// (TensorFlow Lite: `integer_ops/pooling.h`.)
///
/// ```
/// use sepconv::operator::{Pool, Window};
/// let window = Window { kernel_height: 2, kernel_width: 2, stride_height: 2, stride_width: 2, ..Window::UNIT };
/// let pool = Pool { window, activation_min: -128, activation_max: 127 };
/// assert_eq!(pool.window.input_row(3, 1), 7);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// The window.
    pub window: Window,
    /// The least output value.
    pub activation_min: i32,
    /// The greatest output value.
    pub activation_max: i32,
}

/// Parameters of the mean over height and width: `(sum − pixels × input_zero_point) × multiplier + output_zero_point`,
/// clamped. (TensorFlow Lite: `QuantizedMeanOrSum` in `reduce.h`.)
///
/// In a record, `params` holds the multiplier's mantissa and shift.
///
/// ```
/// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
/// use sepconv::operator::Operator;
/// let Some((_, Operator::Mean(mean))) = model.operator(3) else { panic!("not a mean") };
/// assert!((mean.multiplier.to_real() - 1.0 / 64.0).abs() < 1e-9); // of 8 x 8 pixels
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Mean {
    /// The input's zero point.
    pub input_zero_point: i32,
    /// The output's zero point.
    pub output_zero_point: i32,
    /// Input scale ÷ output scale, divided by the number of pixels with [`Multiplier::divided_by`].
    pub multiplier: Multiplier,
    /// The least output value.
    pub activation_min: i32,
    /// The greatest output value.
    pub activation_max: i32,
}

/// Parameters of padding. What the input does not cover is `value`.
///
/// In a record, `top` and `left` are the window's padding and `params` holds `front` and `value`.
///
/// ```
/// use sepconv::operator::Pad;
/// let pad = Pad { top: 1, left: 1, front: 0, value: -128 };
/// assert_eq!(pad.top + pad.left, 2);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Pad {
    /// Rows above the input.
    pub top: u32,
    /// Columns left of the input.
    pub left: u32,
    /// Channels before the input's.
    pub front: u32,
    /// The value that padding has, in the output's quantization.
    pub value: i32,
}

/// Parameters of concatenation. All inputs share the output's quantization.
///
/// In a record, `params` holds the axis.
///
/// ```
/// use sepconv::operator::Concatenation;
/// let channels = Concatenation { axis: 2 };
/// assert_eq!(channels.axis, 2);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Concatenation {
    /// 0: height, 1: width, 2: channels.
    pub axis: u8,
}

/// Parameters of softmax with gemmlowp's fixed-point exponential. (TensorFlow Lite: `reference/softmax.h`, for int8; int16
/// is treated alike, unlike TensorFlow Lite's, which interpolates in a table.) The output is int8 with scale 1/256 and zero
/// point −128, or int16 with scale 1/65536 and zero point −32768.
///
/// In a record, `params` holds the multiplier's mantissa and shift, then `difference_min`.
///
/// ```
/// use sepconv::operator::Softmax;
/// let (flat, steep) = (Softmax::from_real(0.01).unwrap(), Softmax::from_real(1.0).unwrap());
/// assert!(flat.difference_min < steep.difference_min); // where it is steep, less of the inputs counts
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// What turns a difference of inputs into an exponent in Q5.26: `input scale × beta × 2^26`.
    pub multiplier: Multiplier,
    /// Differences from the maximum below this contribute nothing; 0 or less.
    pub difference_min: i32,
}

impl Softmax {
    /// The parameters for an input scale times beta; `None` if that is not a positive number, or so small (2^-26) that
    /// TensorFlow Lite refuses it.
    ///
    /// ```
    /// let softmax = sepconv::operator::Softmax::from_real(0.1).unwrap();
    /// assert_eq!(softmax.difference_min, -248);
    /// ```
    pub fn from_real(scale_times_beta: f64) -> Option<Self> {
        // From a scale of 16 on, all but the greatest input contribute nothing, so that larger ones come to the same.
        let scaled = (scale_times_beta * 67_108_864.0).min(1_073_741_823.0);
        if scale_times_beta.is_nan() || scaled <= 1.0 {
            return None;
        }
        let multiplier = Multiplier::from_real(scaled)?;
        // The greatest difference whose exponent stays above -32: 31 x 2^26 / 2^shift, rounded down.
        let difference_min = -((31i64 << 26) >> multiplier.shift.max(0)) as i32;
        Some(Self {
            multiplier,
            difference_min,
        })
    }
}

/// Parameters of a table lookup.
///
/// ```
/// use sepconv::operator::Lookup;
/// let negation: Vec<u8> = (-128..128).map(|q: i32| (-q).min(127) as u8).collect();
/// let lookup = Lookup { table: &negation };
/// assert_eq!(lookup.table[(5 + 128) as usize] as i8, -5);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'m> {
    /// 256 output values as bytes; the entry of input q is number `q + 128`.
    pub table: &'m [u8],
}

/// Parameters of requantization: `(q − input_zero_point) × multiplier + output_zero_point`, clamped. Between any two
/// element types.
///
/// In a record, `params` holds the multiplier's mantissa and shift.
///
/// ```
/// use sepconv::fixed_point::Multiplier;
/// use sepconv::operator::Requantize;
/// let requantize = Requantize {
///     input_zero_point: 10,
///     output_zero_point: -4,
///     multiplier: Multiplier::from_real(0.25).unwrap(),
///     activation_min: -128,
///     activation_max: 127,
/// };
/// assert_eq!(requantize.multiplier.apply(50 - requantize.input_zero_point) + requantize.output_zero_point, 6);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Requantize {
    /// The input's zero point.
    pub input_zero_point: i32,
    /// The output's zero point.
    pub output_zero_point: i32,
    /// Input scale ÷ output scale.
    pub multiplier: Multiplier,
    /// The least output value.
    pub activation_min: i32,
    /// The greatest output value.
    pub activation_max: i32,
}

/// Parameters of nearest-neighbour resizing: tables of which input row (column) each output row (column) copies, made by
/// whoever writes the model, since TensorFlow Lite computes them in floating point.
///
/// In a record, the weights are both tables, rows first, and `params` holds the bytes of the first.
///
/// ```
/// use sepconv::operator::ResizeNearest;
/// // Two rows become four; the only column stays.
/// let resize = ResizeNearest { rows: &[0, 0, 0, 0, 1, 0, 1, 0], columns: &[0, 0] };
/// assert_eq!([0, 1, 2, 3].map(|y| resize.source_row(y)), [0, 0, 1, 1]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ResizeNearest<'m> {
    /// An input row for each output row, u16, little-endian; they never decrease.
    pub rows: &'m [u8],
    /// An input column for each output column, u16, little-endian.
    pub columns: &'m [u8],
}

impl ResizeNearest<'_> {
    /// The input row that output row `y` copies.
    ///
    /// ```
    /// use sepconv::operator::ResizeNearest;
    /// // Two rows become four; the only column stays.
    /// let resize = ResizeNearest { rows: &[0, 0, 0, 0, 1, 0, 1, 0], columns: &[0, 0] };
    /// assert_eq!(resize.source_row(2), 1);
    /// ```
    pub fn source_row(&self, y: usize) -> usize {
        read_u16(self.rows, y)
    }

    /// The input column that output column `x` copies.
    ///
    /// ```
    /// use sepconv::operator::ResizeNearest;
    /// // Two rows become four; the only column stays.
    /// let resize = ResizeNearest { rows: &[0, 0, 0, 0, 1, 0, 1, 0], columns: &[0, 0] };
    /// assert_eq!(resize.source_column(0), 0);
    /// ```
    pub fn source_column(&self, x: usize) -> usize {
        read_u16(self.columns, x)
    }
}

fn read_u16(bytes: &[u8], index: usize) -> usize {
    let raw = bytes.get(index * 2..).and_then(|rest| rest.first_chunk());
    raw.map_or(0, |raw| u16::from_le_bytes(*raw) as usize)
}

/// Parameters of transposition.
///
/// In a record, `params` holds the permutation.
///
/// ```
/// use sepconv::operator::Transpose;
/// // From planes (channels first) to pixels.
/// let transpose = Transpose { permutation: [1, 2, 0] };
/// assert_eq!(transpose.permutation[2], 0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Transpose {
    /// Which input axis (0: height, 1: width, 2: channels) each output axis is; a permutation.
    pub permutation: [u8; 3],
}

/// Parameters of argmax: the output holds the number of the greatest channel (the first of equals) of each pixel, as one
/// int16 channel.
///
/// ```
/// use sepconv::operator::{ArgMax, Operator};
/// assert!(matches!(Operator::ArgMax(ArgMax), Operator::ArgMax(_)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ArgMax;

//! The layout of the kernels for Armv7E-M and Armv8-M with the DSP extension (Cortex-M4, M7, M33).
//!
//! **Matrices** (convolution, pointwise, fully connected). Output channels go in groups of four; more than [`WHOLE`]
//! weights of a channel go in [`slices`]. A block is the [`Rounding`] as u32 in 16 bytes, and then, slice by slice, group by group:
//! weights, and after the weights of the last slice the group's four `Channel`s. Inputs are widened to int16 pairs in
//! the order `(k, k + 2), (k + 1, k + 3)`, which is what SXTB16 makes of four bytes; for each such pair of inputs there
//! are two words of weights, for channels 0 and 1 and for channels 2 and 3.
//!
//! A halfword holds two channels' weights as `256 × odd + even`. SMLAD of inputs with the word as it is gives
//! `256 × Σodd + Σeven`, SMLAD with the sign-extended low bytes (one SXTB16) gives `Σeven`, and their difference is
//! `256 × Σodd` exactly, as long as |Σodd| < 2²³: hence the slices. So a weight costs a byte of flash and a quarter of an
//! instruction of unpacking.
//!
//! **Depthwise** with a 3 × 3 window. For each channel six words of weights, `(w0, w1), (w1, w2)` for each row of the
//! window, doubled; then its `Channel`.

use super::LinearShape;
pub use super::cortex_m3::MOST_ROWS;
#[cfg(feature = "alloc")]
use super::fold::Plain;
use crate::Element;
use crate::operator::Kind;

/// The most inputs that are summed in one go, a multiple of 4 with 128 × 128 × `WHOLE` < 2²³.
pub const WHOLE: usize = 508;
/// Inputs of a slice but the first: so many that the widened inputs of one and of two pixels are multiples of [`ALIGN`].
pub const SLICE: usize = 384;
/// Bytes before the first weights.
pub const HEADER: usize = 16;
/// Bytes of a channel's bias, multiplier and shift.
pub const CHANNEL: usize = 12;
/// Bytes of a channel of a depthwise operator.
pub const DEPTHWISE_CHANNEL: usize = 24 + CHANNEL;
/// Widened inputs end at a multiple of this, so that the inner loop's end shows in the pointer's low bits.
pub const ALIGN: usize = 256;
/// Bytes of widened rows that a depthwise kernel keeps at a time, unless three rows take more.
const PLANES: usize = 4096;

/// How sums become outputs. `Wide` sums have `(bias, multiplier, shift)` and go through the specification; the others have
/// `(2 × bias, multiplier, 2^(32 − right shift))` and need: sums below 2³⁰, right shifts from 2 on, and int8's full range
/// of activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Rounding {
    /// As the specification computes it.
    Wide = 0,
    /// Ties away from zero.
    Signed = 1,
    /// Sums below zero give the least output anyway (a fused ReLU), so that their ties do not matter.
    Rectified = 2,
}

/// Whether these kernels have an operator.
pub fn holds(shape: &LinearShape) -> bool {
    if shape.element != Element::Int8 || shape.weight_bits != 8 {
        return false;
    }
    let window = &shape.window;
    match shape.kind {
        Kind::Depthwise => {
            shape.input.channels == shape.output.channels
                && shape.input.channels.is_multiple_of(4)
                && (window.kernel_height, window.kernel_width) == (3, 3)
                && (window.dilation_height, window.dilation_width) == (1, 1)
                && window.stride_width <= 2
        }
        _ => window.kernel_height <= MOST_ROWS,
    }
}

/// Inputs of one output value, padded to whole words.
pub fn padded_depth(shape: &LinearShape) -> usize {
    shape.weights_per_channel().next_multiple_of(4)
}

/// The slices `from..to` of so many inputs, in order.
pub fn slices(depth: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = if depth <= WHOLE { 1 } else { depth.div_ceil(SLICE) };
    let first = depth - (count - 1) * SLICE;
    (0..count).map(move |slice| {
        (
            if slice == 0 {
                0
            } else {
                first + (slice - 1) * SLICE
            },
            first + slice * SLICE,
        )
    })
}

/// Bytes of a block.
pub fn packed_len(shape: &LinearShape) -> usize {
    let channels = shape.output.channels as usize;
    if shape.kind == Kind::Depthwise {
        return HEADER + channels * DEPTHWISE_CHANNEL;
    }
    HEADER + channels.div_ceil(4) * 4 * (padded_depth(shape) + CHANNEL)
}

/// Bytes of scratch memory.
pub fn scratch_len(shape: &LinearShape) -> usize {
    if shape.kind == Kind::Depthwise {
        let rows = shape.window.stride_height * (shape.output.height as usize - 1) + 3;
        let row = pairs_of_columns(shape.output.width as usize, shape.window.stride_width) * 16;
        return row * PLANES.checked_div(row).unwrap_or(0).max(3).min(rows);
    }
    let depth = padded_depth(shape);
    // Two pixels' windows as bytes (for convolution), two pixels' inputs as int16, and the way to their aligned end.
    let windows = if shape.kind == Kind::Convolution {
        2 * depth + 4
    } else {
        0
    };
    windows + depth * 4 + ALIGN
}

/// Pairs of columns that so many outputs read: the last two outputs read two (stride 1) or three (stride 2) pairs.
pub fn pairs_of_columns(outputs: usize, stride: usize) -> usize {
    outputs.div_ceil(2) * stride + 1
}

/// The block of an operator; `None` if a weight of −128 stands where it does not fit, and for depthwise operators whose
/// rounding is [`Rounding::Wide`].
#[cfg(feature = "alloc")]
pub fn pack(linear: &crate::operator::Linear, shape: &LinearShape) -> Option<alloc::vec::Vec<u8>> {
    let plain = Plain::simplified(linear, shape);
    let channels = shape.output.channels as usize;
    let rounding = rounding(&plain, channels);
    let mut block = alloc::vec::Vec::with_capacity(packed_len(shape));
    block.extend_from_slice(&(rounding as u32).to_le_bytes());
    block.resize(HEADER, 0);
    if shape.kind == Kind::Depthwise {
        if rounding == Rounding::Wide {
            return None;
        }
        for channel in 0..channels {
            for row in 0..3 {
                let [w0, w1, w2] = core::array::from_fn(|k| plain.weight(channel, row * 3 + k) as i16 * 2);
                for weight in [w0, w1, w1, w2] {
                    block.extend_from_slice(&weight.to_le_bytes());
                }
            }
            block.extend_from_slice(&constants(&plain, channel, rounding));
        }
        return Some(block);
    }
    let depth = padded_depth(shape);
    for (start, end) in slices(depth) {
        for group in (0..channels).step_by(4) {
            for k in (start..end).step_by(4) {
                push_group(&plain, group, k, &mut block)?;
            }
            if end == depth {
                for channel in group..group + 4 {
                    block.extend_from_slice(&constants(&plain, channel, rounding));
                }
            }
        }
    }
    Some(block)
}

/// Four channels' weights of four inputs; `None` if two of them do not fit a halfword.
#[cfg(feature = "alloc")]
fn push_group(plain: &Plain, group: usize, k: usize, block: &mut alloc::vec::Vec<u8>) -> Option<()> {
    for (first, second) in [(k, k + 2), (k + 1, k + 3)] {
        for even in [group, group + 2] {
            for k in [first, second] {
                let (low, high) = (plain.weight(even, k) as i32, plain.weight(even + 1, k) as i32);
                let both = i16::try_from(256 * high + low).ok()?;
                block.extend_from_slice(&both.to_le_bytes());
            }
        }
    }
    Some(())
}

#[cfg(feature = "alloc")]
fn rounding(plain: &Plain, channels: usize) -> Rounding {
    let linear = plain.linear;
    let exact = (0..channels).all(|channel| {
        let multiplier = plain.multiplier(channel);
        plain.greatest_sum(channel) < 1 << 30
            && (multiplier.shift <= -2 || multiplier.mantissa.to_bits() == 0)
    });
    if !exact || plain.depth > WHOLE || (linear.activation_min, linear.activation_max) != (-128, 127) {
        Rounding::Wide
    } else if linear.output_zero_point == -128 {
        Rounding::Rectified
    } else {
        Rounding::Signed
    }
}

/// A channel's three constants; those of no channel give anything.
#[cfg(feature = "alloc")]
fn constants(plain: &Plain, channel: usize, rounding: Rounding) -> [u8; CHANNEL] {
    let bias = plain.folded_bias(channel);
    let multiplier = plain.multiplier(channel);
    let (mantissa, shift) = (multiplier.mantissa.to_bits(), multiplier.shift as i32);
    let words = match rounding {
        Rounding::Wide => [bias, mantissa, shift],
        // A multiplier of zero may come with any shift.
        _ => [
            bias.wrapping_mul(2),
            mantissa,
            if shift <= -2 { 1 << (32 + shift) } else { 0 },
        ],
    };
    let mut bytes = [0; CHANNEL];
    for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

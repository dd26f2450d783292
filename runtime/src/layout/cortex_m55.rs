//! The layout of the kernels for Armv8.1-M with Helium (Cortex-M55, M85).
//!
//! A block starts with the [`Rounding`] as u32 in 16 bytes.
//!
//! **Matrices** (convolution, pointwise, fully connected). Output channels go in groups of three, inputs in blocks of 16:
//! group by group, block by block, 16 weights of each of the three channels; zeros where channels or inputs end. Then for
//! every four channels four biases, four multipliers and four shifts.
//!
//! **Depthwise** with a 3 × 3 window, for every eight channels: biases of the even, then of the odd ones; nine times eight
//! weights; multipliers and shifts of the even, then of the odd ones.

use super::LinearShape;
#[cfg(feature = "alloc")]
use super::fold::Plain;
use crate::Element;
use crate::operator::Kind;
#[cfg(feature = "alloc")]
use alloc::vec::Vec;

/// Bytes before the first weights.
pub const HEADER: usize = 16;
/// Bytes of four channels' biases, multipliers and shifts.
pub const CHANNELS: usize = 48;
/// Bytes of eight channels of a depthwise operator.
pub const DEPTHWISE_CHANNELS: usize = 2 * CHANNELS + 72;

/// How sums become outputs. The vector instructions need right shifts from 1 on and int8's full range of activations.
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
    let window = &shape.window;
    shape.element == Element::Int8
        && shape.weight_bits == 8
        && (shape.kind != Kind::Depthwise
            || shape.input.channels == shape.output.channels
                && shape.input.channels.is_multiple_of(8)
                && (window.kernel_height, window.kernel_width) == (3, 3))
}

/// Groups of three channels.
pub fn groups(channels: usize) -> usize {
    channels.div_ceil(3)
}

/// Bytes of a matrix's weights.
pub fn weights_len(depth: usize, channels: usize) -> usize {
    groups(channels) * 3 * depth.next_multiple_of(16)
}

/// Bytes of a block.
pub fn packed_len(shape: &LinearShape) -> usize {
    let channels = shape.output.channels as usize;
    HEADER
        + if shape.kind == Kind::Depthwise {
            channels / 8 * DEPTHWISE_CHANNELS
        } else {
            weights_len(shape.weights_per_channel(), channels) + channels.div_ceil(4) * CHANNELS
        }
}

/// Bytes of two pixels' sums, whole groups and whole vectors of four.
pub fn sums_len(channels: usize) -> usize {
    2 * 4 * (groups(channels) * 3).next_multiple_of(4)
}

/// Bytes of scratch memory: sums, and for convolution two pixels' windows; for depthwise a pixel of padding.
pub fn scratch_len(shape: &LinearShape) -> usize {
    let channels = shape.output.channels as usize;
    match shape.kind {
        Kind::Depthwise => channels,
        Kind::Convolution => 2 * shape.weights_per_channel() + 4 + sums_len(channels),
        _ => 4 + sums_len(channels),
    }
}

/// The block of an operator; `None` for depthwise operators whose rounding is [`Rounding::Wide`].
#[cfg(feature = "alloc")]
pub fn pack(linear: &crate::operator::Linear, shape: &LinearShape) -> Option<Vec<u8>> {
    let plain = Plain::new(linear, shape);
    let channels = shape.output.channels as usize;
    let rounding = rounding(&plain, channels);
    let mut block = Vec::with_capacity(packed_len(shape));
    block.extend_from_slice(&(rounding as u32).to_le_bytes());
    block.resize(HEADER, 0);
    if shape.kind == Kind::Depthwise {
        if rounding == Rounding::Wide {
            return None;
        }
        for first in (0..channels).step_by(8) {
            let (even, odd) = ([0, 2, 4, 6].map(|c| first + c), [1, 3, 5, 7].map(|c| first + c));
            push_biases(&plain, even, &mut block);
            push_biases(&plain, odd, &mut block);
            for k in 0..9 {
                block.extend((first..first + 8).map(|channel| plain.weight(channel, k) as u8));
            }
            push_multipliers(&plain, even, &mut block);
            push_multipliers(&plain, odd, &mut block);
        }
        return Some(block);
    }
    for group in (0..channels).step_by(3) {
        for k in (0..plain.depth).step_by(16) {
            for channel in group..group + 3 {
                block.extend((k..k + 16).map(|k| plain.weight(channel, k) as u8));
            }
        }
    }
    for first in (0..channels).step_by(4) {
        let four = [0, 1, 2, 3].map(|c| first + c);
        push_biases(&plain, four, &mut block);
        push_multipliers(&plain, four, &mut block);
    }
    Some(block)
}

#[cfg(feature = "alloc")]
fn push_biases(plain: &Plain, channels: [usize; 4], block: &mut Vec<u8>) {
    for channel in channels {
        block.extend_from_slice(&plain.folded_bias(channel).to_le_bytes());
    }
}

#[cfg(feature = "alloc")]
fn push_multipliers(plain: &Plain, channels: [usize; 4], block: &mut Vec<u8>) {
    for channel in channels {
        let mantissa = plain.linear.multiplier(channel).mantissa.to_bits();
        block.extend_from_slice(&mantissa.to_le_bytes());
    }
    for channel in channels {
        block.extend_from_slice(&(plain.linear.multiplier(channel).shift as i32).to_le_bytes());
    }
}

#[cfg(feature = "alloc")]
fn rounding(plain: &Plain, channels: usize) -> Rounding {
    let linear = plain.linear;
    let right = (0..channels).all(|channel| linear.multiplier(channel).shift <= -1);
    if !right || (linear.activation_min, linear.activation_max) != (-128, 127) {
        Rounding::Wide
    } else if linear.output_zero_point == -128 {
        Rounding::Rectified
    } else {
        Rounding::Signed
    }
}

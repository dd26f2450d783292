//! The layout of the kernels for Armv8.1-M with Helium (Cortex-M55, M85).
//!
//! A block starts with the [`Rounding`] as u32 in 16 bytes.
//!
//! **Matrices** (convolution, pointwise, fully connected). Output channels go in groups of four: four biases, four
//! multipliers, four shifts, then for every 16 inputs 16 weights of each of the four channels; zeros where channels or inputs
//! end.
//!
//! **Depthwise** with a 3 × 3 window. Channels go in groups of 16; four or eight channels that move by one column are
//! repeated to 16, so that a vector holds several pixels. A group is the biases of its [`QUARTERS`], nine times 16 weights,
//! and for each quarter four multipliers and four shifts.

use super::LinearShape;
#[cfg(feature = "alloc")]
use super::fold::Plain;
use super::padded::{padded_row_len, rows_kept};
use crate::Element;
use crate::operator::Kind;
#[cfg(feature = "alloc")]
use alloc::vec::Vec;

/// Bytes before the first group.
pub const HEADER: usize = 16;
/// Output channels of a group of a matrix.
pub const GROUP: usize = 4;
/// Inputs of a vector.
pub const VECTOR: usize = 16;
/// Bytes of four channels' biases, multipliers and shifts.
pub const CONSTANTS: usize = 48;
/// Bytes of a group of 16 channels of a depthwise operator.
pub const DEPTHWISE_GROUP: usize = 4 * CONSTANTS + 9 * VECTOR;
/// The channels of a depthwise group in the order in which long multiplies of even and odd lanes give their sums.
pub const QUARTERS: [[usize; 4]; 4] = [[0, 4, 8, 12], [2, 6, 10, 14], [1, 5, 9, 13], [3, 7, 11, 15]];
/// Bytes of gathered windows that a convolution keeps at a time, unless two windows take more.
const WINDOWS: usize = 1024;

/// How sums become outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Rounding {
    /// Shifts left and right.
    Wide = 0,
    /// No shifts left.
    Signed = 1,
    /// No shifts left, and sums below zero give the least int8 anyway (a fused ReLU): their ties do not matter, and
    /// saturation is the clamp.
    Rectified = 2,
}

/// Whether these kernels have an operator.
pub fn holds(shape: &LinearShape) -> bool {
    let window = &shape.window;
    shape.element == Element::Int8
        && shape.weight_bits == 8
        && shape.output.channels < 1 << 15
        && (shape.kind != Kind::Depthwise
            || shape.input.channels == shape.output.channels
                && shape.input.channels.is_multiple_of(4)
                && (window.kernel_height, window.kernel_width) == (3, 3))
}

/// Bytes of a group of a matrix.
pub fn group_len(depth: usize) -> usize {
    CONSTANTS + GROUP * depth.next_multiple_of(VECTOR)
}

/// The channels that a depthwise operator's groups are of: several pixels' where that fills a vector.
pub fn depthwise_channels(shape: &LinearShape) -> usize {
    widened_channels(shape.output.channels as usize, shape.window.stride_width)
}

/// As [`depthwise_channels`], of so many channels and columns from one output to the next.
pub fn widened_channels(channels: usize, stride_width: usize) -> usize {
    match (channels, stride_width) {
        (4 | 8, 1) => VECTOR,
        _ => channels,
    }
}

/// Windows that a convolution gathers at a time: a whole row, or an even number.
pub fn windows_at_a_time(depth: usize, width: usize) -> usize {
    let fitting = WINDOWS.checked_div(depth).unwrap_or(0) / 2 * 2;
    fitting.max(2).min(width)
}

/// Bytes of a block.
pub fn packed_len(shape: &LinearShape) -> usize {
    HEADER
        + if shape.kind == Kind::Depthwise {
            depthwise_channels(shape).div_ceil(VECTOR) * DEPTHWISE_GROUP
        } else {
            (shape.output.channels as usize).div_ceil(GROUP) * group_len(shape.weights_per_channel())
        }
}

/// Bytes of scratch memory: padded rows for depthwise and for convolution, and gathered windows for the latter; else the last
/// pixels, whose vectors would reach beyond the input.
pub fn scratch_len(shape: &LinearShape) -> usize {
    let depth = shape.weights_per_channel();
    let width = shape.output.width as usize;
    let padded_rows =
        || rows_kept(&shape.window) * padded_row_len(&shape.window, width, shape.input.channels as usize);
    match shape.kind {
        Kind::Depthwise => padded_rows(),
        Kind::Convolution => windows_at_a_time(depth, width) * depth + VECTOR + padded_rows(),
        _ => last_pixels_len(depth),
    }
}

/// Bytes of the last pixels that cannot be read in whole vectors where they lie, and of what the last vector reads beyond
/// them.
pub fn last_pixels_len(depth: usize) -> usize {
    if depth.is_multiple_of(VECTOR) {
        0
    } else {
        (VECTOR - 1).div_ceil(depth.max(1)) * depth + depth.next_multiple_of(VECTOR)
    }
}

/// The block of an operator; `None` for depthwise operators with weights of −128, whose products in pairs may not fit 16
/// bits.
#[cfg(feature = "alloc")]
pub fn pack(linear: &crate::operator::Linear, shape: &LinearShape) -> Option<Vec<u8>> {
    let plain = Plain::new(linear, shape);
    let channels = shape.output.channels as usize;
    let rounding = rounding(&plain, channels);
    let mut block = Vec::with_capacity(packed_len(shape));
    block.extend_from_slice(&(rounding as u32).to_le_bytes());
    block.resize(HEADER, 0);
    if shape.kind == Kind::Depthwise {
        if linear.weights.contains(&0x80) {
            return None;
        }
        let widened = depthwise_channels(shape);
        // Repeated where they are widened; of no channel where a group is not full.
        let channel = |lane: usize| if widened > channels { lane % channels } else { lane };
        for first in (0..widened).step_by(VECTOR) {
            let quarters = QUARTERS.map(|quarter| quarter.map(|lane| channel(first + lane)));
            for quarter in quarters {
                push_biases(&plain, quarter, &mut block);
            }
            for tap in 0..9 {
                block.extend((first..first + VECTOR).map(|lane| plain.weight(channel(lane), tap) as u8));
            }
            for quarter in quarters {
                push_multipliers(&plain, quarter, &mut block);
            }
        }
        return Some(block);
    }
    for first in (0..channels).step_by(GROUP) {
        let group = core::array::from_fn(|lane| first + lane);
        push_biases(&plain, group, &mut block);
        push_multipliers(&plain, group, &mut block);
        for k in (0..plain.depth).step_by(VECTOR) {
            for channel in group {
                block.extend((k..k + VECTOR).map(|k| plain.weight(channel, k) as u8));
            }
        }
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
    if (0..channels).any(|channel| linear.multiplier(channel).shift > 0) {
        Rounding::Wide
    } else if linear.output_zero_point == -128
        && (linear.activation_min, linear.activation_max) == (-128, 127)
    {
        Rounding::Rectified
    } else {
        Rounding::Signed
    }
}

//! The layouts of the kernels for AArch64: for NEON alone, for dot products, and for matrix products of int8.
//!
//! A block starts with 16 bytes of which the first says whether any shift goes left.
//!
//! **Matrices** (convolution, pointwise, fully connected). Output channels go in groups of 16: 16 biases, 16 multipliers and
//! 16 shifts, and then the weights of a [`Product`].
//!
//! **Depthwise.** Channels go in groups of 16 (of 8 where there are fewer than 16), the last of which ends with the last
//! channel, so that it may overlap the one before: biases, multipliers, shifts, and for each tap of the window a weight of
//! each channel.
//!
//! Channels and inputs beyond the last have weights of zero.

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
/// Channels of a group of a matrix.
pub const GROUP: usize = 16;
/// The most taps of a depthwise window.
pub const TAPS: usize = 49;
/// Bytes of inputs that a matrix is multiplied by before the next group's turn: about half a first-level cache.
const INPUTS: usize = 16 * 1024;

/// How inputs are multiplied, which decides the order of a group's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Without either extension: for every four channels, for every 16 inputs (or a last 8), that many weights of each of
    /// the four.
    Neon,
    /// SDOT: for every four inputs, 16 times four weights.
    Dot,
    /// SMMLA: for every eight inputs, 16 times eight weights.
    Matrix,
}

impl Product {
    /// Inputs of an output value, padded to what instructions take.
    pub fn padded_depth(self, depth: usize) -> usize {
        depth.next_multiple_of(if self == Self::Dot { 4 } else { 8 })
    }

    /// Bytes of a group of a matrix.
    pub fn group_len(self, depth: usize) -> usize {
        GROUP * (12 + self.padded_depth(depth))
    }
}

/// Whether these kernels have an operator.
pub fn holds(shape: &LinearShape) -> bool {
    let taps = shape.window.kernel_height * shape.window.kernel_width;
    shape.element == Element::Int8
        && shape.weight_bits == 8
        && (shape.kind != Kind::Depthwise
            || shape.input.channels == shape.output.channels && shape.input.channels >= 8 && taps <= TAPS)
}

/// Channels of a group of a depthwise operator.
pub fn depthwise_group(channels: usize) -> usize {
    if channels < 16 { 8 } else { 16 }
}

/// The first channels of a depthwise operator's groups.
pub fn depthwise_starts(channels: usize) -> impl Iterator<Item = usize> {
    let group = depthwise_group(channels);
    (0..channels.div_ceil(group)).map(move |number| (number * group).min(channels.saturating_sub(group)))
}

/// Pixels that a matrix is multiplied by before the next group's turn, a multiple of 4.
pub fn pixels_at_a_time(padded_depth: usize) -> usize {
    (INPUTS.checked_div(padded_depth).unwrap_or(0) / 4 * 4).clamp(4, 256)
}

/// Bytes of a block.
pub fn packed_len(shape: &LinearShape, product: Product) -> usize {
    let (depth, channels) = (shape.weights_per_channel(), shape.output.channels as usize);
    HEADER
        + if shape.kind == Kind::Depthwise {
            let group = depthwise_group(channels);
            channels.div_ceil(group) * group * (12 + depth)
        } else {
            channels.div_ceil(GROUP) * product.group_len(depth)
        }
}

/// Bytes of scratch memory: padded rows for depthwise; for matrices the pixels that they are multiplied by at a time, unless
/// those can be read where they are.
pub fn scratch_len(shape: &LinearShape, product: Product) -> usize {
    let depth = shape.weights_per_channel();
    let padded = product.padded_depth(depth);
    match shape.kind {
        Kind::Depthwise => {
            let (outputs, channels) = (shape.output.width as usize, shape.input.channels as usize);
            rows_kept(&shape.window) * padded_row_len(&shape.window, outputs, channels)
        }
        Kind::Convolution => pixels_at_a_time(padded) * padded,
        _ if padded == depth => 0,
        _ => pixels_at_a_time(padded) * padded,
    }
}

/// The block of an operator; `None` if it has weights of −128 where products of two inputs are summed in 16 bits, which they
/// might not fit: in depthwise operators, and in all without either extension.
#[cfg(feature = "alloc")]
pub fn pack(linear: &crate::operator::Linear, shape: &LinearShape, product: Product) -> Option<Vec<u8>> {
    let plain = Plain::new(linear, shape);
    let channels = shape.output.channels as usize;
    let pairs = shape.kind == Kind::Depthwise || product == Product::Neon;
    if pairs && linear.weights.contains(&0x80) {
        return None;
    }
    let mut block = Vec::with_capacity(packed_len(shape, product));
    block.push((0..channels).any(|channel| linear.multiplier(channel).shift > 0) as u8);
    block.resize(HEADER, 0);
    if shape.kind == Kind::Depthwise {
        let group = depthwise_group(channels);
        for first in depthwise_starts(channels) {
            push_constants(&plain, first, group, &mut block);
            for tap in 0..plain.depth {
                block.extend((first..first + group).map(|channel| plain.weight(channel, tap) as u8));
            }
        }
        return Some(block);
    }
    let depth = product.padded_depth(plain.depth);
    // Weights go by tiles of so many channels and inputs.
    let (tile_channels, tile_inputs) = match product {
        Product::Neon => (4, 16),
        Product::Dot => (GROUP, 4),
        Product::Matrix => (GROUP, 8),
    };
    for first in (0..channels).step_by(GROUP) {
        push_constants(&plain, first, GROUP, &mut block);
        for tile in (first..first + GROUP).step_by(tile_channels) {
            for k in (0..depth).step_by(tile_inputs) {
                for channel in tile..tile + tile_channels {
                    let end = (k + tile_inputs).min(depth);
                    block.extend((k..end).map(|k| plain.weight(channel, k) as u8));
                }
            }
        }
    }
    Some(block)
}

#[cfg(feature = "alloc")]
fn push_constants(plain: &Plain, first: usize, count: usize, block: &mut Vec<u8>) {
    let channels = first..first + count;
    let multiplier = |channel| plain.linear.multiplier(channel);
    block.extend(
        channels
            .clone()
            .flat_map(|channel| plain.folded_bias(channel).to_le_bytes()),
    );
    block.extend(
        channels
            .clone()
            .flat_map(|channel| multiplier(channel).mantissa.to_bits().to_le_bytes()),
    );
    block.extend(channels.flat_map(|channel| (multiplier(channel).shift as i32).to_le_bytes()));
}

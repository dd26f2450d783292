//! The layouts of the kernels for AArch64, with and without the dot product extension.
//!
//! **Matrices** (convolution, pointwise, fully connected). Output channels go in groups of 16: 16 biases, 16 multipliers and
//! 16 shifts, and then the weights. With dot products: for every four inputs 16 times four weights, channel after channel.
//! Without: for every four channels of the group and every 16 inputs, four times 16 weights.
//!
//! **Depthwise.** For every eight channels: 8 biases, 8 multipliers, 8 shifts, and for each tap of the window 8 weights.
//!
//! Channels and inputs beyond the last have weights of zero.

use super::LinearShape;
#[cfg(feature = "alloc")]
use super::fold::Plain;
use crate::Element;
use crate::operator::Kind;
#[cfg(feature = "alloc")]
use alloc::vec::Vec;

/// Channels of a group of a matrix.
pub const GROUP: usize = 16;
/// Channels of a group of a depthwise operator.
pub const DEPTHWISE_GROUP: usize = 8;
/// Pixels that a matrix is multiplied by at a time.
pub const PIXELS: usize = 4;
/// The most taps of a depthwise window.
pub const TAPS: usize = 25;

/// Whether these kernels have an operator.
pub fn holds(shape: &LinearShape) -> bool {
    let taps = shape.window.kernel_height * shape.window.kernel_width;
    shape.element == Element::Int8
        && shape.weight_bits == 8
        && (shape.kind != Kind::Depthwise
            || shape.input.channels == shape.output.channels
                && shape.input.channels.is_multiple_of(DEPTHWISE_GROUP as u32)
                && taps <= TAPS)
}

/// Inputs of an output value, padded to whole loads.
pub fn padded_depth(depth: usize, dot: bool) -> usize {
    depth.next_multiple_of(if dot { 4 } else { 16 })
}

/// Bytes of a group of a matrix.
pub fn group_len(depth: usize, dot: bool) -> usize {
    GROUP * (12 + padded_depth(depth, dot))
}

/// Bytes of a group of a depthwise operator.
pub fn depthwise_group_len(taps: usize) -> usize {
    DEPTHWISE_GROUP * (12 + taps)
}

/// Bytes of a block.
pub fn packed_len(shape: &LinearShape, dot: bool) -> usize {
    let (depth, channels) = (shape.weights_per_channel(), shape.output.channels as usize);
    if shape.kind == Kind::Depthwise {
        channels / DEPTHWISE_GROUP * depthwise_group_len(depth)
    } else {
        channels.div_ceil(GROUP) * group_len(depth, dot)
    }
}

/// Bytes of scratch memory: [`PIXELS`] padded pixels, or a pixel of padding.
pub fn scratch_len(shape: &LinearShape, dot: bool) -> usize {
    if shape.kind == Kind::Depthwise {
        shape.input.channels as usize
    } else {
        PIXELS * padded_depth(shape.weights_per_channel(), dot)
    }
}

/// The block of an operator; `None` for a matrix without dot products that has weights of −128, whose products in pairs
/// may not fit 16 bits.
#[cfg(feature = "alloc")]
pub fn pack(linear: &crate::operator::Linear, shape: &LinearShape, dot: bool) -> Option<Vec<u8>> {
    let plain = Plain::new(linear, shape);
    let channels = shape.output.channels as usize;
    let mut block = Vec::with_capacity(packed_len(shape, dot));
    if shape.kind == Kind::Depthwise {
        for first in (0..channels).step_by(DEPTHWISE_GROUP) {
            push_constants(&plain, first, DEPTHWISE_GROUP, &mut block);
            for tap in 0..plain.depth {
                block
                    .extend((first..first + DEPTHWISE_GROUP).map(|channel| plain.weight(channel, tap) as u8));
            }
        }
        return Some(block);
    }
    if !dot && linear.weights.contains(&0x80) {
        return None;
    }
    let depth = padded_depth(plain.depth, dot);
    // Weights go by tiles of so many channels and inputs.
    let (tile_channels, tile_inputs) = if dot { (GROUP, 4) } else { (4, 16) };
    for first in (0..channels).step_by(GROUP) {
        push_constants(&plain, first, GROUP, &mut block);
        for tile in (first..first + GROUP).step_by(tile_channels) {
            for k in (0..depth).step_by(tile_inputs) {
                for channel in tile..tile + tile_channels {
                    block.extend((k..k + tile_inputs).map(|k| plain.weight(channel, k) as u8));
                }
            }
        }
    }
    Some(block)
}

#[cfg(feature = "alloc")]
fn push_constants(plain: &Plain, first: usize, count: usize, block: &mut Vec<u8>) {
    for channel in first..first + count {
        block.extend_from_slice(&plain.folded_bias(channel).to_le_bytes());
    }
    for channel in first..first + count {
        block.extend_from_slice(&plain.linear.multiplier(channel).mantissa.to_bits().to_le_bytes());
    }
    for channel in first..first + count {
        block.extend_from_slice(&(plain.linear.multiplier(channel).shift as i32).to_le_bytes());
    }
}

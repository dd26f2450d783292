//! Convolution, pointwise and fully connected operators as matrix products, for x86-64 vectors.
//!
//! Output channels go in panels of 32: two groups of 16. Where 24 or fewer are left, each group is a panel, so that one of at
//! most 8 channels is alone, and can be multiplied by half a vector. A panel is the constants of its groups
//! ([`GroupConstants`]), then the weights: for each four inputs (of which the last may be padded with zeros), for each group,
//! for each lane, four weights.
//!
//! In a panel of two groups, lane 4l + e of group v is channel 8l + 4v + e: packing two vectors of 32-bit numbers to 16 bits
//! (which works in 128-bit lanes) then gives the channels in order.

use super::LinearShape;
use super::x86::{GROUP, GroupConstants, MAX_KERNEL};
#[cfg(feature = "alloc")]
use super::x86::{WeightSums, push_constants, weight};
use crate::Element;
use crate::operator::Kind;
#[cfg(feature = "alloc")]
use crate::operator::Linear;
#[cfg(feature = "alloc")]
use alloc::vec::Vec;

/// Output channels of a panel.
const PANEL: usize = 2 * GROUP;
/// Inputs that are multiplied at a time for one lane.
pub(crate) const DEPTH_STEP: usize = 4;
/// Bytes of the inputs of one pixel that the kernel copies as one piece.
pub(crate) const CHUNK: usize = 64;
/// How many bytes of inputs the kernel prepares at a time, about: what stays in the second-level cache together with the
/// weights.
const PREPARED: usize = 288 * 1024;

/// Whether this layout holds such an operator.
pub(crate) fn holds(shape: &LinearShape) -> bool {
    matches!(
        shape.kind,
        Kind::Convolution | Kind::Pointwise | Kind::FullyConnected
    ) && shape.element == Element::Int8
        && shape.window.kernel_height <= MAX_KERNEL
        && shape.weights_per_channel() > 0
}

/// Bytes of the block of constants.
pub(crate) fn packed_len(shape: &LinearShape) -> usize {
    let groups = (shape.output.channels as usize).div_ceil(GROUP);
    groups * (GroupConstants::SIZE + panel_weights(shape.weights_per_channel(), 1))
}

/// The first channel and the number of groups of each panel.
pub(crate) fn panels(channels: usize) -> impl Iterator<Item = (usize, usize)> {
    let pairs = (channels + GROUP / 2 - 1) / PANEL;
    let singles = (pairs * PANEL..channels).step_by(GROUP);
    (0..pairs)
        .map(|pair| (pair * PANEL, 2))
        .chain(singles.map(|first| (first, 1)))
}

/// Bytes of the weights of a panel.
pub(crate) fn panel_weights(depth: usize, groups: usize) -> usize {
    depth.div_ceil(DEPTH_STEP) * groups * GROUP * DEPTH_STEP
}

/// Bytes that the prepared inputs of a pixel take.
pub(crate) fn pixel_len(depth: usize) -> usize {
    depth.next_multiple_of(CHUNK)
}

/// How many pixels the kernel prepares at a time: a multiple of 42, into which tiles of 14 and of 6 pixels divide.
pub(crate) fn block_pixels(depth: usize) -> usize {
    (PREPARED / pixel_len(depth).max(1) / 42).max(1) * 42
}

/// Bytes of scratch memory: from the first multiple of 64 on, prepared inputs, or what [`Pairs`] says.
pub(crate) fn scratch_len(shape: &LinearShape) -> usize {
    let (depth, pixels) = (shape.weights_per_channel(), shape.output.pixels());
    let prepared = block_pixels(depth).min(pixels) * pixel_len(depth);
    CHUNK + prepared.max(Pairs::of(depth, pixels).len())
}

/// Scratch memory of the kernels that widen inputs and weights to 16 bits, in this order; nothing for so few pixels that they
/// are not worth it. All but the last are multiples of 64.
#[derive(Clone, Copy, Default)]
pub(crate) struct Pairs {
    /// Pixels that are prepared at a time.
    pub block: usize,
    /// Bytes of inputs that are gathered at a time.
    pub bytes: usize,
    /// Bytes of widened weights of half a panel.
    pub weights: usize,
    /// Bytes of widened inputs.
    pub inputs: usize,
    /// Bytes of a number for each pixel.
    pub numbers: usize,
}

impl Pairs {
    /// The most pixels of a tile.
    pub const TILE: usize = 4;
    /// Pixels that are gathered at a time: a multiple of the tile's.
    pub const TOGETHER: usize = 16;
    /// Below this number of pixels, widening weights takes longer than it saves.
    const LEAST_PIXELS: usize = 9;

    /// For an operator with so many output pixels.
    pub fn of(depth: usize, pixels: usize) -> Self {
        if pixels < Self::LEAST_PIXELS {
            return Self::default();
        }
        let block = (PREPARED / Self::pixel_len(depth).max(1) / Self::TILE).max(1) * Self::TILE;
        let block = block.min(pixels);
        Self {
            block,
            bytes: Self::TOGETHER.min(pixels) * pixel_len(depth),
            weights: depth.div_ceil(DEPTH_STEP) * GROUP * DEPTH_STEP * 2,
            inputs: block * Self::pixel_len(depth),
            numbers: block * 4,
        }
    }

    /// Bytes of a pixel's widened inputs.
    pub fn pixel_len(depth: usize) -> usize {
        depth.next_multiple_of(CHUNK / 2) * 2
    }

    /// Bytes of all.
    pub fn len(self) -> usize {
        self.bytes + self.weights + self.inputs + self.numbers
    }
}

/// The block of constants.
#[cfg(feature = "alloc")]
pub(crate) fn pack(linear: &Linear, shape: &LinearShape) -> Vec<u8> {
    let channels = shape.output.channels as usize;
    let depth = shape.weights_per_channel();
    let mut block = Vec::with_capacity(packed_len(shape));
    for (first, groups) in panels(channels) {
        let channel = |group: usize, lane: usize| {
            let within = if groups == 2 {
                lane / 4 * 8 + group * 4 + lane % 4
            } else {
                lane
            };
            Some(first + within).filter(|channel| *channel < channels)
        };
        for group in 0..groups {
            let lanes = core::array::from_fn(|lane| {
                let channel = channel(group, lane)?;
                let mut sums = WeightSums::default();
                (0..depth).for_each(|i| sums.add(weight(linear, channel * depth + i)));
                Some((channel, sums))
            });
            push_constants(&mut block, linear, &lanes);
        }
        for step in (0..depth).step_by(DEPTH_STEP) {
            for group in 0..groups {
                for lane in 0..GROUP {
                    let channel = channel(group, lane);
                    block.extend((step..step + DEPTH_STEP).map(|i| match channel {
                        Some(channel) if i < depth => weight(linear, channel * depth + i) as u8,
                        _ => 0,
                    }));
                }
            }
        }
    }
    block
}

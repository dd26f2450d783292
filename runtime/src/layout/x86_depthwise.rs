//! Depthwise convolution with one output channel an input channel, for x86-64 vectors.
//!
//! Channels go in blocks of 64 (the last is padded): the bytes of a 512-bit vector. The kernel interleaves four rows of the
//! window, byte by byte, into vectors of 32-bit lanes that hold four vertical taps of one channel each; interleaving works in
//! 128-bit lanes, so that lane 4l + e of vector v (0..4) is channel 16l + 4v + e of the block.
//!
//! A block of constants is, for each block of channels: the constants of its four groups ([`GroupConstants`]), then the
//! weights: for each column of the window, for each four rows of it (the last padded with zeros), for each vector, for
//! each lane, four weights.

use super::LinearShape;
use super::x86::{GROUP, GroupConstants, MAX_KERNEL};
#[cfg(feature = "alloc")]
use super::x86::{WeightSums, push_constants, weight};
use crate::Element;
#[cfg(feature = "alloc")]
use crate::operator::Linear;
use crate::operator::{Kind, Window};
#[cfg(feature = "alloc")]
use alloc::vec::Vec;

/// Channels of a block.
pub(crate) const BLOCK: usize = 4 * GROUP;
/// Rows of the window in a 32-bit lane.
pub(crate) const ROWS: usize = 4;
/// Output columns that the kernel computes from one preparation of inputs.
pub(crate) const SEGMENT: usize = 32;

/// Output columns that the kernel computes at the same time.
pub(crate) const TOGETHER: usize = 4;

/// Whether this layout holds such an operator.
pub(crate) fn holds(shape: &LinearShape) -> bool {
    shape.kind == Kind::Depthwise
        && shape.element == Element::Int8
        && shape.window.kernel_height <= MAX_KERNEL
        && shape.input.channels == shape.output.channels
}

/// Bytes of the block of constants.
pub(crate) fn packed_len(shape: &LinearShape) -> usize {
    (shape.output.channels as usize).div_ceil(BLOCK) * block_len(&shape.window)
}

/// Bytes of the constants of a block of channels.
pub(crate) fn block_len(window: &Window) -> usize {
    4 * GroupConstants::SIZE + window.kernel_width * row_groups(window) * BLOCK * ROWS
}

/// How many groups of four rows the window has.
pub(crate) fn row_groups(window: &Window) -> usize {
    window.kernel_height.div_ceil(ROWS)
}

/// Input columns that a segment of output columns reads.
pub(crate) fn segment_columns(window: &Window, outputs: usize) -> usize {
    outputs.saturating_sub(1) * window.stride_width
        + window.kernel_width.saturating_sub(1) * window.dilation_width
        + 1
}

/// Bytes of the interleaved input columns of a segment of rows of so many output columns.
pub(crate) fn prepared_len(window: &Window, width: usize) -> usize {
    let outputs = SEGMENT.min(width).next_multiple_of(TOGETHER);
    segment_columns(window, outputs) * row_groups(window) * BLOCK * ROWS
}

/// Bytes of scratch memory: from the first multiple of 64 on, interleaved input columns, then a segment's outputs.
pub(crate) fn scratch_len(shape: &LinearShape) -> usize {
    64 + prepared_len(&shape.window, shape.output.width as usize) + SEGMENT * BLOCK
}

/// The block of constants.
#[cfg(feature = "alloc")]
pub(crate) fn pack(linear: &Linear, shape: &LinearShape) -> Vec<u8> {
    let channels = shape.output.channels as usize;
    let window = &shape.window;
    let mut block = Vec::with_capacity(packed_len(shape));
    for first in (0..channels).step_by(BLOCK) {
        let channel = |vector: usize, lane: usize| {
            Some(first + lane / 4 * 16 + vector * 4 + lane % 4).filter(|channel| *channel < channels)
        };
        for vector in 0..4 {
            let lanes = core::array::from_fn(|lane| {
                let channel = channel(vector, lane)?;
                let mut sums = WeightSums::default();
                let taps = window.kernel_height * window.kernel_width;
                (0..taps).for_each(|tap| sums.add(weight(linear, tap * channels + channel)));
                Some((channel, sums))
            });
            push_constants(&mut block, linear, &lanes);
        }
        for kx in 0..window.kernel_width {
            for row_group in 0..row_groups(window) {
                for vector in 0..4 {
                    for lane in 0..GROUP {
                        let channel = channel(vector, lane);
                        block.extend(
                            (row_group * ROWS..(row_group + 1) * ROWS).map(|ky| match channel {
                                Some(channel) if ky < window.kernel_height => {
                                    weight(linear, (ky * window.kernel_width + kx) * channels + channel) as u8
                                }
                                _ => 0,
                            }),
                        );
                    }
                }
            }
        }
    }
    block
}

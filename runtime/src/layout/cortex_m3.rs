//! The layout of the matrix kernels for Armv7-M without the DSP extension (Cortex-M3).
//!
//! A block is the [`Rounding`](super::cortex_m4::Rounding) as u32 in 16 bytes, and then, for every four output channels:
//! for each input four weights, and the four channels' biases, multipliers and shifts as in
//! [the layout of the Cortex-M4](super::cortex_m4).

use super::LinearShape;
use super::cortex_m4::{CHANNEL, HEADER, padded_depth};
use crate::Element;
use crate::operator::Kind;

/// Whether these kernels have an operator.
pub fn holds(shape: &LinearShape) -> bool {
    shape.element == Element::Int8 && shape.weight_bits == 8 && shape.kind != Kind::Depthwise
}

/// Bytes of a block.
pub fn packed_len(shape: &LinearShape) -> usize {
    HEADER + shape.output.channels.div_ceil(4) as usize * 4 * (padded_depth(shape) + CHANNEL)
}

/// Bytes of scratch memory: two pixels' inputs as int32, and for convolution their windows as bytes.
pub fn scratch_len(shape: &LinearShape) -> usize {
    let depth = padded_depth(shape);
    let windows = if shape.kind == Kind::Convolution {
        2 * depth
    } else {
        0
    };
    windows + depth * 8 + 4
}

/// The block of an operator.
#[cfg(feature = "alloc")]
pub fn pack(linear: &crate::operator::Linear, shape: &LinearShape) -> alloc::vec::Vec<u8> {
    let plain = super::fold::Plain::new(linear, shape);
    let channels = shape.output.channels as usize;
    let rounding = super::cortex_m4::rounding(&plain, channels);
    let mut block = alloc::vec::Vec::with_capacity(packed_len(shape));
    block.extend_from_slice(&(rounding as u32).to_le_bytes());
    block.resize(HEADER, 0);
    for group in (0..channels).step_by(4) {
        for k in 0..padded_depth(shape) {
            block.extend((group..group + 4).map(|channel| plain.weight(channel, k) as u8));
        }
        for channel in group..group + 4 {
            block.extend_from_slice(&super::cortex_m4::constants(&plain, channel, rounding));
        }
    }
    block
}

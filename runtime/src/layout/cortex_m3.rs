//! The layout of the matrix kernels for Arm cores without the DSP extension (Cortex-M0, M0+, M3).
//!
//! Output channels go in pairs. A block is the [`Rounding`] as u32 in 16 bytes, and then, pair by pair: for each input the
//! two channels' weights, and then each channel's four words.
//!
//! The kernels keep two pixels in one word, `first + 2^SPACING × second`, so that one multiplication by a weight serves
//! both. On a Cortex-M3 the products are summed in 64 bits with a spacing of 23 bits: exact as long as the magnitude of
//! every sum stays below 2^22, which the block's making checks. On a Cortex-M0, which multiplies 32 bits only, the spacing is
//! 16 bits, and the products of every two inputs are taken apart.
//!
//! **Depthwise** with a 3 × 3 window: channel by channel, nine weights in twelve bytes and four words. A channel of a few rows
//! of input, padding included, is first copied into a plane of bytes, four channels at a time.

use super::LinearShape;
#[cfg(feature = "alloc")]
use super::fold::Plain;
use crate::Element;
use crate::operator::Kind;

/// Bytes before the first weights.
pub const HEADER: usize = 16;
/// Bytes of a channel's four words.
pub const CHANNEL: usize = 16;
/// The most rows of a window.
pub const MOST_ROWS: usize = 16;
/// Bytes of a channel of a depthwise operator.
pub const DEPTHWISE_CHANNEL: usize = 12 + CHANNEL;
/// Bytes of planes, unless three rows of each take more.
const PLANE: usize = 1024;
/// Channels of depthwise operators that are copied into planes at a time.
pub const PLANES: usize = 4;
/// Pixels that are computed at a time.
pub const PIXELS: usize = 4;
/// Sums of inputs times weights must stay below this.
#[cfg(feature = "alloc")]
const LIMIT: u64 = 1 << 22;

/// How sums become outputs, and what a channel's four words are.
///
/// `Wide` sums have `(bias, multiplier, shift, 0)` and go through the specification. The others have `(2 × bias, multiplier,
/// 2^(s−1) + 2^s × zero point, s)`, where s is the right shift, and need: sums below 2²⁹, shifts from 1 to 22, and int8's full
/// range of activations. Their output is `(h + third) >> s`, h being the high word of `2 × sum × multiplier + 2^31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Rounding {
    /// As the specification computes it.
    Wide = 0,
    /// Ties away from zero: one less for negative h.
    Signed = 1,
    /// Sums below zero give the least output anyway (a fused ReLU), so that their ties do not matter.
    Rectified = 2,
}

/// Whether these kernels have an operator.
pub fn holds(shape: &LinearShape) -> bool {
    let window = &shape.window;
    let depthwise = shape.input.channels == shape.output.channels
        && (window.kernel_height, window.kernel_width) == (3, 3)
        && (window.dilation_height, window.dilation_width) == (1, 1);
    shape.element == Element::Int8
        && shape.weight_bits == 8
        && (shape.kind != Kind::Depthwise || depthwise)
        && shape.window.kernel_height <= MOST_ROWS
}

/// Bytes of a row of a plane.
pub fn plane_width(shape_width: usize, stride: usize) -> usize {
    (shape_width.saturating_sub(1)) * stride + 3
}

/// Inputs of one output value, padded to a multiple of 4.
pub fn padded_depth(shape: &LinearShape) -> usize {
    shape.weights_per_channel().next_multiple_of(4)
}

/// Bytes of a pair of channels with so many inputs.
pub fn pair_len(padded_depth: usize) -> usize {
    2 * (padded_depth + CHANNEL)
}

/// Bytes of a block.
pub fn packed_len(shape: &LinearShape) -> usize {
    if shape.kind == Kind::Depthwise {
        return HEADER + shape.output.channels as usize * DEPTHWISE_CHANNEL;
    }
    HEADER + shape.output.channels.div_ceil(2) as usize * pair_len(padded_depth(shape))
}

/// Bytes of scratch memory: the inputs of four pixels, two in a word, and for convolution the windows as bytes.
pub fn scratch_len(shape: &LinearShape) -> usize {
    if shape.kind == Kind::Depthwise {
        let rows = shape.window.stride_height * (shape.output.height as usize - 1) + 3;
        let row = plane_width(shape.output.width as usize, shape.window.stride_width);
        let rows_of_planes = PLANE.checked_div(row).unwrap_or(0).max(3 * PLANES);
        return row * rows_of_planes.min(rows * PLANES);
    }
    let windows = match shape.kind {
        Kind::Convolution => PIXELS * shape.weights_per_channel() + 3,
        _ => 0,
    };
    windows + padded_depth(shape) * PIXELS / 2 * 4 + 4
}

/// The block of an operator; `None` if a sum could be too large, or if two weights in a row are −128.
#[cfg(feature = "alloc")]
pub fn pack(linear: &crate::operator::Linear, shape: &LinearShape) -> Option<alloc::vec::Vec<u8>> {
    let plain = Plain::simplified(linear, shape);
    let channels = shape.output.channels as usize;
    if !(0..channels).all(|channel| plain.sum_of_magnitudes(channel) * 128 < LIMIT) {
        return None;
    }
    // Two products of −128 and −128 are one too many for 16 bits.
    let least = |channel, k| plain.weight(channel, k) == -128 && plain.weight(channel, k + 1) == -128;
    if shape.kind != Kind::Depthwise
        && (0..channels).any(|channel| (0..plain.depth).step_by(2).any(|k| least(channel, k)))
    {
        return None;
    }
    let rounding = rounding(&plain, channels);
    let mut block = alloc::vec::Vec::with_capacity(packed_len(shape));
    block.extend_from_slice(&(rounding as u32).to_le_bytes());
    block.resize(HEADER, 0);
    if shape.kind == Kind::Depthwise {
        for channel in 0..channels {
            block.extend((0..12).map(|tap| plain.weight(channel, tap) as u8));
            for word in constants(&plain, channel, rounding) {
                block.extend_from_slice(&word.to_le_bytes());
            }
        }
        return Some(block);
    }
    for pair in (0..channels).step_by(2) {
        for k in 0..padded_depth(shape) {
            block.extend((pair..pair + 2).map(|channel| plain.weight(channel, k) as u8));
        }
        for channel in pair..pair + 2 {
            for word in constants(&plain, channel, rounding) {
                block.extend_from_slice(&word.to_le_bytes());
            }
        }
    }
    Some(block)
}

#[cfg(feature = "alloc")]
fn rounding(plain: &Plain, channels: usize) -> Rounding {
    let linear = plain.linear;
    let exact = (0..channels).all(|channel| {
        plain.greatest_sum(channel) < 1 << 29
            && (-22..=-1).contains(&(plain.multiplier(channel).shift as i32))
    });
    if !exact || (linear.activation_min, linear.activation_max) != (-128, 127) {
        Rounding::Wide
    } else if linear.output_zero_point == -128 {
        Rounding::Rectified
    } else {
        Rounding::Signed
    }
}

/// A channel's four words; those of no channel give anything.
#[cfg(feature = "alloc")]
fn constants(plain: &Plain, channel: usize, rounding: Rounding) -> [i32; 4] {
    let bias = plain.folded_bias(channel);
    let multiplier = plain.multiplier(channel);
    let (mantissa, shift) = (multiplier.mantissa.to_bits(), multiplier.shift as i32);
    if rounding == Rounding::Wide {
        return [bias, mantissa, shift, 0];
    }
    let shift = (-shift).clamp(1, 22);
    let addend = (1 << (shift - 1)) + (plain.linear.output_zero_point << shift);
    [bias.wrapping_mul(2), mantissa, addend, shift]
}

#[cfg(test)]
mod tests {
    use crate::fixed_point::Multiplier;

    #[test]
    fn one_shift_of_the_high_word_is_the_specification() {
        let mut state = 1u32;
        for number in 0..2_000_000u32 {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let sum = ((state as i32) >> (1 + number % 31)) >> 1;
            let mantissa = match number % 5 {
                0 => 1 << 30,
                1 => i32::MAX,
                _ => 1 << 30 | (state.rotate_left(7) >> 2) as i32,
            };
            let shift = 1 + (number / 31 % 22) as i32;
            let zero_point = (state >> 9) as i32 % 129 - (state & 1) as i32;
            let exact = Multiplier::from_bits(mantissa, -shift as i8).apply(sum) + zero_point;
            let high = ((2 * sum as i64 * mantissa as i64 + (1 << 31)) >> 32) as i32;
            let unrounded = ((2 * sum as i64 * mantissa as i64) >> 32) as i32;
            let addend = (1 << (shift - 1)) + (zero_point << shift);
            assert_eq!(
                (high + (unrounded >> 31) + addend) >> shift,
                exact,
                "{sum} × {mantissa} >> {shift}"
            );
            let rectified = (high + addend) >> shift;
            assert!(if sum < 0 {
                rectified <= zero_point && exact <= zero_point
            } else {
                rectified == exact
            });
        }
    }
}

//! What the packed layouts for x86-64 have in common: the constants of a group of 16 output channels.
//!
//! The vector kernels multiply unsigned activations with signed weights. Activations become unsigned by flipping their top
//! bit (adding 128), which together with the input zero point z adds `(128 + z) × Σ weights` to each sum; packed biases
//! have it taken off.

#[cfg(feature = "alloc")]
use super::x86_channel::Channel;
#[cfg(feature = "alloc")]
use super::x86_float::FloatGroup;
#[cfg(any(feature = "alloc", target_arch = "x86_64"))]
use crate::operator::Linear;
#[cfg(feature = "alloc")]
use alloc::vec::Vec;

/// Output channels in a group: the 32-bit lanes of a 512-bit vector.
pub(crate) const GROUP: usize = 16;

/// Rows of the greatest window of a packed convolution.
pub(crate) const MAX_KERNEL: usize = 16;

/// Constants of a group, in the order of its lanes, as a kernel reads them (native byte order: x86 is little-endian).
///
/// [`fast`](Self::fast) says that for every channel and every input the output, zero point included, is
/// `(high + (accumulator >> 31)) >> shift`, where `high` is the high half of
/// `2 × accumulator × mantissa + rounding` in 64 bits, without any overflow. This is the doubling high multiply
/// (`rounding` holds its half, 2^31) followed by the rounding right shift: with 2^(shift−1) added before shifting, ties
/// go up; one less for negative values makes them go away from zero. `rounding` holds that 2^(shift−1) as well, and the
/// zero point times 2^shift.
///
/// Where the activation cuts off what is below the zero point ([`clamps_negative`]), it does not matter how negative values
/// are rounded: `accumulator >> 31` is left out then, nothing is doubled, `rounding` is half as great and `shift` one less.
///
/// In other groups (multipliers of 1 and above, tiny ones, great biases) the accumulator first goes left by `left`, nothing
/// is doubled, `rounding` is half as great and without the zero point, 2^31 is taken off where `tie` and a negative value
/// meet, the whole 64 bits go right by `shift`, which is 31 greater, and the zero point is added at the end. Nothing
/// overflows then but the left shift, which drops bits in the specification too.
///
/// Where the activation cuts off nothing but what a byte cannot hold, and a floating-point scale is proved to give the same
/// bytes for every sum, a fast group is also a [float](super::x86_float) group. It may add to its biases, which `rounding` takes
/// off again.
#[repr(C)]
pub(crate) struct GroupConstants {
    /// Bias less the correction for unsigned activations and the input zero point.
    pub bias: [i32; GROUP],
    /// Mantissas of lanes 0, 2, 4...
    pub mantissa_even: [i64; GROUP / 2],
    /// Mantissas of lanes 1, 3, 5...
    pub mantissa_odd: [i64; GROUP / 2],
    /// Rounding of lanes 0, 2, 4...
    pub rounding_even: [i64; GROUP / 2],
    /// Rounding of lanes 1, 3, 5...
    pub rounding_odd: [i64; GROUP / 2],
    /// Right shifts.
    pub shift: [i32; GROUP],
    /// 1 if the group is fast, [`FLOAT_GROUP`] if it is a float group as well.
    pub fast: i32,
    /// 0, to the next multiple of 64.
    pub reserved: [i32; GROUP - 1],
    /// Left shifts; in float groups, the bits of scales.
    pub left: [i32; GROUP],
    /// 1 where the specification shifts right, else 0; in float groups, the bits of offsets.
    pub tie: [i32; GROUP],
}

/// What [`GroupConstants::fast`] is in float groups.
pub(crate) const FLOAT_GROUP: i32 = 2;

impl GroupConstants {
    /// Bytes in a packed block.
    pub const SIZE: usize = size_of::<Self>();
}

/// Whether the activation cuts off all that is below the zero point.
#[cfg(any(feature = "alloc", target_arch = "x86_64"))]
pub(crate) fn clamps_negative(linear: &Linear) -> bool {
    linear.activation_min >= linear.output_zero_point
}

/// Weight number `index` of an operator with plain constants.
#[cfg(feature = "alloc")]
pub(crate) fn weight(linear: &Linear, index: usize) -> i8 {
    if linear.weight_bits == 4 {
        let pair = linear.weights.get(index / 2).map_or(0, |pair| *pair as i8);
        if index.is_multiple_of(2) {
            pair << 4 >> 4
        } else {
            pair >> 4
        }
    } else {
        linear.weights.get(index).map_or(0, |weight| *weight as i8)
    }
}

/// A channel's weights, summed up.
#[cfg(feature = "alloc")]
#[derive(Clone, Copy, Default)]
pub(crate) struct WeightSums {
    /// Σ weights.
    pub sum: i32,
    /// Σ |weights|.
    pub magnitude: i64,
    /// Σ of the negative weights.
    pub negative: i64,
}

#[cfg(feature = "alloc")]
impl WeightSums {
    pub fn add(&mut self, weight: i8) {
        self.sum += weight as i32;
        self.magnitude += weight.unsigned_abs() as i64;
        self.negative += weight.min(0) as i64;
    }
}

/// Appends the constants of a group. Each lane is an output channel with its weights' sums, or `None` for no channel.
#[cfg(feature = "alloc")]
pub(crate) fn push_constants(
    block: &mut Vec<u8>,
    linear: &Linear,
    lanes: &[Option<(usize, WeightSums)>; GROUP],
) {
    let channels = lanes.map(|lane| {
        lane.map_or(Channel::NONE, |(channel, sums)| {
            Channel::of(linear, channel, sums)
        })
    });
    let fast = channels.iter().all(Channel::is_fast);
    let mut bias = channels.map(|channel| channel.bias);
    let mantissa = channels.map(|channel| channel.mantissa);
    let mut rounding = channels.map(|channel| channel.rounding());
    let mut shift = channels.map(|channel| channel.shift);
    let mut left = shift.map(|shift| (-shift).max(0));
    let mut tie = shift.map(|shift| (shift > 0) as i32);
    if fast {
        for (rounding, shift) in rounding.iter_mut().zip(&mut shift) {
            *rounding += (linear.output_zero_point as i64) << (31 + *shift);
            if clamps_negative(linear) {
                *shift -= 1;
            } else {
                *rounding *= 2;
            }
        }
    } else {
        shift = shift.map(|shift| 31 + shift.max(0));
    }
    let float = FloatGroup::of(linear, &channels);
    if let Some(float) = &float {
        for (lane, change) in float.bias.iter().enumerate() {
            bias[lane] += change;
            rounding[lane] -= *change as i64 * mantissa[lane];
        }
        left = float.scale.map(|scale| scale.to_bits() as i32);
        tie = float.offset.map(|offset| offset.to_bits() as i32);
    }
    let flag = if float.is_some() { FLOAT_GROUP } else { fast as i32 };
    push_words(block, bias);
    push_even_and_odd(block, mantissa);
    push_even_and_odd(block, rounding);
    push_words(block, shift);
    push_words(
        block,
        core::array::from_fn::<_, GROUP, _>(|i| if i == 0 { flag } else { 0 }),
    );
    push_words(block, left);
    push_words(block, tie);
}

#[cfg(feature = "alloc")]
pub(super) fn push_words<const COUNT: usize>(block: &mut Vec<u8>, words: [i32; COUNT]) {
    block.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}

/// Values of lanes 0, 2, 4..., then of lanes 1, 3, 5...
#[cfg(feature = "alloc")]
pub(super) fn push_even_and_odd(block: &mut Vec<u8>, values: [i64; GROUP]) {
    for first in 0..2 {
        block.extend(
            values
                .iter()
                .skip(first)
                .step_by(2)
                .flat_map(|value| value.to_le_bytes()),
        );
    }
}

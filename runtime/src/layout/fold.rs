//! What all packed layouts do alike: zero points folded into biases, and bounds on sums.

use super::LinearShape;
use crate::fixed_point::Multiplier;
use crate::operator::{Kind, Linear};
use alloc::vec::Vec;

/// A linear operator's plain constants, channel by channel.
pub(super) struct Plain<'a> {
    pub linear: &'a Linear<'a>,
    /// Weights that contribute to one output value.
    pub depth: usize,
    channels: usize,
    depthwise: bool,
    /// Outputs, less the zero point, of channels that no input can change.
    constant: Vec<Option<i32>>,
}

impl<'a> Plain<'a> {
    pub fn new(linear: &'a Linear<'a>, shape: &LinearShape) -> Self {
        Self {
            linear,
            depth: shape.weights_per_channel(),
            channels: shape.output.channels as usize,
            depthwise: shape.kind == Kind::Depthwise,
            constant: Vec::new(),
        }
    }

    /// As [`new`](Self::new), with simple weights, biases and multipliers in place of those of channels that no input can
    /// change. (Training leaves such channels behind, often with multipliers that kernels cannot take.)
    pub fn simplified(linear: &'a Linear<'a>, shape: &LinearShape) -> Self {
        let mut plain = Self::new(linear, shape);
        plain.constant = (0..plain.channels)
            .map(|channel| plain.constant_output(channel))
            .collect();
        plain
    }

    /// The output of a channel less the zero point, if it is the same for all inputs. It is where the least and the greatest
    /// sum give the same, since outputs never fall as sums grow.
    fn constant_output(&self, channel: usize) -> Option<i32> {
        if self.linear.multiplier(channel).shift > 0 {
            // A shift to the left could lose bits.
            return None;
        }
        let zero_point = self.linear.input_zero_point;
        let (mut least, mut greatest) = (self.bias(channel) as i64, self.bias(channel) as i64);
        for k in 0..self.depth {
            let weight = self.weight(channel, k) as i64;
            let ends = [-128, 127].map(|value| (value - zero_point) as i64 * weight);
            least += ends[0].min(ends[1]);
            greatest += ends[0].max(ends[1]);
        }
        let output = |sum: i64| Some(self.linear.requantize(i32::try_from(sum).ok()?, channel));
        let value = output(least)?;
        (output(greatest)? == value).then_some(value - self.linear.output_zero_point)
    }

    /// The multiplier of an output channel; that of no channel is one that every kernel can take.
    pub fn multiplier(&self, channel: usize) -> Multiplier {
        match self.constant.get(channel) {
            // An eighth.
            Some(Some(_)) => Multiplier::from_bits(1 << 30, -2),
            _ if channel < self.channels => self.linear.multiplier(channel),
            _ => Multiplier::from_bits(1 << 30, -2),
        }
    }

    /// Weight number `k` of an output channel; 0 beyond the end of either, so that padding multiplies by nothing.
    pub fn weight(&self, channel: usize, k: usize) -> i8 {
        if channel >= self.channels || k >= self.depth || self.constant_of(channel).is_some() {
            return 0;
        }
        let at = if self.depthwise {
            k * self.channels + channel
        } else {
            channel * self.depth + k
        };
        self.linear.weights.get(at).map_or(0, |weight| *weight as i8)
    }

    /// The bias from which a kernel starts that multiplies inputs without subtracting their zero point:
    /// `bias − zero_point × Σ weights`.
    pub fn folded_bias(&self, channel: usize) -> i32 {
        let sum = (0..self.depth).fold(0i32, |sum, k| sum.wrapping_add(self.weight(channel, k) as i32));
        let zero_point = self.linear.input_zero_point;
        self.bias(channel).wrapping_sub(zero_point.wrapping_mul(sum))
    }

    /// The greatest magnitude that a channel's sum, bias included, can have.
    pub fn greatest_sum(&self, channel: usize) -> u64 {
        self.sum_of_magnitudes(channel) * 255 + self.bias(channel).unsigned_abs() as u64
    }

    /// The sum of the magnitudes of a channel's weights.
    pub fn sum_of_magnitudes(&self, channel: usize) -> u64 {
        let magnitudes = (0..self.depth).map(|k| self.weight(channel, k).unsigned_abs() as u64);
        magnitudes.sum()
    }

    fn bias(&self, channel: usize) -> i32 {
        match self.constant_of(channel) {
            Some(value) => value * 8,
            None if channel < self.channels => self.linear.bias(channel),
            None => 0,
        }
    }

    fn constant_of(&self, channel: usize) -> Option<i32> {
        self.constant.get(channel).copied().flatten()
    }
}

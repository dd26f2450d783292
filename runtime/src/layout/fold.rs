//! What all packed layouts do alike: zero points folded into biases, and bounds on sums.

use super::LinearShape;
use crate::operator::{Kind, Linear};

/// A linear operator's plain constants, channel by channel.
pub(super) struct Plain<'a> {
    pub linear: &'a Linear<'a>,
    /// Weights that contribute to one output value.
    pub depth: usize,
    channels: usize,
    depthwise: bool,
}

impl<'a> Plain<'a> {
    pub fn new(linear: &'a Linear<'a>, shape: &LinearShape) -> Self {
        Self {
            linear,
            depth: shape.weights_per_channel(),
            channels: shape.output.channels as usize,
            depthwise: shape.kind == Kind::Depthwise,
        }
    }

    /// Weight number `k` of an output channel; 0 beyond the end of either, so that padding multiplies by nothing.
    pub fn weight(&self, channel: usize, k: usize) -> i8 {
        if channel >= self.channels || k >= self.depth {
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
        if channel < self.channels {
            self.linear.bias(channel)
        } else {
            0
        }
    }
}

//! A matrix of packed weights, to be multiplied by one or two pixels at a time.

use super::super::output;
use super::matrix_asm::{Job, requantize_rectified, requantize_signed, sum};
use crate::layout::cortex_m55::{CHANNELS, HEADER, groups, sums_len, weights_len};
use crate::operator::Linear;

/// A matrix of packed weights, and memory for two pixels' sums.
pub struct Matrix<'a> {
    linear: &'a Linear<'a>,
    depth: usize,
    channels: usize,
    weights: &'a [u8],
    constants: &'a [u8],
    sums: &'a mut [i32],
}

impl<'a> Matrix<'a> {
    /// The matrix of an operator with `depth` weights for each of `channels` channels; `None` if its constants or the
    /// scratch memory have another size, which the model view has ruled out.
    pub fn new(linear: &'a Linear, depth: usize, channels: usize, scratch: &'a mut [i8]) -> Option<Self> {
        let (weights, constants) = linear
            .weights
            .get(HEADER..)?
            .split_at_checked(weights_len(depth, channels))?;
        // SAFETY: any bytes are words and the other way round.
        let (_, sums, _) = unsafe { scratch.align_to_mut() };
        let sums = sums.get_mut(..sums_len(channels) / 4)?;
        let sound = constants.len() == channels.div_ceil(4) * CHANNELS && depth > 0 && channels > 0;
        sound.then_some(Self {
            linear,
            depth,
            channels,
            weights,
            constants,
            sums,
        })
    }

    /// All channels of two pixels.
    pub fn two_pixels(
        &mut self,
        first: &[i8],
        second: &[i8],
        first_output: &mut [i8],
        second_output: &mut [i8],
    ) {
        let half = self.sums.len() / 2;
        let (Some(first), Some(second)) = (first.get(..self.depth), second.get(..self.depth)) else {
            return;
        };
        let Some((first_sums, second_sums)) = self.sums.split_at_mut_checked(half) else {
            return;
        };
        let job = Job {
            first: first.as_ptr(),
            second: second.as_ptr(),
            weights: self.weights.as_ptr(),
            depth: self.depth,
            first_sums: first_sums.as_mut_ptr(),
            second_sums: second_sums.as_mut_ptr(),
            groups: groups(self.channels),
        };
        // SAFETY: both pixels have `depth` values; `new` has checked that the weights are those of all groups of this depth
        // and that there is room for two sums of each of their channels.
        unsafe { sum(&job) };
        self.requantize(0, first_output);
        self.requantize(half, second_output);
    }

    /// All channels of one pixel.
    pub fn one_pixel(&mut self, values: &[i8], output: &mut [i8]) {
        self.two_pixels(values, values, output, &mut []);
    }

    /// The outputs of the sums from number `start` on; none if the output is empty.
    fn requantize(&self, start: usize, output: &mut [i8]) {
        let (Some(sums), Some(output)) = (
            self.sums.get(start..start + self.channels),
            output.get_mut(..self.channels),
        ) else {
            return;
        };
        let (constants, zero_point) = (self.constants, self.linear.output_zero_point);
        let function = match self.linear.weights.first() {
            Some(1) => requantize_signed,
            Some(2) => requantize_rectified,
            _ => {
                for (channel, (value, sum)) in output.iter_mut().zip(sums).enumerate() {
                    *value = self.specified(channel, *sum);
                }
                return;
            }
        };
        // SAFETY: there are as many sums and, by fours, constants as outputs, and `new` has checked that there are some.
        unsafe {
            function(
                sums.as_ptr(),
                constants.as_ptr(),
                output.as_mut_ptr(),
                output.len(),
                zero_point,
            )
        };
    }

    /// The output of a sum as the specification has it.
    fn specified(&self, channel: usize, sum: i32) -> i8 {
        let four = self.constants.as_chunks::<4>().0;
        let word = |at: usize| {
            four.get(channel / 4 * 12 + at * 4 + channel % 4)
                .map_or(0, |raw| i32::from_le_bytes(*raw))
        };
        output(self.linear, sum.wrapping_add(word(0)), word(1), word(2) as i8)
    }
}

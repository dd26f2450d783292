//! A matrix of packed weights, to be multiplied by one or two pixels at a time.

use super::super::requantize;
use super::matrix_asm::{Job, two_pixels_rectified, two_pixels_signed, two_pixels_sums};
use crate::exec::copy;
use crate::layout::cortex_m4::{CHANNEL, HEADER};
use crate::operator::Linear;

/// A matrix of packed weights, and the memory in which pixels are widened.
pub struct Matrix<'a> {
    linear: &'a Linear<'a>,
    /// Values of a pixel, padded to a multiple of 4.
    depth: usize,
    channels: usize,
    constants: &'a [u8],
    /// Two widened pixels, their values in turn.
    inputs: &'a mut [[i32; 2]],
}

impl<'a> Matrix<'a> {
    /// The matrix of an operator with `depth` weights for each of `channels` channels; `None` if its constants or the
    /// scratch memory have another size, which the model view has ruled out.
    pub fn new(linear: &'a Linear, depth: usize, channels: usize, scratch: &'a mut [i8]) -> Option<Self> {
        let depth = depth.next_multiple_of(4);
        let constants = linear.weights.get(HEADER..)?;
        // SAFETY: any bytes are words and the other way round.
        let (_, words, _) = unsafe { scratch.align_to_mut::<i32>() };
        let inputs = words.as_chunks_mut::<2>().0.get_mut(..depth)?;
        let sound =
            constants.len() == channels.div_ceil(4) * 4 * (depth + CHANNEL) && depth > 0 && channels > 0;
        sound.then_some(Self {
            linear,
            depth,
            channels,
            constants,
            inputs,
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
        self.widen(first, second);
        self.multiply(first_output, Some(second_output));
    }

    /// All channels of one pixel, computed twice.
    pub fn one_pixel(&mut self, values: &[i8], output: &mut [i8]) {
        self.widen(values, values);
        self.multiply(output, None);
    }

    fn widen(&mut self, first: &[i8], second: &[i8]) {
        let mut inputs = self.inputs.iter_mut();
        for (to, (a, b)) in (&mut inputs).zip(first.iter().zip(second)) {
            *to = [*a as i32, *b as i32];
        }
        for to in inputs {
            *to = [0; 2];
        }
    }

    /// All channels of the widened pixels. Without a second output, both pixels are the same.
    fn multiply(&self, first: &mut [i8], second: Option<&mut [i8]>) {
        let function = match self.linear.weights.first() {
            Some(1) => two_pixels_signed,
            Some(2) => two_pixels_rectified,
            _ => return self.wide(first, second.unwrap_or(&mut [])),
        };
        let groups = self.channels / 4;
        let Some((whole, last)) = self
            .constants
            .split_at_checked(groups * 4 * (self.depth + CHANNEL))
        else {
            return;
        };
        let Some((first, first_rest)) = first.split_at_mut_checked(groups * 4) else {
            return;
        };
        let second = second.unwrap_or(&mut []);
        // None, or with room for as many values.
        let second_len = if second.is_empty() { 0 } else { groups * 4 };
        let Some((second, second_rest)) = second.split_at_mut_checked(second_len) else {
            return;
        };
        if !whole.is_empty() {
            let output = first.as_mut_ptr();
            let second_output = if second.is_empty() {
                output
            } else {
                second.as_mut_ptr()
            };
            let job = self.job(whole, output, second_output);
            // SAFETY: `new` has checked that the constants hold all groups of this depth. Inputs are a multiple of four.
            // Outputs have room for all groups; if they are one, so are the values written.
            unsafe { function(whole.as_ptr(), &job) };
        }
        if !last.is_empty() {
            let (mut outputs, mut second_outputs) = ([0; 4], [0; 4]);
            let job = self.job(last, outputs.as_mut_ptr(), second_outputs.as_mut_ptr());
            // SAFETY: as above; the last group is whole in the constants, and outputs have room for four values.
            unsafe { function(last.as_ptr(), &job) };
            copy(first_rest, &outputs);
            copy(second_rest, &second_outputs);
        }
    }

    fn job(&self, constants: &[u8], output: *mut i8, second_output: *mut i8) -> Job {
        let inputs = self.inputs.as_flattened().as_ptr_range();
        Job {
            zero_point: self.linear.output_zero_point,
            output,
            second_output,
            constants_end: constants.as_ptr_range().end,
            inputs: inputs.start,
            inputs_end: inputs.end,
        }
    }

    /// Sums group by group, requantized as the specification does. The second output may be empty.
    fn wide(&self, first: &mut [i8], second: &mut [i8]) {
        for (group, constants) in self
            .constants
            .chunks_exact((4 * (self.depth + CHANNEL)).max(1))
            .enumerate()
        {
            let Some((weights, constants)) = constants.split_at_checked(4 * self.depth) else {
                return;
            };
            let job = self.job(weights, core::ptr::null_mut(), core::ptr::null_mut());
            let mut sums = [0; 8];
            // SAFETY: weights and inputs are those of a group.
            unsafe { two_pixels_sums(weights.as_ptr(), &job, &mut sums) };
            let (of_first, of_second) = sums.split_at(4);
            for (output, sums) in [(&mut *first, of_first), (&mut *second, of_second)] {
                let outputs = output.iter_mut().skip(group * 4);
                for ((value, sum), constants) in outputs.zip(sums).zip(constants.as_chunks().0) {
                    *value = requantize(self.linear, constants, *sum);
                }
            }
        }
    }
}

//! A matrix of packed weights, to be multiplied by one or two pixels at a time.

use super::matrix_asm::{
    Job, one_pixel_rectified, one_pixel_signed, one_pixel_sums, two_pixels_rectified, two_pixels_signed,
    two_pixels_sums,
};
use super::widen::{widen_one, widen_two};
use crate::exec::copy;
use crate::fixed_point::Multiplier;
use crate::layout::cortex_m4::{ALIGN, CHANNEL, HEADER, Rounding, slices};
use crate::operator::Linear;

type Function = unsafe extern "C" fn(*const u8, &Job);

/// A matrix of packed weights, and the memory in which pixels are widened.
pub struct Matrix<'a> {
    linear: &'a Linear<'a>,
    rounding: Rounding,
    /// Values of a pixel, padded to a multiple of 4.
    depth: usize,
    channels: usize,
    /// Memory for two widened pixels, which ends at a multiple of [`ALIGN`].
    inputs: &'a mut [u32],
}

impl<'a> Matrix<'a> {
    /// The matrix of an operator with `depth` weights for each of `channels` channels; `None` if its constants or the
    /// scratch memory have another size, which the model view has ruled out.
    pub fn new(linear: &'a Linear, depth: usize, channels: usize, scratch: &'a mut [i8]) -> Option<Self> {
        let depth = depth.next_multiple_of(4);
        let groups = channels.div_ceil(4);
        let rounding = match linear.weights.first()? {
            1 => Rounding::Signed,
            2 => Rounding::Rectified,
            _ => Rounding::Wide,
        };
        if linear.weights.len() != HEADER + groups * 4 * (depth + CHANNEL) || depth == 0 || channels == 0 {
            return None;
        }
        let address = scratch.as_ptr() as usize;
        let start = (address + depth * 4).next_multiple_of(ALIGN) - depth * 4 - address;
        let inputs = scratch.get_mut(start..start + depth * 4)?;
        // SAFETY: any bytes are words and the other way round. The start is a multiple of 4, as `depth * 4` is one of 16.
        let (_, inputs, _) = unsafe { inputs.align_to_mut() };
        Some(Self {
            linear,
            rounding,
            depth,
            channels,
            inputs,
        })
    }

    /// All channels of one pixel, or of two that lie one after the other, with room for as many outputs.
    pub fn multiply(&mut self, pixels: &[i8], outputs: &mut [i8]) {
        let channels = self.channels;
        if let Some((first, second)) = outputs
            .split_at_mut_checked(channels)
            .filter(|(_, second)| !second.is_empty())
        {
            let (a, b) = pixels.split_at_checked(pixels.len() / 2).unwrap_or((&[], &[]));
            widen_two(a, b, self.inputs);
            match self.rounding {
                Rounding::Signed => self.rounded(two_pixels_signed, 0, first, second),
                Rounding::Rectified => self.rounded(two_pixels_rectified, 0, first, second),
                Rounding::Wide => self.wide(two_pixels_sums, 4, first, second),
            }
        } else {
            let start = self.inputs.len() / 2;
            widen_one(pixels, self.inputs.get_mut(start..).unwrap_or(&mut []));
            match self.rounding {
                Rounding::Signed => self.rounded(one_pixel_signed, start, outputs, &mut []),
                Rounding::Rectified => self.rounded(one_pixel_rectified, start, outputs, &mut []),
                Rounding::Wide => self.wide(one_pixel_sums, 2, outputs, &mut []),
            }
        }
    }

    /// Runs a function that requantizes. Inputs start at word `start`. A second output is as long as the first, or none.
    #[inline]
    fn rounded(&self, function: Function, start: usize, first: &mut [i8], second: &mut [i8]) {
        let group_len = 4 * (self.depth + CHANNEL);
        let groups = self.channels / 4;
        let constants = self.linear.weights.as_ptr().wrapping_add(HEADER);
        let inputs = self.inputs.as_ptr_range();
        let Some((first, rest)) = first.split_at_mut_checked(groups * 4) else {
            return;
        };
        // None, or with room for as many values.
        let second_len = if second.is_empty() { 0 } else { groups * 4 };
        let Some((second, rest_of_second)) = second.split_at_mut_checked(second_len) else {
            return;
        };
        let mut job = Job {
            zero_point: self.linear.output_zero_point,
            output: first.as_mut_ptr(),
            second_output: second.as_mut_ptr(),
            constants_end: constants.wrapping_add(groups * group_len),
            inputs: inputs.start.wrapping_add(start),
            inputs_end: inputs.end,
        };
        if groups > 0 {
            // SAFETY: `new` has checked that the constants hold all groups of this depth. Inputs are a multiple of four
            // values, two or one pixels as the function wants them. Outputs have room for all groups.
            unsafe { function(constants, &job) };
        }
        if !rest.is_empty() {
            let (mut outputs, mut second_outputs) = ([0; 4], [0; 4]);
            let constants = job.constants_end;
            job.output = outputs.as_mut_ptr();
            job.second_output = second_outputs.as_mut_ptr();
            job.constants_end = constants.wrapping_add(group_len);
            // SAFETY: as above; the last group is whole in the constants, and outputs have room for four values.
            unsafe { function(constants, &job) };
            copy(rest, &outputs);
            copy(rest_of_second, &second_outputs);
        }
    }

    /// Runs a function that only sums, slice by slice, and requantizes as the specification does. An input takes
    /// `bytes_per_input` bytes.
    fn wide(
        &self,
        function: unsafe extern "C" fn(*const u8, &Job, &mut [i32; 8]),
        bytes_per_input: usize,
        first: &mut [i8],
        second: &mut [i8],
    ) {
        let groups = self.channels.div_ceil(4);
        let inputs_end = self.inputs.as_ptr_range().end;
        for group in 0..groups {
            let mut totals = [0i32; 8];
            // Of the slice in hand; its groups lie one after the other.
            let mut slice_start = HEADER;
            let mut constants: &[u8] = &[];
            for (from, to) in slices(self.depth) {
                let weights_len = (to - from) * 4;
                let is_last = to == self.depth;
                let group_len = weights_len + if is_last { 4 * CHANNEL } else { 0 };
                let start = slice_start + group * group_len;
                let weights = self.linear.weights.get(start..start + group_len).unwrap_or(&[]);
                let Some((weights, rest)) = weights.split_at_checked(weights_len) else {
                    return;
                };
                let back =
                    |inputs: usize| inputs_end.wrapping_byte_sub((self.depth - inputs) * bytes_per_input);
                let job = Job {
                    zero_point: 0,
                    output: core::ptr::null_mut(),
                    second_output: core::ptr::null_mut(),
                    constants_end: weights.as_ptr_range().end,
                    inputs: back(from),
                    inputs_end: back(to),
                };
                let mut sums = [0; 8];
                // SAFETY: weights and inputs are those of this slice; all slices but the first take a multiple of
                // ALIGN bytes of inputs, so that each ends at such a multiple.
                unsafe { function(weights.as_ptr(), &job, &mut sums) };
                for (total, sum) in totals.iter_mut().zip(sums) {
                    *total = total.wrapping_add(sum);
                }
                slice_start += groups * group_len;
                constants = rest;
            }
            let (of_first, of_second) = totals.split_at(4);
            for (output, totals) in [(&mut *first, of_first), (&mut *second, of_second)] {
                let outputs = output.iter_mut().skip(group * 4);
                for ((value, total), constants) in outputs.zip(totals).zip(constants.as_chunks().0) {
                    *value = requantize(self.linear, constants, *total);
                }
            }
        }
    }
}

/// As the specification computes it, with a channel's bias, multiplier and shift.
fn requantize(linear: &Linear, constants: &[u8; CHANNEL], sum: i32) -> i8 {
    let [b0, b1, b2, b3, m0, m1, m2, m3, shift, ..] = *constants;
    Multiplier::from_bits(i32::from_le_bytes([m0, m1, m2, m3]), shift as i8)
        .apply(sum.wrapping_add(i32::from_le_bytes([b0, b1, b2, b3])))
        .saturating_add(linear.output_zero_point)
        .max(linear.activation_min)
        .min(linear.activation_max) as i8
}

//! A matrix of packed weights, to be multiplied by pixels.

use super::matrix_asm::{
    Job, rectified, rectified_last, rectified_single, signed, signed_last, signed_single, wide, wide_last,
    wide_single,
};
use crate::layout::cortex_m55::{GROUP, HEADER, Rounding, VECTOR, group_len};
use crate::operator::Linear;

type Function = unsafe extern "C" fn(&Job, *const u8);

/// A matrix of packed weights.
pub struct Matrix<'a> {
    linear: &'a Linear<'a>,
    rounding: Rounding,
    /// Values of a pixel; not 0.
    pub depth: usize,
    /// Values of an output pixel; not 0.
    pub channels: usize,
    groups: &'a [u8],
    group_len: usize,
}

impl<'a> Matrix<'a> {
    /// The matrix of an operator with `depth` weights for each of `channels` channels; `None` if its constants have another
    /// size, which the model view has ruled out.
    pub fn new(linear: &'a Linear, depth: usize, channels: usize) -> Option<Self> {
        let groups = linear.weights.get(HEADER..)?;
        let group_len = group_len(depth);
        let sound = groups.len() == channels.div_ceil(GROUP) * group_len && depth > 0 && channels > 0;
        sound.then_some(Self {
            linear,
            rounding: match linear.weights.first()? {
                1 => Rounding::Signed,
                2 => Rounding::Rectified,
                _ => Rounding::Wide,
            },
            depth,
            channels,
            groups,
            group_len,
        })
    }

    /// How many of the pixels in `values` can be read in whole vectors without reading beyond the last.
    pub fn readable(&self, values: &[i8]) -> usize {
        let padded = self.depth.next_multiple_of(VECTOR);
        values
            .len()
            .checked_sub(padded)
            .map_or(0, |rest| rest / self.depth.max(1) + 1)
    }

    /// The outputs of the pixels in `values`, as many as `outputs` has room for; they must be [`readable`](Self::readable).
    pub fn multiply(&self, values: &[i8], outputs: &mut [i8]) {
        let pixels = (outputs.len() / self.channels.max(1)).min(self.readable(values));
        let (linear, padded) = (self.linear, self.depth.next_multiple_of(VECTOR));
        let mut job = Job {
            zero_point: linear.output_zero_point,
            output_step: 2 * self.channels,
            input_step: (2 * self.depth).wrapping_sub(padded),
            weights_len: GROUP * padded,
            vectors: padded / VECTOR - 1,
            first: values.as_ptr(),
            second: values.as_ptr().wrapping_add(self.depth),
            output: outputs.as_mut_ptr(),
            pairs: pixels / 2,
            groups: 0,
            second_output: self.channels,
            last_lanes: 0,
            least: [linear.activation_min as i8; 16],
            greatest: [linear.activation_max as i8; 16],
        };
        if job.pairs > 0 {
            self.run(&mut job, 0);
        }
        if pixels % 2 == 1 {
            job.first = values.as_ptr().wrapping_add((pixels - 1) * self.depth);
            job.output = outputs.as_mut_ptr().wrapping_add((pixels - 1) * self.channels);
            let done = self.single(&mut job);
            // The channels that are left: the pixel is a pair with itself.
            job.second = job.first;
            job.pairs = 1;
            job.second_output = 0;
            self.run(&mut job, done);
        }
    }

    /// The job's first pixel, all channels but at most seven. Returns how many groups of channels those are.
    fn single(&self, job: &mut Job) -> usize {
        let function = match self.rounding {
            Rounding::Rectified => rectified_single,
            Rounding::Signed => signed_single,
            Rounding::Wide => wide_single as Function,
        };
        job.groups = self.channels / (2 * GROUP) * 2;
        if job.groups > 0 {
            // SAFETY: as of all pixels, see `run`.
            unsafe { function(job, self.groups.as_ptr()) };
        }
        job.groups
    }

    /// All groups of channels from number `first` on.
    fn run(&self, job: &mut Job, first: usize) {
        let (whole, last): (Function, Function) = match self.rounding {
            Rounding::Rectified => (rectified, rectified_last),
            Rounding::Signed => (signed, signed_last),
            Rounding::Wide => (wide, wide_last),
        };
        let full = self.channels / GROUP;
        let (constants, output) = (self.groups.as_ptr(), job.output);
        if full > first {
            job.groups = full - first;
            job.output = output.wrapping_add(first * GROUP);
            // SAFETY: `new` has checked that the constants hold all groups of this depth; they are in a section of a model,
            // aligned to 16. `multiply` has chosen pixels that can be read in whole vectors, and for which there is
            // room in the output.
            unsafe { whole(job, constants.wrapping_add(first * self.group_len)) };
        }
        if !self.channels.is_multiple_of(GROUP) {
            job.groups = 1;
            job.output = output.wrapping_add(full * GROUP);
            job.last_lanes = self.channels % GROUP * 2;
            // SAFETY: as above; the last group is whole in the constants, and of its outputs only those of channels are
            // written.
            unsafe { last(job, constants.wrapping_add(full * self.group_len)) };
        }
        job.output = output;
    }
}

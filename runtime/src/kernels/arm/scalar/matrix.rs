//! A matrix of packed weights, to be multiplied by up to four pixels at a time.

use super::assembly::{
    PairOfInputs, four_pixels_rectified, four_pixels_signed, four_pixels_sums, two_pixels_rectified,
    two_pixels_signed,
};
use super::requantize::requantize;
use crate::exec::copy;
use crate::layout::cortex_m3::{CHANNEL, HEADER, PIXELS, pair_len};
use crate::operator::Linear;

/// What the loops in assembly read. They address its fields by number.
#[repr(C)]
pub struct Job {
    /// Where each pixel's outputs go.
    pub outputs: [*mut i8; PIXELS],
    /// The end of the last pair's constants.
    pub constants_end: *const u8,
    /// The first inputs.
    pub inputs: *const PairOfInputs,
    /// The end of the inputs.
    pub inputs_end: *const PairOfInputs,
    /// Bytes of a pair's weights: 2 × the number of inputs.
    pub weights_len: usize,
}

/// A matrix of packed weights, and the memory in which pixels are packed.
pub struct Matrix<'a> {
    linear: &'a Linear<'a>,
    /// Values of a pixel.
    depth: usize,
    channels: usize,
    /// Two inputs of four pixels each.
    inputs: &'a mut [PairOfInputs],
}

impl<'a> Matrix<'a> {
    /// The matrix of an operator with `depth` weights for each of `channels` channels; `None` if its constants or the
    /// scratch memory have another size, which the model view has ruled out.
    pub fn new(linear: &'a Linear, depth: usize, channels: usize, scratch: &'a mut [i8]) -> Option<Self> {
        let padded = depth.next_multiple_of(4);
        // SAFETY: any bytes are words and the other way round.
        let (_, words, _) = unsafe { scratch.align_to_mut::<u32>() };
        let inputs = words.as_chunks_mut::<PIXELS>().0.get_mut(..padded / 2)?;
        let len = HEADER + channels.div_ceil(2) * pair_len(padded);
        let sound = linear.weights.len() == len && depth > 0 && channels > 0;
        sound.then_some(Self {
            linear,
            depth,
            channels,
            inputs,
        })
    }

    /// All channels of up to four pixels that lie one after the other, with room for as many outputs.
    pub fn multiply(&mut self, pixels: &[i8], outputs: &mut [i8]) {
        let count = outputs.len() / self.channels.max(1);
        if count == 0 || count > PIXELS || pixels.len() < count * self.depth {
            return;
        }
        self.pack(pixels, count);
        match (self.linear.weights.first(), count) {
            (Some(1), 1 | 2) => return self.rounded(two_pixels_signed, outputs, count),
            (Some(1), _) => return self.rounded(four_pixels_signed, outputs, count),
            (Some(2), 1 | 2) => return self.rounded(two_pixels_rectified, outputs, count),
            (Some(2), _) => return self.rounded(four_pixels_rectified, outputs, count),
            _ => (),
        }
        self.summed(outputs, count);
    }

    /// Runs a function that requantizes.
    fn rounded(&self, function: unsafe extern "C" fn(*const u8, &Job), outputs: &mut [i8], count: usize) {
        let pairs = self.channels / 2;
        let pair_len = pair_len(self.inputs.len() * 2);
        let constants = self.linear.weights.as_ptr().wrapping_add(HEADER);
        let base = outputs.as_mut_ptr();
        // Where there are fewer than four pixels, the first is computed several times.
        let start = |pixel: usize| if pixel < count { pixel * self.channels } else { 0 };
        let end = constants.wrapping_add(pairs * pair_len);
        let job = self.job(core::array::from_fn(|pixel| base.wrapping_add(start(pixel))), end);
        if pairs > 0 {
            // SAFETY: `new` has checked that the constants hold all pairs of channels of this depth. Each output has room
            // for two values a pair, as `count` pixels of all channels fit.
            unsafe { function(constants, &job) };
        }
        if self.channels % 2 == 1 {
            // The last pair writes one output too many.
            let mut both = [[0i8; 2]; PIXELS];
            let base = both.as_mut_ptr();
            let ends = core::array::from_fn(|pixel| base.wrapping_add(pixel).cast());
            let job = self.job(ends, end.wrapping_add(pair_len));
            // SAFETY: as above; the constants hold this pair too.
            unsafe { function(end, &job) };
            for (output, both) in outputs.chunks_exact_mut(self.channels.max(1)).zip(both) {
                copy(output.get_mut(pairs * 2..).unwrap_or(&mut []), &both);
            }
        }
    }

    fn job(&self, outputs: [*mut i8; PIXELS], constants_end: *const u8) -> Job {
        let inputs = self.inputs.as_ptr_range();
        Job {
            outputs,
            constants_end,
            inputs: inputs.start,
            inputs_end: inputs.end,
            weights_len: self.inputs.len() * 4,
        }
    }

    /// Packs pixels, the first standing for those that there are not.
    fn pack(&mut self, pixels: &[i8], count: usize) {
        let depth = self.depth;
        let pixel = |number: usize| {
            let start = if number < count { number * depth } else { 0 };
            pixels.get(start..start + depth).unwrap_or(&[])
        };
        let (a, b, c, d) = (pixel(0), pixel(1), pixel(2), pixel(3));
        let (a, b, c, d) = (a.chunks(2), b.chunks(2), c.chunks(2), d.chunks(2));
        let mut inputs = self.inputs.iter_mut();
        for ((((a, b), c), d), to) in a.zip(b).zip(c).zip(d).zip(&mut inputs) {
            *to = match (a, b, c, d) {
                (&[a, e], &[b, f], &[c, g], &[d, h]) => super::assembly::pack([a, b, c, d], [e, f, g, h]),
                (&[a], &[b], &[c], &[d]) => super::assembly::pack([a, b, c, d], [0; 4]),
                _ => [0; PIXELS],
            };
        }
        for to in inputs {
            *to = [0; PIXELS];
        }
    }

    /// Sums in assembly, and requantizes here.
    fn summed(&self, outputs: &mut [i8], count: usize) {
        let padded = self.inputs.len() * 2;
        let pairs = self.linear.weights.get(HEADER..).unwrap_or(&[]);
        for (pair, constants) in pairs.chunks_exact(pair_len(padded).max(1)).enumerate() {
            let mut sums = [[0i32; PIXELS]; 2];
            let job = self.job([core::ptr::null_mut(); PIXELS], constants.as_ptr_range().end);
            // SAFETY: the constants are those of a pair of channels of this depth.
            unsafe { four_pixels_sums(constants.as_ptr(), &job, &mut sums) };
            let words = constants.get(2 * padded..).unwrap_or(&[]);
            for ((sums, words), channel) in sums.iter().zip(words.as_chunks::<CHANNEL>().0).zip(2 * pair..) {
                if channel < self.channels {
                    let outputs = outputs.chunks_mut(self.channels.max(1)).take(count);
                    let outputs = outputs.filter_map(|output| output.get_mut(channel));
                    requantize(self.linear, words, sums, outputs);
                }
            }
        }
    }
}

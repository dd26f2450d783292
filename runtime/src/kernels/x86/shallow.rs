//! Products of few inputs: those of a pixel fit one chunk. Their sums are done so soon that the processor by itself begins
//! the next pixels' while it requantizes these, if the sums need not go through memory; so each few pixels are multiplied
//! and requantized in registers.

use super::multiply::{Destination, PairScales, finish_pair, finish_single_by};
use super::requantize::{ANY, CLAMPED, FLOAT_CLAMPED, FLOAT_SIGNED, Output, SIGNED, Scales};
use super::vector::Vector;
use crate::layout::x86::GroupConstants;
use crate::layout::x86_gemm::DEPTH_STEP;

/// Pixels that are computed together with two groups of channels, and with one.
const PAIRS: usize = 4;
const SINGLES: usize = 8;

/// A panel of one or two groups of channels, and the pixels that it is multiplied with.
pub(super) struct Shallow {
    pub prepared: *const u8,
    /// Bytes of a prepared pixel.
    pub pixel_len: usize,
    pub pixels: usize,
    /// Steps of the depth.
    pub steps: usize,
    pub constants: *const u8,
    pub groups: usize,
    /// See [`Scales::load`].
    pub half: usize,
    /// The first of the panel's channels of the first pixel.
    pub to: *mut u8,
    /// Channels of a pixel.
    pub channels: usize,
    /// How many channels are written.
    pub valid: usize,
}

impl Shallow {
    /// Multiplies, requantizes and writes.
    ///
    /// # Safety
    ///
    /// As [`multiply_block`](super::multiply::multiply_block).
    #[inline(always)]
    pub unsafe fn multiply<V: Vector>(&self, output: &Output<V>) {
        // SAFETY: the contract.
        unsafe {
            let first = Scales::load(self.constants, self.half);
            if self.groups == 1 {
                return match output.formula([&first, &first]) {
                    FLOAT_CLAMPED => self.multiply_single::<V, FLOAT_CLAMPED>(output, first),
                    FLOAT_SIGNED => self.multiply_single::<V, FLOAT_SIGNED>(output, first),
                    CLAMPED => self.multiply_single::<V, CLAMPED>(output, first),
                    SIGNED => self.multiply_single::<V, SIGNED>(output, first),
                    _ => self.multiply_single::<V, ANY>(output, first),
                };
            }
            let second = Scales::load(self.constants.add(GroupConstants::SIZE), self.half);
            let pair = PairScales {
                output,
                first: &first,
                second: &second,
                one_group: false,
            };
            match output.formula([&first, &second]) {
                FLOAT_CLAMPED => self.multiply_pair::<V, FLOAT_CLAMPED>(pair),
                FLOAT_SIGNED => self.multiply_pair::<V, FLOAT_SIGNED>(pair),
                CLAMPED => self.multiply_pair::<V, CLAMPED>(pair),
                SIGNED => self.multiply_pair::<V, SIGNED>(pair),
                _ => self.multiply_pair::<V, ANY>(pair),
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply_pair<V: Vector, const FORMULA: u8>(&self, pair: PairScales<V>) {
        let mut first = 0;
        // SAFETY: the contract.
        unsafe {
            while first + PAIRS <= self.pixels {
                self.finish_pairs::<V, FORMULA, PAIRS>(pair, first);
                first += PAIRS;
            }
            while first < self.pixels {
                self.finish_pairs::<V, FORMULA, 1>(pair, first);
                first += 1;
            }
        }
    }

    #[inline(always)]
    unsafe fn finish_pairs<V: Vector, const FORMULA: u8, const PIXELS: usize>(
        &self,
        pair: PairScales<V>,
        first: usize,
    ) {
        // SAFETY: the contract.
        unsafe {
            let sums = self.sums::<V, PIXELS, 2>(first);
            for pixel in (0..PIXELS).step_by(2) {
                let next = (pixel + 1).min(PIXELS - 1);
                let ([a, b], [c, d]) = (sums[pixel], sums[next]);
                let destination = self.destination(first + pixel, 2);
                finish_pair::<V, FORMULA, 4>(pair, &[a, b, c, d], 0, next - pixel, destination);
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply_single<V: Vector, const FORMULA: u8>(&self, output: &Output<V>, scales: Scales<V>) {
        let mut first = 0;
        // SAFETY: the contract.
        unsafe {
            while first + SINGLES <= self.pixels {
                let sums = self.sums::<V, SINGLES, 1>(first).map(|[sum]| sum);
                let destination = self.destination(first, SINGLES);
                finish_single_by::<V, FORMULA, SINGLES>(output, &sums, scales, destination);
                first += SINGLES;
            }
            while first < self.pixels {
                let [sums] = self.sums::<V, 1, 1>(first);
                finish_single_by::<V, FORMULA, 1>(output, &sums, scales, self.destination(first, 1));
                first += 1;
            }
        }
    }

    /// The sums of `PIXELS` pixels from `first` on, of `GROUPS` groups each.
    #[inline(always)]
    unsafe fn sums<V: Vector, const PIXELS: usize, const GROUPS: usize>(
        &self,
        first: usize,
    ) -> [[V; GROUPS]; PIXELS] {
        // SAFETY: the inputs are `steps` steps of four bytes for each pixel, the weights likewise. The last step may read the
        // pixel after (after the last, unused room), where weights are 0.
        unsafe {
            let constants = self.constants.add(self.half * V::BYTES);
            let mut bias = [V::splat_32(0); GROUPS];
            for (group, bias) in bias.iter_mut().enumerate() {
                *bias = V::load(constants.add(group * GroupConstants::SIZE));
            }
            let mut sums = [bias; PIXELS];
            let mut weights = constants.add(GROUPS * GroupConstants::SIZE);
            let mut inputs = self.prepared.add(first * self.pixel_len);
            for _ in 0..self.steps {
                let mut columns = bias;
                for (group, column) in columns.iter_mut().enumerate() {
                    *column = V::load(weights.add(group * 64));
                }
                for (pixel, sums) in sums.iter_mut().enumerate() {
                    let values = V::splat_from(inputs.add(pixel * self.pixel_len));
                    for (sum, weights) in sums.iter_mut().zip(columns) {
                        *sum = sum.add_dot(values, weights);
                    }
                }
                weights = weights.add(GROUPS * 64);
                inputs = inputs.add(DEPTH_STEP);
            }
            sums
        }
    }

    /// Where pixels from `first` on go.
    #[inline(always)]
    fn destination(&self, first: usize, pixels: usize) -> Destination {
        Destination {
            to: self.to.wrapping_add(first * self.channels),
            pixels,
            channels: self.channels,
            valid: self.valid,
        }
    }
}

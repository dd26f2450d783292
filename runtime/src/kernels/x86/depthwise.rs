//! Depthwise convolution with packed weights ([`x86_depthwise`](crate::layout::x86_depthwise)).
//!
//! For a block of channels (the bytes of a vector) and a segment of output columns, the input rows of the window are
//! interleaved once: each 32-bit lane then holds four vertical taps of a channel, and one instruction multiplies and adds
//! them. What is padding is prepared as the input zero point.

use super::requantize::Output;
use super::vector::Vector;
use crate::layout::x86::{GroupConstants, MAX_KERNEL};
use crate::layout::x86_depthwise::{BLOCK, ROWS, SEGMENT, block_len, row_groups, segment_columns};
use crate::operator::Linear;
use crate::{Band, Rows};

/// What makes a signed byte unsigned.
const SIGN: i8 = -128;
/// Rows of the greatest window.
const MAX_ROWS: usize = MAX_KERNEL;

/// Rows of a depthwise convolution.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
pub(super) unsafe fn depthwise<V: Vector>(
    linear: &Linear,
    input: &Rows,
    output: &mut Band,
    scratch: &mut [i8],
) {
    let window = &linear.window;
    let channels = output.shape.channels as usize;
    let width = output.shape.width as usize;
    let row_bytes = input.shape.row_values();
    let columns = segment_columns(window, SEGMENT.min(width));
    let aligned = scratch.as_ptr().align_offset(64);
    let fits = linear.weights.len() == channels.div_ceil(BLOCK) * block_len(window)
        && input.shape.channels == output.shape.channels
        && window.kernel_height <= MAX_ROWS
        && scratch.len() >= aligned + columns * row_groups(window) * BLOCK * ROWS
        && output.data.len() >= output.rows * width * channels;
    if !fits {
        // Never so in a model: its view has checked it.
        return;
    }
    for (y, row) in output.rows_mut() {
        let mut sources = [None; MAX_ROWS];
        for ky in window.kernel_rows(y, input.shape.height) {
            let source = input.row(window.input_row(y, ky));
            sources[ky] = (source.len() == row_bytes).then_some(source);
        }
        // SAFETY: the sources are whole rows or padding, the row is a whole output row, the scratch memory holds a
        // segment's columns, and `fits` has the lengths of the constants.
        unsafe {
            let prepared = scratch.as_mut_ptr().add(aligned).cast::<u8>();
            let sources = &sources[..window.kernel_height];
            let depthwise =
                RowTask::<V>::new(linear, sources, prepared, channels, input.shape.width as usize);
            for first in (0..width).step_by(SEGMENT) {
                let count = SEGMENT.min(width - first);
                depthwise.segment(first, row.as_mut_ptr().cast::<u8>().add(first * channels), count);
            }
        }
    }
}

/// One output row.
struct RowTask<'a, V: Vector> {
    linear: &'a Linear<'a>,
    sources: &'a [Option<&'a [i8]>],
    prepared: *mut u8,
    channels: usize,
    input_width: usize,
    output: Output<V>,
    half_output: Output<V::Half>,
}

impl<'a, V: Vector> RowTask<'a, V> {
    #[inline(always)]
    unsafe fn new(
        linear: &'a Linear<'a>,
        sources: &'a [Option<&'a [i8]>],
        prepared: *mut u8,
        channels: usize,
        input_width: usize,
    ) -> Self {
        Self {
            linear,
            sources,
            prepared,
            channels,
            input_width,
            // SAFETY: the caller's contract.
            output: unsafe { Output::of(linear) },
            // SAFETY: the same.
            half_output: unsafe { Output::of(linear) },
        }
    }

    /// Output columns from `first` on, `count` of them; `to` is where the first goes.
    ///
    /// # Safety
    ///
    /// There is room for so many columns from `to` on, and what the caller of [`new`](Self::new) said holds.
    #[inline(always)]
    unsafe fn segment(&self, first: usize, to: *mut u8, count: usize) {
        for channel in (0..self.channels).step_by(V::BYTES) {
            let valid = V::BYTES.min(self.channels - channel);
            // SAFETY: `valid` channels from `channel` on, and both kinds of vectors are the instruction set's.
            unsafe {
                if V::Half::BYTES < V::BYTES && valid <= V::Half::BYTES {
                    self.block(&self.half_output, channel, valid, first, to.add(channel), count);
                } else {
                    self.block(&self.output, channel, valid, first, to.add(channel), count);
                }
            }
        }
    }

    /// As [`segment`](Self::segment), of the `valid` channels from `channel` on, which fit a vector.
    ///
    /// # Safety
    ///
    /// As [`segment`](Self::segment).
    #[inline(always)]
    unsafe fn block<W: Vector>(
        &self,
        output: &Output<W>,
        channel: usize,
        valid: usize,
        first: usize,
        to: *mut u8,
        count: usize,
    ) {
        // SAFETY: channels stay below `channels`, blocks of constants below their number.
        unsafe {
            let window = &self.linear.window;
            let constants = self
                .linear
                .weights
                .as_ptr()
                .add(channel / BLOCK * block_len(window));
            let half = channel % BLOCK / W::BYTES;
            if valid == W::BYTES {
                self.interleave::<W, true>(first, count, channel, valid);
            } else {
                self.interleave::<W, false>(first, count, channel, valid);
            }
            match (window.kernel_width, row_groups(window)) {
                (3, 1) => self.multiply::<W, 3, 1>(output, constants, half, to, count, valid),
                (5, 2) => self.multiply::<W, 5, 2>(output, constants, half, to, count, valid),
                _ => self.multiply::<W, 0, 0>(output, constants, half, to, count, valid),
            }
        }
    }

    /// Prepares the input columns that a segment needs: for each, for each four rows of the window, four vectors. `WHOLE`
    /// says that all of a vector's channels are valid.
    ///
    /// # Safety
    ///
    /// A pixel has `valid` channels from `channel` on, at most a vector of them.
    #[inline(always)]
    unsafe fn interleave<W: Vector, const WHOLE: bool>(
        &self,
        first: usize,
        count: usize,
        channel: usize,
        valid: usize,
    ) {
        let window = &self.linear.window;
        let mut to = self.prepared;
        // SAFETY: columns within the input are read, at channels that the pixel has; the scratch memory has room.
        unsafe {
            let sign = W::splat_8(SIGN);
            let padding = W::splat_8(self.linear.input_zero_point as i8).xor(sign);
            for column in 0..segment_columns(window, count) {
                let column = (first * window.stride_width + column).wrapping_sub(window.pad_left);
                for rows in self.sources.chunks(ROWS) {
                    let mut values = [padding; ROWS];
                    if column < self.input_width {
                        let at = column * self.channels + channel;
                        for (value, row) in values.iter_mut().zip(rows) {
                            if let Some(row) = row {
                                let from = row.as_ptr().cast::<u8>().add(at);
                                let row = if WHOLE {
                                    W::load(from)
                                } else {
                                    W::load_first(from, valid)
                                };
                                *value = row.xor(sign);
                            }
                        }
                    }
                    let [a, b, c, d] = values;
                    let (ab, cd) = (a.interleave_low_8(b), c.interleave_low_8(d));
                    ab.interleave_low_16(cd).store(to);
                    ab.interleave_high_16(cd).store(to.add(W::BYTES));
                    let (ab, cd) = (a.interleave_high_8(b), c.interleave_high_8(d));
                    ab.interleave_low_16(cd).store(to.add(2 * W::BYTES));
                    ab.interleave_high_16(cd).store(to.add(3 * W::BYTES));
                    to = to.add(4 * W::BYTES);
                }
            }
        }
    }

    /// Multiplies, requantizes and writes a segment of one block of channels. `COLUMNS` and `GROUPS` are the window's
    /// width and groups of rows, or both 0 for any.
    ///
    /// # Safety
    ///
    /// The segment is prepared; `constants` is the block of constants of these channels.
    #[inline(always)]
    unsafe fn multiply<W: Vector, const COLUMNS: usize, const GROUPS: usize>(
        &self,
        output: &Output<W>,
        constants: *const u8,
        half: usize,
        to: *mut u8,
        count: usize,
        valid: usize,
    ) {
        let window = &self.linear.window;
        let any = COLUMNS == 0;
        let columns = if any { window.kernel_width } else { COLUMNS };
        let groups = if any { row_groups(window) } else { GROUPS };
        let pixel_step = window.stride_width * groups * 4 * W::BYTES;
        let column_step = window.dilation_width * groups * 4 * W::BYTES;
        // SAFETY: reads stay within the prepared columns and the block of constants; writes within the pixels.
        unsafe {
            let weights = constants.add(4 * GroupConstants::SIZE + half * W::BYTES);
            for x in 0..count {
                let pixel = self.prepared.add(x * pixel_step);
                let mut sums = [W::splat_32(0); 4];
                for (vector, sum) in sums.iter_mut().enumerate() {
                    *sum = W::load(constants.add(vector * GroupConstants::SIZE + half * W::BYTES));
                }
                for column in 0..columns {
                    for group in 0..groups {
                        let values = pixel.add(column * column_step + group * 4 * W::BYTES);
                        let weights = weights.add((column * groups + group) * BLOCK * ROWS);
                        for (vector, sum) in sums.iter_mut().enumerate() {
                            let values = W::load(values.add(vector * W::BYTES));
                            *sum = sum.add_dot(values, W::load(weights.add(vector * 64)));
                        }
                    }
                }
                let mut scaled = sums;
                for (vector, value) in scaled.iter_mut().enumerate() {
                    *value = output.scale(*value, constants.add(vector * GroupConstants::SIZE), half);
                }
                let packed = output.pack(scaled);
                let to = to.add(x * self.channels);
                if valid == W::BYTES {
                    packed.store(to);
                } else {
                    packed.store_first(to, valid);
                }
            }
        }
    }
}

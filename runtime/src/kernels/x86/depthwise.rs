//! Depthwise convolution with packed weights ([`x86_depthwise`](crate::layout::x86_depthwise)).
//!
//! For a block of channels (the bytes of a vector) and a segment of output columns, the input rows of the window are
//! interleaved once: each 32-bit lane then holds four vertical taps of a channel, and one instruction multiplies and adds
//! them. What is padding is prepared as the input zero point. Windows of 3 × 3 are computed without, by
//! [`direct`](super::direct), where that is faster.

use super::direct;
use super::requantize::{ANY, CLAMPED, FLOAT_CLAMPED, FLOAT_SIGNED, Output, SIGNED, Scales};
use super::vector::Vector;
use crate::layout::x86::{GroupConstants, MAX_KERNEL};
use crate::layout::x86_depthwise::{
    BLOCK, ROWS, SEGMENT, TOGETHER, block_len, prepared_len, row_groups, segment_columns,
};
use crate::operator::{Linear, Window};
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
    let prepared = prepared_len(window, width);
    let aligned = scratch.as_ptr().align_offset(64);
    let fits = linear.weights.len() == channels.div_ceil(BLOCK) * block_len(window)
        && input.shape.channels == output.shape.channels
        && window.kernel_height <= MAX_ROWS
        && scratch.len() >= aligned + prepared + SEGMENT * BLOCK
        && output.data.len() >= output.rows * width * channels;
    if !fits {
        // Never so in a model: its view has checked it.
        return;
    }
    // SAFETY: the contract, and `fits`.
    if V::OVERLAPS && direct::is_direct(window) && unsafe { direct::rows::<V>(linear, input, output) } {
        return;
    }
    let together = rows_together::<V>(window);
    // Vectors of half the length take half the room, if windows leave no columns between them.
    let halves = V::Half::BYTES < V::BYTES && channels <= V::Half::BYTES;
    let segment = if halves && window.stride_width <= window.kernel_width {
        2 * SEGMENT
    } else {
        SEGMENT
    };
    for row in (0..output.rows).step_by(together) {
        let rows = together.min(output.rows - row);
        let first_row = output.first_row + row;
        let mut sources = [None; MAX_ROWS];
        for y in first_row..first_row + rows {
            let above = (y - first_row) * window.stride_height;
            for ky in window.kernel_rows(y, input.shape.height) {
                let source = input.row(window.input_row(y, ky));
                sources[above + ky] = (source.len() == row_bytes).then_some(source);
            }
        }
        let read = window.kernel_height + (rows - 1) * window.stride_height;
        // SAFETY: the sources are whole rows or padding, there are so many whole output rows, the scratch memory holds a
        // segment's columns, and `fits` has the lengths of the constants.
        unsafe {
            let to = output.data.as_mut_ptr().cast::<u8>().add(row * width * channels);
            let scratch = scratch.as_mut_ptr().add(aligned).cast::<u8>();
            let depthwise = RowTask::<V> {
                linear,
                sources: &sources[..read],
                rows,
                row_len: width * channels,
                prepared: scratch,
                packed: scratch.add(prepared),
                channels,
                input_width: input.shape.width as usize,
                output: Output::of(linear),
                half_output: Output::of(linear),
            };
            for first in (0..width).step_by(segment) {
                let count = segment.min(width - first);
                depthwise.segment(first, to.add(first * channels), count);
            }
        }
    }
}

/// How many output rows to compute from one preparation of inputs: as many as its groups of four rows hold the windows of,
/// each with the weights moved down by the rows between. Only for windows known to the compiler.
#[inline(always)]
fn rows_together<V: Vector>(window: &Window) -> usize {
    match (window.kernel_height, window.kernel_width, window.stride_height) {
        _ if window.dilation_height != 1 || window.dilation_width != 1 => 1,
        // Left to windows of any size here: see `direct`.
        (3, 3, _) if V::OVERLAPS => 1,
        (3, 3, 1) => 2,
        // Moved weights would be no longer in one half of their pairs.
        (5, 5, _) if V::PAIRS => 1,
        (5, 5, 1) => 4,
        (5, 5, 2) => 2,
        _ => 1,
    }
}

/// Some output rows.
struct RowTask<'a, V: Vector> {
    linear: &'a Linear<'a>,
    /// The input rows that they read.
    sources: &'a [Option<&'a [i8]>],
    /// How many they are, and the bytes of each.
    rows: usize,
    row_len: usize,
    /// Interleaved input columns of a segment.
    prepared: *mut u8,
    /// A segment's output values of a block: for each [`TOGETHER`] pixels, for each of its four vectors, in parts of 128
    /// bits, four channels of each pixel.
    packed: *mut u8,
    channels: usize,
    input_width: usize,
    output: Output<V>,
    half_output: Output<V::Half>,
}

impl<V: Vector> RowTask<'_, V> {
    /// Output columns from `first` on, `count` of them; `to` is where the first goes.
    ///
    /// # Safety
    ///
    /// There is room for so many columns from `to` on, the scratch memory is as long as this layout says, and the processor
    /// has `V`'s instruction set.
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
            let constants = Constants {
                block: constants,
                half,
            };
            let square = window.kernel_height == window.kernel_width && window.dilation_width == 1;
            for row in 0..self.rows {
                let down = row * window.stride_height;
                match (window.kernel_width, window.stride_width) {
                    (3, 1) if square && !V::OVERLAPS => {
                        self.multiply::<W, 3, 1, 1>(output, constants, count, down)
                    }
                    (3, 2) if square && !V::OVERLAPS => {
                        self.multiply::<W, 3, 1, 2>(output, constants, count, down)
                    }
                    (5, 1) if square => self.multiply::<W, 5, 2, 1>(output, constants, count, down),
                    (5, 2) if square => self.multiply::<W, 5, 2, 2>(output, constants, count, down),
                    _ => self.multiply::<W, 0, 0, 0>(output, constants, count, 0),
                }
                self.write::<W>(to.add(row * self.row_len), count, valid);
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
        let columns = segment_columns(window, count);
        let step = row_groups(window) * 4 * W::BYTES;
        // Columns of the input that the segment reads; others are padding.
        let start = first * window.stride_width;
        let from = window.pad_left.saturating_sub(start).min(columns);
        let to = (self.input_width + window.pad_left).saturating_sub(start);
        let to = to.clamp(from, columns);
        // What is read in place of a row of padding, at every column.
        let padding = [self.linear.input_zero_point as i8; BLOCK];
        // SAFETY: columns within the input are read, at channels that the pixel has; the scratch memory has room.
        unsafe {
            let sign = W::splat_8(SIGN);
            let outside = W::splat_8(self.linear.input_zero_point as i8).xor(sign);
            for (group, rows) in self.sources.chunks(ROWS).enumerate() {
                let prepared = self.prepared.add(group * 4 * W::BYTES);
                for column in (0..from).chain(to..columns) {
                    for vector in 0..4 {
                        outside.store(prepared.add(column * step + vector * W::BYTES));
                    }
                }
                let mut pointers = [(padding.as_ptr().cast::<u8>(), 0); ROWS];
                for (pointer, row) in pointers.iter_mut().zip(rows) {
                    if let Some(row) = row {
                        let at = (start + from).saturating_sub(window.pad_left) * self.channels + channel;
                        *pointer = (row.as_ptr().cast::<u8>().wrapping_add(at), self.channels);
                    }
                }
                let [(mut a, a_step), (mut b, b_step), (mut c, c_step), (mut d, d_step)] = pointers;
                let mut prepared = prepared.add(from * step);
                for _ in from..to {
                    let one = part::<W, WHOLE>(a, valid).xor(sign);
                    let two = part::<W, WHOLE>(b, valid).xor(sign);
                    let three = part::<W, WHOLE>(c, valid).xor(sign);
                    let four = part::<W, WHOLE>(d, valid).xor(sign);
                    let (upper, lower) = (one.interleave_low_8(two), three.interleave_low_8(four));
                    upper.interleave_low_16(lower).store(prepared);
                    upper.interleave_high_16(lower).store(prepared.add(W::BYTES));
                    let (upper, lower) = (one.interleave_high_8(two), three.interleave_high_8(four));
                    upper.interleave_low_16(lower).store(prepared.add(2 * W::BYTES));
                    upper.interleave_high_16(lower).store(prepared.add(3 * W::BYTES));
                    prepared = prepared.add(step);
                    a = a.wrapping_add(a_step);
                    b = b.wrapping_add(b_step);
                    c = c.wrapping_add(c_step);
                    d = d.wrapping_add(d_step);
                }
            }
        }
    }

    /// Multiplies and requantizes a segment of one block of channels, vector by vector: what belongs to a vector's channels
    /// stays in registers. `COLUMNS`, `GROUPS` and `STRIDE` are the width, groups of rows and stride of a square window
    /// without dilation, or all 0 for any. Such a window begins `down` rows, at most 3, below the first prepared one.
    ///
    /// # Safety
    ///
    /// The segment is prepared; the constants are those of this block of channels.
    #[inline(always)]
    unsafe fn multiply<W: Vector, const COLUMNS: usize, const GROUPS: usize, const STRIDE: usize>(
        &self,
        output: &Output<W>,
        constants: Constants,
        count: usize,
        down: usize,
    ) {
        let window = &self.linear.window;
        let any = COLUMNS == 0;
        let columns = if any { window.kernel_width } else { COLUMNS };
        let groups = if any { row_groups(window) } else { GROUPS };
        let stride = if any { window.stride_width } else { STRIDE };
        let column_len = groups * 4 * W::BYTES;
        let dilated = if any {
            window.dilation_width * column_len
        } else {
            column_len
        };
        // SAFETY: reads stay within the prepared columns (of which there are enough for whole groups of pixels) and the
        // block of constants; writes within the packed values.
        unsafe {
            let weights = constants
                .block
                .add(4 * GroupConstants::SIZE + constants.half * W::BYTES);
            for vector in 0..4 {
                let group = constants.block.add(vector * GroupConstants::SIZE);
                let scales = Scales::load(group, constants.half);
                let weights = weights.add(vector * 64);
                let task = VectorTask::<W, COLUMNS, GROUPS> {
                    bias: W::load(group.add(constants.half * W::BYTES)),
                    scales,
                    weights,
                    moved: moved_weights(weights, down),
                    columns,
                    groups,
                    single_last: V::PAIRS && !any && COLUMNS % ROWS == 1,
                    dilated,
                    pixel_step: stride * column_len,
                    from: self.prepared.add(vector * W::BYTES),
                    to: self.packed.add(vector * W::BYTES),
                };
                match output.formula([&scales, &scales]) {
                    FLOAT_CLAMPED => task.run::<FLOAT_CLAMPED>(output, count),
                    FLOAT_SIGNED => task.run::<FLOAT_SIGNED>(output, count),
                    CLAMPED => task.run::<CLAMPED>(output, count),
                    SIGNED => task.run::<SIGNED>(output, count),
                    _ => task.run::<ANY>(output, count),
                }
            }
        }
    }

    /// Writes a segment's packed values, the `valid` channels of each pixel.
    ///
    /// # Safety
    ///
    /// There is room for so many pixels from `to` on.
    #[inline(always)]
    unsafe fn write<W: Vector>(&self, to: *mut u8, count: usize, valid: usize) {
        // SAFETY: the packed values are those of `count` pixels, rounded up; writes stay within `valid` channels of each.
        unsafe {
            for first in (0..count).step_by(TOGETHER) {
                let packed = self.packed.add(first * W::BYTES);
                let vector = |i: usize| W::load(packed.add(i * W::BYTES));
                let (a, b, c, d) = (vector(0), vector(1), vector(2), vector(3));
                // In parts: four channels of vector 0, of vector 1, of 2, of 3, of one pixel.
                let (ab, cd) = (a.interleave_low_32(b), c.interleave_low_32(d));
                let (first_pixel, second) = (ab.interleave_low_64(cd), ab.interleave_high_64(cd));
                let (ab, cd) = (a.interleave_high_32(b), c.interleave_high_32(d));
                let (third, fourth) = (ab.interleave_low_64(cd), ab.interleave_high_64(cd));
                let pixels = [first_pixel, second, third, fourth];
                for (i, pixel) in pixels.iter().enumerate().take(count - first) {
                    let to = to.add((first + i) * self.channels);
                    if valid == W::BYTES {
                        pixel.store(to);
                    } else {
                        pixel.store_first(to, valid);
                    }
                }
            }
        }
    }
}

/// `valid` bytes; `WHOLE` says that they are a whole vector.
#[inline(always)]
unsafe fn part<W: Vector, const WHOLE: bool>(from: *const u8, valid: usize) -> W {
    // SAFETY: the caller has so many bytes there.
    unsafe {
        if WHOLE {
            W::load(from)
        } else {
            W::load_first(from, valid)
        }
    }
}

/// The weights of a vector of channels, for each column, moved down so many rows, at most 3.
///
/// # Safety
///
/// `weights` points to so many vectors, every [`BLOCK`] × [`ROWS`] bytes.
#[inline(always)]
unsafe fn moved_weights<W: Vector, const COLUMNS: usize, const GROUPS: usize>(
    weights: *const u8,
    down: usize,
) -> [[W; GROUPS]; COLUMNS] {
    // SAFETY: the contract.
    unsafe {
        let zero = W::splat_8(0);
        let mut moved = [[zero; GROUPS]; COLUMNS];
        for (column, moved) in moved.iter_mut().enumerate() {
            for (group, moved) in moved.iter_mut().enumerate() {
                *moved = W::load(weights.add((column * GROUPS + group) * BLOCK * ROWS));
            }
            if down > 0 {
                let bits = 8 * down as i32;
                let mut above = zero;
                for moved in moved.iter_mut() {
                    let carried = above.shift_right_32(W::splat_32(32 - bits));
                    let carried = carried.and(W::splat_32((1 << bits) - 1));
                    above = *moved;
                    *moved = moved.shift_left_32(W::splat_32(bits)).xor(carried);
                }
            }
        }
        moved
    }
}

/// A segment of one vector of sums.
struct VectorTask<W: Vector, const COLUMNS: usize, const GROUPS: usize> {
    bias: W,
    scales: Scales<W>,
    /// The weights of any window, and those of a known one.
    weights: *const u8,
    moved: [[W; GROUPS]; COLUMNS],
    /// The window's columns and groups of rows.
    columns: usize,
    groups: usize,
    /// Whether the last group is known to be of a single row.
    single_last: bool,
    /// Bytes from one of the window's columns to the next, and from one pixel to the next.
    dilated: usize,
    pixel_step: usize,
    from: *const u8,
    to: *mut u8,
}

impl<W: Vector, const COLUMNS: usize, const GROUPS: usize> VectorTask<W, COLUMNS, GROUPS> {
    /// # Safety
    ///
    /// As [`RowTask::multiply`].
    #[inline(always)]
    unsafe fn run<const FORMULA: u8>(&self, output: &Output<W>, count: usize) {
        let (mut from, mut to) = (self.from, self.to);
        // SAFETY: as `multiply` says.
        unsafe {
            for _ in 0..count.div_ceil(TOGETHER) {
                let mut sums = [self.bias; TOGETHER];
                for column in 0..self.columns {
                    for group in 0..self.groups {
                        let weights = if COLUMNS == 0 {
                            let weights = (column * self.groups + group) * BLOCK * ROWS;
                            W::load(self.weights.add(weights))
                        } else {
                            self.moved[column][group]
                        };
                        let from = from.add(column * self.dilated + group * 4 * W::BYTES);
                        for (i, sum) in sums.iter_mut().enumerate() {
                            let inputs = W::load(from.add(i * self.pixel_step));
                            *sum = if self.single_last && group + 1 == self.groups {
                                sum.add_dot_even(inputs, weights)
                            } else {
                                sum.add_dot(inputs, weights)
                            };
                        }
                    }
                }
                let [a, b, c, d] = sums;
                let scaled = [
                    output.scale::<FORMULA>(a, &self.scales),
                    output.scale::<FORMULA>(b, &self.scales),
                    output.scale::<FORMULA>(c, &self.scales),
                    output.scale::<FORMULA>(d, &self.scales),
                ];
                output.pack_scaled::<FORMULA>(scaled).store(to);
                from = from.add(TOGETHER * self.pixel_step);
                to = to.add(4 * W::BYTES);
            }
        }
    }
}

/// The constants of a block of channels.
#[derive(Clone, Copy)]
struct Constants {
    block: *const u8,
    /// Which half of each group, for vectors of half a group.
    half: usize,
}

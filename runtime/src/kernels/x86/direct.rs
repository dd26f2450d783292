//! Depthwise convolution with windows of 3 × 3 at every or every second column: the vectors of a column, interleaved as in
//! [`depthwise`](super::depthwise), stay in registers until the outputs that read them are computed. An output's four vectors
//! of sums, packed, are its channels in order. For instruction sets with registers enough.

use super::requantize::{CLAMPED, FLOAT_CLAMPED, FLOAT_SIGNED, Output, SIGNED, Scales};
use super::vector::Vector;
use crate::layout::x86::GroupConstants;
use crate::layout::x86_depthwise::{BLOCK, ROWS, SEGMENT, block_len};
use crate::operator::{Linear, Window};
use crate::{Band, Rows};

/// Columns of the window, and rows of it.
const SIZE: usize = 3;

/// Whether windows are such ones.
pub(super) fn is_direct(window: &Window) -> bool {
    (window.kernel_height, window.kernel_width) == (SIZE, SIZE)
        && window.stride_height == window.stride_width
        && window.stride_width <= 2
        && (window.dilation_height, window.dilation_width) == (1, 1)
}

/// Rows of a depthwise convolution with such windows. Returns false, and computes nothing, if there are multipliers that need
/// the general formula.
///
/// # Safety
///
/// The processor has `V`'s instruction set; the constants are as long as the layout says, the output has as many channels as
/// the input, and room for its rows.
#[inline(always)]
pub(super) unsafe fn rows<V: Vector>(linear: &Linear, input: &Rows, output: &mut Band) -> bool {
    let window = &linear.window;
    let channels = output.shape.channels as usize;
    let width = output.shape.width as usize;
    let constants = linear.weights.as_ptr();
    let padding = [linear.input_zero_point as i8; BLOCK];
    // SAFETY: blocks of constants below their number, each of four groups, are read; channels stay below `channels`, and rows
    // are whole ones or padding, as long as a vector, which is read at the same place for all columns.
    unsafe {
        for block in 0..channels.div_ceil(BLOCK) {
            for group in 0..4 {
                let group = constants.add(block * block_len(window) + group * GroupConstants::SIZE);
                if !Scales::<V>::load(group, 0).is_fast() {
                    return false;
                }
            }
        }
        let (whole_output, half_output) = (Output::<V>::of(linear), Output::<V::Half>::of(linear));
        for row in 0..output.rows {
            let y = output.first_row + row;
            let mut sources = [(padding.as_ptr().cast::<u8>(), false); SIZE];
            for ky in window.kernel_rows(y, input.shape.height) {
                let source = input.row(window.input_row(y, ky));
                if source.len() == input.shape.row_values() {
                    sources[ky] = (source.as_ptr().cast(), true);
                }
            }
            let to = output.data.as_mut_ptr().cast::<u8>().add(row * width * channels);
            for first in (0..width).step_by(SEGMENT) {
                for channel in (0..channels).step_by(V::BYTES) {
                    let valid = V::BYTES.min(channels - channel);
                    let direct = Direct {
                        constants: constants.add(channel / BLOCK * block_len(window)),
                        half: channel % BLOCK / V::BYTES,
                        rows: sources.map(|(row, within)| row.wrapping_add(if within { channel } else { 0 })),
                        steps: sources.map(|(_, within)| if within { channels } else { 0 }),
                        width: input.shape.width as isize,
                        first: (first * window.stride_width) as isize - window.pad_left as isize,
                        channels,
                        valid,
                        count: SEGMENT.min(width - first),
                        zero_point: linear.input_zero_point as i8,
                        to: to.add(first * channels + channel),
                    };
                    if V::Half::BYTES < V::BYTES && valid <= V::Half::BYTES {
                        direct.run::<V::Half>(&half_output, window.stride_width);
                    } else {
                        direct.run::<V>(&whole_output, window.stride_width);
                    }
                }
            }
        }
    }
    true
}

/// The outputs of a block of channels in some columns of a row.
struct Direct {
    /// The block's constants; see [`Scales::load`] for `half`.
    constants: *const u8,
    half: usize,
    /// The input rows of the window, from the block's first channel on, and the bytes from one column to the next.
    rows: [*const u8; SIZE],
    steps: [usize; SIZE],
    /// Columns of the input, and the first one of the first output's window.
    width: isize,
    first: isize,
    /// Channels of a pixel, and how many of them are computed.
    channels: usize,
    valid: usize,
    /// How many outputs.
    count: usize,
    zero_point: i8,
    to: *mut u8,
}

impl Direct {
    /// Computes the outputs.
    ///
    /// # Safety
    ///
    /// The processor has `W`'s instruction set; the constants are a block of windows of this size, of fast groups; each row has
    /// `width` pixels, and there is room for the outputs' `valid` channels, at most a vector.
    #[inline(always)]
    unsafe fn run<W: Vector>(&self, output: &Output<W>, stride: usize) {
        // SAFETY: the contract.
        unsafe {
            match (stride, self.valid == W::BYTES) {
                (1, true) => self.run_known::<W, true, 1>(output),
                (1, false) => self.run_known::<W, false, 1>(output),
                (_, true) => self.run_known::<W, true, 2>(output),
                (_, false) => self.run_known::<W, false, 2>(output),
            }
        }
    }

    /// As [`run`](Self::run); `WHOLE` says that the channels are a whole vector.
    #[inline(always)]
    unsafe fn run_known<W: Vector, const WHOLE: bool, const STRIDE: usize>(&self, output: &Output<W>) {
        // SAFETY: the contract.
        unsafe {
            let mut scales = [Scales::load(self.constants, self.half); 4];
            for (group, scales) in scales.iter_mut().enumerate() {
                *scales = Scales::load(self.constants.add(group * GroupConstants::SIZE), self.half);
            }
            match output.formula(scales.each_ref()) {
                FLOAT_CLAMPED => self.compute::<W, FLOAT_CLAMPED, WHOLE, STRIDE>(output, &scales),
                FLOAT_SIGNED => self.compute::<W, FLOAT_SIGNED, WHOLE, STRIDE>(output, &scales),
                CLAMPED => self.compute::<W, CLAMPED, WHOLE, STRIDE>(output, &scales),
                _ => self.compute::<W, SIGNED, WHOLE, STRIDE>(output, &scales),
            }
        }
    }

    /// As [`run`](Self::run), by one formula.
    #[inline(always)]
    unsafe fn compute<W: Vector, const FORMULA: u8, const WHOLE: bool, const STRIDE: usize>(
        &self,
        output: &Output<W>,
        scales: &[Scales<W>; 4],
    ) {
        // SAFETY: the contract: the constants are four groups', then for each column of the window, four vectors of weights.
        unsafe {
            let constants = self.constants.add(self.half * W::BYTES);
            let mut bias = [W::splat_8(0); 4];
            let mut weights = [bias; SIZE];
            for (group, bias) in bias.iter_mut().enumerate() {
                *bias = W::load(constants.add(group * GroupConstants::SIZE));
                let from = constants.add(4 * GroupConstants::SIZE + group * 64);
                for (column, weights) in weights.iter_mut().enumerate() {
                    weights[group] = W::load(from.add(column * BLOCK * ROWS));
                }
            }
            let (mut at, mut to) = (self.first, self.to);
            let mut second = self.column::<W, WHOLE>(at);
            let mut third = if STRIDE == 1 {
                self.column::<W, WHOLE>(at + 1)
            } else {
                second
            };
            for _ in 0..self.count {
                let columns = if STRIDE == 1 {
                    [second, third, self.column::<W, WHOLE>(at + 2)]
                } else {
                    [
                        third,
                        self.column::<W, WHOLE>(at + 1),
                        self.column::<W, WHOLE>(at + 2),
                    ]
                };
                let mut scaled = bias;
                for (group, sum) in scaled.iter_mut().enumerate() {
                    for (column, weights) in columns.iter().zip(&weights) {
                        *sum = sum.add_dot(column[group], weights[group]);
                    }
                    *sum = output.scale::<FORMULA>(*sum, &scales[group]);
                }
                let packed = output.pack_scaled::<FORMULA>(scaled);
                if WHOLE {
                    packed.store(to);
                } else {
                    packed.store_first(to, self.valid);
                }
                to = to.wrapping_add(self.channels);
                [_, second, third] = columns;
                at += STRIDE as isize;
            }
        }
    }

    /// The vectors of a column of the input, or of padding.
    #[inline(always)]
    unsafe fn column<W: Vector, const WHOLE: bool>(&self, column: isize) -> [W; 4] {
        // SAFETY: columns within the rows are read.
        unsafe {
            let sign = W::splat_8(i8::MIN);
            let outside = W::splat_8(self.zero_point).xor(sign);
            if column < 0 || column >= self.width {
                return [outside; 4];
            }
            let mut rows = [outside; SIZE];
            for (i, values) in rows.iter_mut().enumerate() {
                let from = self.rows[i].add(column as usize * self.steps[i]);
                let bytes = if WHOLE {
                    W::load(from)
                } else {
                    W::load_first(from, self.valid)
                };
                *values = bytes.xor(sign);
            }
            // The fourth row's weights are 0.
            let [one, two, three] = rows;
            let (upper, lower) = (one.interleave_low_8(two), three.interleave_low_8(three));
            let (upper_end, lower_end) = (one.interleave_high_8(two), three.interleave_high_8(three));
            [
                upper.interleave_low_16(lower),
                upper.interleave_high_16(lower),
                upper_end.interleave_low_16(lower_end),
                upper_end.interleave_high_16(lower_end),
            ]
        }
    }
}

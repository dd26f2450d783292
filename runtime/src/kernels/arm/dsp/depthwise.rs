//! Depthwise convolution with a 3 × 3 window: four channels of a few rows are widened into planes of int16 pairs, from
//! which every output takes 6 dual multiplications.

use super::depthwise_asm::{
    Job, stride_1_rectified, stride_1_signed, stride_2_rectified, stride_2_signed, widen_pairs,
};
use super::widen::{even, high_halves, low_halves, odd, word};
use crate::kernels::reference::{arithmetic::Int8, depthwise};
use crate::layout::Layout;
use crate::layout::cortex_m4::{DEPTHWISE_CHANNEL, HEADER, pairs_of_columns};
use crate::operator::Linear;
use crate::{Band, Rows};

/// int8 activations and weights.
pub fn int8(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return depthwise::run::<Int8>(linear, input, output, scratch);
    }
    let window = linear.window;
    let (width, channels) = (output.shape.width as usize, output.shape.channels as usize);
    let function = match (window.stride_width, linear.weights.first()) {
        (1, Some(2)) => stride_1_rectified,
        (1, _) => stride_1_signed,
        (_, Some(2)) => stride_2_rectified,
        _ => stride_2_signed,
    };
    let pairs = pairs_of_columns(width, window.stride_width);
    // SAFETY: any bytes are words.
    let (_, planes, _) = unsafe { scratch.align_to_mut::<u32>() };
    let row_bytes = output.row_bytes();
    let stride_height = window.stride_height.max(1);
    let fitting = planes.len() / (4 * pairs).max(1);
    if fitting < 3 || linear.weights.len() != HEADER + channels * DEPTHWISE_CHANNEL || channels % 4 != 0 {
        return;
    }
    // Rows of output that a filling of the planes gives.
    let step = (fitting - 3) / stride_height + 1;
    let (mut y, end) = (output.first_row, output.first_row + output.rows);
    while y < end {
        let rows = step.min(end - y);
        let start = (y - output.first_row) * row_bytes;
        let Some(data) = output.data.get_mut(start..start + rows * row_bytes) else {
            return;
        };
        let plane_rows = (rows - 1) * window.stride_height + 3;
        let mut job = Job {
            bias: [0; 2],
            power: 0,
            zero_point: linear.output_zero_point,
            pitch: plane_rows * 4,
            row_end: 0,
            pixel_len: channels,
            row: [0; 2],
            rows_left: 0,
            row_step: window.stride_height * 4,
            output_row_len: row_bytes,
            rows,
            plane_len: plane_rows * pairs * 4,
            row_span: (pairs - 1) * plane_rows * 4,
            even: (width % 2 == 0) as u32,
            constants: linear.weights.as_ptr().wrapping_add(HEADER),
            plane: planes.as_ptr(),
            output: data.as_mut_ptr(),
            channels: 4,
        };
        for channel in (0..channels).step_by(4) {
            for row in 0..plane_rows {
                let source = (y * window.stride_height + row).checked_sub(window.pad_top);
                let source = source
                    .filter(|row| *row < input.shape.height as usize)
                    .map(|row| input.row(row));
                let plane = Plane {
                    words: planes,
                    row,
                    rows: plane_rows,
                    pairs,
                };
                plane.fill(
                    source,
                    input.shape.width as usize,
                    input.shape.channels as usize,
                    channel,
                    linear,
                );
            }
            // SAFETY: the planes hold four channels of as many rows and pairs of columns as the job says, the constants
            // those of all channels, and the output `rows` rows from `y` on.
            unsafe { function(&job) };
            job.constants = job.constants.wrapping_add(4 * DEPTHWISE_CHANNEL);
            job.output = job.output.wrapping_add(4);
        }
        y += rows;
    }
}

/// One row in four channels' planes. Pair of columns `i` of row `row` is word `i × rows + row` of a plane.
struct Plane<'a> {
    words: &'a mut [u32],
    row: usize,
    rows: usize,
    pairs: usize,
}

impl Plane<'_> {
    /// Widens four channels of a row of input, or of padding if there is none.
    fn fill(self, source: Option<&[i8]>, width: usize, pixel_len: usize, channel: usize, linear: &Linear) {
        let zero = linear.input_zero_point as u8 as u32 * 0x0101_0101;
        let plane_len = self.rows * self.pairs;
        let pad_left = linear.window.pad_left;
        let source = source.unwrap_or(&[]);
        // Pairs of columns that lie within the input.
        let (inside_from, inside_to) = if source.is_empty() || pixel_len < 4 {
            (self.pairs, self.pairs)
        } else {
            (
                pad_left.div_ceil(2).min(self.pairs),
                ((width + pad_left) / 2).min(self.pairs),
            )
        };
        let pixel = |column: usize| {
            column
                .checked_sub(pad_left)
                .filter(|column| *column < width)
                .and_then(|column| source.get(column * pixel_len + channel..))
                .and_then(|rest| rest.first_chunk())
                .map_or(zero, word)
        };
        let mut pair = 0;
        while pair < self.pairs {
            if pair == inside_from && inside_from < inside_to {
                let count = inside_to - inside_from;
                let start = (2 * pair - pad_left) * pixel_len + channel;
                let from = source.get(start..start + (2 * count - 1) * pixel_len + 4);
                let to = self.words.get_mut(self.row + pair * self.rows..);
                if let (Some(from), Some(to)) = (from, to)
                    && to.len() > 3 * plane_len + (count - 1) * self.rows
                {
                    // SAFETY: `from` holds the last word of the last pixel, `to` the last word of the last plane.
                    unsafe {
                        widen_pairs(
                            from.as_ptr(),
                            pixel_len,
                            to.as_mut_ptr(),
                            self.rows * 4,
                            plane_len * 4,
                            count,
                        )
                    };
                }
                pair = inside_to;
                continue;
            }
            let (a, b) = (pixel(2 * pair), pixel(2 * pair + 1));
            let (a02, a13, b02, b13) = (even(a), odd(a), even(b), odd(b));
            let values = [
                low_halves(a02, b02),
                low_halves(a13, b13),
                high_halves(a02, b02),
                high_halves(a13, b13),
            ];
            for (channel, value) in values.into_iter().enumerate() {
                if let Some(to) = self
                    .words
                    .get_mut(self.row + pair * self.rows + channel * plane_len)
                {
                    *to = value;
                }
            }
            pair += 1;
        }
    }
}

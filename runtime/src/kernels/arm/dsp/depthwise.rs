//! Depthwise convolution with a 3 × 3 window: four channels of a few rows are widened into planes of int16 pairs, from
//! which every output takes 6 dual multiplications.

use super::depthwise_asm::{
    Job, Widening, stride_1_rectified, stride_1_signed, stride_2_rectified, stride_2_signed, widen_rows,
};
use crate::kernels::reference::{arithmetic::Int8, depthwise};
use crate::layout::Layout;
use crate::layout::cortex_m4::{DEPTHWISE_CHANNEL, HEADER, pairs_of_columns};
use crate::operator::Linear;
use crate::{Band, Rows};

/// The most rows of a plane.
const MOST_ROWS: usize = 32;

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
    let fitting = (planes.len() / (4 * pairs).max(1)).min(MOST_ROWS);
    if fitting < 3
        || linear.weights.len() != HEADER + channels * DEPTHWISE_CHANNEL
        || channels % 4 != 0
        || input.shape.channels as usize != channels
    {
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
        let zero = linear.input_zero_point as u8 as u32 * 0x0101_0101;
        let mut table = [[0usize; 2]; MOST_ROWS];
        let columns = Columns::new(window.pad_left, input.shape.width as usize, pairs);
        for (row, place) in table.iter_mut().enumerate().take(plane_rows) {
            let source = (y * window.stride_height + row).checked_sub(window.pad_top);
            let source = source.filter(|row| *row < input.shape.height as usize);
            let source = source.map_or(&[][..], |row| input.row(row));
            *place = if source.len() >= input.shape.width as usize * channels {
                [source.as_ptr() as usize, channels]
            } else {
                [&raw const zero as usize, 0]
            };
        }
        columns.pad(planes, plane_rows, pairs, linear.input_zero_point);
        for _ in (0..channels).step_by(4) {
            let mut widening = Widening {
                rows: table.as_mut_ptr(),
                rows_left: plane_rows,
                to: planes.as_mut_ptr().wrapping_add(columns.start * plane_rows),
                pitch: plane_rows * 4,
                plane_len: plane_rows * pairs * 4,
                inside: columns.inside,
                left: columns.left,
                right: columns.right,
                zero,
            };
            // SAFETY: `plane_rows` is 3 or more and no more than the table has. Its rows hold all pixels of four channels
            // that have not been widened yet, or are the one word of padding. The planes have room for `fitting` rows of all
            // pairs, and `columns` are within the pairs.
            unsafe { widen_rows(&mut widening) };
            // SAFETY: the planes hold four channels of as many rows and pairs of columns as the job says, the constants
            // those of all channels, and the output `rows` rows from `y` on.
            unsafe { function(&job) };
            job.constants = job.constants.wrapping_add(4 * DEPTHWISE_CHANNEL);
            job.output = job.output.wrapping_add(4);
        }
        y += rows;
    }
}

/// The pairs of columns that have at least one column within the input.
struct Columns {
    /// The first such pair.
    start: usize,
    /// 1 if it has only its second column there.
    left: usize,
    /// Pairs that have both.
    inside: usize,
    /// 1 if one more pair has only its first column there.
    right: usize,
}

impl Columns {
    fn new(pad_left: usize, width: usize, pairs: usize) -> Self {
        let start = (pad_left / 2).min(pairs);
        let left = (pad_left % 2).min(pairs - start);
        let rest = width.saturating_sub(left);
        let inside = (rest / 2).min(pairs - start - left);
        let right = (rest % 2).min(pairs - start - left - inside);
        Self {
            start,
            left,
            inside,
            right,
        }
    }

    /// Writes the other pairs of all four planes: they are padding for all channels.
    fn pad(&self, planes: &mut [u32], rows: usize, pairs: usize, zero_point: i32) {
        let zeros = (zero_point as u32 & 0xffff) * 0x1_0001;
        let end = self.start + self.left + self.inside + self.right;
        for plane in planes.chunks_exact_mut((rows * pairs).max(1)).take(4) {
            let (before, rest) = plane
                .split_at_mut_checked(self.start * rows)
                .unwrap_or((&mut [], &mut []));
            let after = rest.get_mut((end - self.start) * rows..).unwrap_or(&mut []);
            before.fill(zeros);
            after.fill(zeros);
        }
    }
}

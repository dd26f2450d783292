//! Windows of convolutions as runs of bytes.

use crate::Rows;
use crate::exec::copy;
use crate::layout::cortex_m3::MOST_ROWS;
use crate::operator::Window;

/// The rows of input that the windows of one output row cover, and how to take a window out of them.
pub struct Windows<'a> {
    window: &'a Window,
    /// Empty for padding.
    rows: [&'a [i8]; MOST_ROWS],
    width: u32,
    depth: usize,
    zero_point: i8,
}

impl<'a> Windows<'a> {
    /// The windows of output row `y`; `None` if they have more than [`MOST_ROWS`] rows.
    pub fn new(window: &'a Window, input: &Rows<'a>, y: usize, zero_point: i8) -> Option<Self> {
        let inside = window.kernel_rows(y, input.shape.height);
        let mut rows = [&[][..]; MOST_ROWS];
        for (ky, row) in rows.get_mut(..window.kernel_height)?.iter_mut().enumerate() {
            if inside.contains(&ky) {
                *row = input.row(window.input_row(y, ky));
            }
        }
        Some(Self {
            window,
            rows,
            width: input.shape.width,
            depth: (input.shape.channels as usize).max(1),
            zero_point,
        })
    }

    /// The inputs of output column `x` in the order of the weights, the zero point standing for padding. `to` may be longer
    /// than a window; what is beyond is overwritten too.
    pub fn gather(&self, x: usize, to: &mut [i8]) {
        let window = self.window;
        let row_len = window.kernel_width * self.depth;
        let columns = window.kernel_columns(x, self.width);
        let inside = columns.len() == window.kernel_width && window.dilation_width == 1;
        let start = window.input_column(x, 0) * self.depth;
        let mut at = 0;
        for row in self.rows.iter().take(window.kernel_height) {
            let Some(to) = to.get_mut(at..) else { return };
            at += row_len;
            let padded = row_len.next_multiple_of(4);
            if row.is_empty() {
                fill(to, row_len, self.zero_point);
            } else if !inside {
                for kx in 0..window.kernel_width {
                    let to = to
                        .get_mut(kx * self.depth..(kx + 1) * self.depth)
                        .unwrap_or(&mut []);
                    if columns.contains(&kx) {
                        copy(
                            to,
                            row.get(window.input_column(x, kx) * self.depth..).unwrap_or(&[]),
                        );
                    } else {
                        fill(to, self.depth, self.zero_point);
                    }
                }
            } else if let (Some(to), Some(from), false) = (
                to.get_mut(..padded),
                row.get(start..start + padded),
                cfg!(sepconv_arm = "armv6m"),
            ) {
                // Word by word; the next row overwrites what is too much.
                for (to, from) in to.as_chunks_mut::<4>().0.iter_mut().zip(from.as_chunks::<4>().0) {
                    *to = *from;
                }
            } else {
                copy(
                    to.get_mut(..row_len).unwrap_or(&mut []),
                    row.get(start..).unwrap_or(&[]),
                );
            }
        }
    }
}

fn fill(to: &mut [i8], len: usize, value: i8) {
    for to in to.iter_mut().take(len) {
        *to = value;
    }
}

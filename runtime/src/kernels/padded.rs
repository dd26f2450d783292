//! Rows of input with their padding, of which a few are kept while a window moves down.

use crate::Rows;
use crate::layout::padded::{padded_row_len, rows_kept};
use crate::operator::Linear;

/// Writes a row: the first values as often as told a value, then those of a row of input, then that value again up to the
/// end. What is written is at least as long as both.
pub type CopyPadded = fn(from: &[i8], to: &mut [i8], left: usize, value: i8);

/// A ring of padded rows. Rows are numbered from the top of the padding on.
pub struct PaddedRows<'a> {
    memory: &'a mut [i8],
    /// Bytes of a row.
    row_len: usize,
    kept: usize,
    /// The first row that is not there yet, and where in the ring it goes.
    next: usize,
    next_slot: usize,
    /// Bytes of padding at the left.
    left: usize,
    /// Bytes of the input's row.
    middle: usize,
    pad_top: usize,
    zero_point: i8,
}

impl<'a> PaddedRows<'a> {
    /// No rows yet, for so many output columns; `None` if the memory does not suffice, which the model view has ruled out.
    pub fn new(linear: &Linear, input: &Rows, outputs: usize, memory: &'a mut [i8]) -> Option<Self> {
        let window = &linear.window;
        let channels = input.shape.channels as usize;
        let row_len = padded_row_len(window, outputs, channels);
        let left = (window.pad_left * channels).min(row_len);
        let kept = rows_kept(window);
        Some(Self {
            memory: memory.get_mut(..kept * row_len)?,
            row_len,
            kept,
            next: 0,
            next_slot: 0,
            left,
            middle: input.shape.row_values().min(row_len - left),
            pad_top: window.pad_top,
            zero_point: linear.input_zero_point as i8,
        })
    }

    /// Makes sure that row `first` and those after it that fit are there; rows before it are lost.
    #[inline(always)]
    pub fn advance(&mut self, input: &Rows, first: usize, copy: CopyPadded) {
        self.next = self.next.max(first);
        while self.next < first + self.kept {
            let y = self.next.wrapping_sub(self.pad_top);
            let (source, left) = if y < input.shape.height as usize {
                (input.row(y).get(..self.middle).unwrap_or(&[]), self.left)
            } else {
                (&[][..], 0)
            };
            let start = self.next_slot * self.row_len;
            if let Some(to) = self.memory.get_mut(start..start + self.row_len) {
                copy(source, to, left, self.zero_point);
            }
            self.next += 1;
            self.next_slot = if self.next_slot + 1 == self.kept {
                0
            } else {
                self.next_slot + 1
            };
        }
    }

    /// Row number `offset` after the `first` of the last [`advance`](Self::advance).
    #[inline(always)]
    pub fn row(&self, offset: usize) -> &[i8] {
        // The ring is full, so that the oldest row is where the next one goes.
        let slot = self.next_slot + offset;
        let slot = if slot >= self.kept { slot - self.kept } else { slot };
        let start = slot * self.row_len;
        self.memory.get(start..start + self.row_len).unwrap_or(&[])
    }
}

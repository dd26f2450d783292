//! Rows of input with their padding, of which a few are kept while a window moves down.

use super::copy_asm::copy_padded;
use crate::Rows;
use crate::layout::cortex_m55::{padded_row_len, rows_kept};
use crate::operator::Linear;

/// A ring of padded rows. Rows are numbered from the top of the padding on.
pub struct PaddedRows<'a> {
    memory: &'a mut [i8],
    /// Bytes of a row.
    row_len: usize,
    kept: usize,
    /// The first row that is not there yet.
    next: usize,
    /// Bytes of padding at the left.
    left: usize,
    /// Bytes of the input's row.
    middle: usize,
    pad_top: usize,
    zero_point: i32,
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
            left,
            middle: input.shape.row_values().min(row_len - left),
            pad_top: window.pad_top,
            zero_point: linear.input_zero_point,
        })
    }

    /// Makes sure that row `first` and those after it that fit are there; rows before it are lost.
    pub fn advance(&mut self, input: &Rows, first: usize) {
        self.next = self.next.max(first);
        while self.next < first + self.kept {
            let y = self.next.checked_sub(self.pad_top);
            let source = match y.filter(|y| *y < input.shape.height as usize) {
                Some(y) => input.row(y).get(..self.middle).unwrap_or(&[]),
                None => &[],
            };
            let start = self.slot(self.next) * self.row_len;
            if let Some(to) = self.memory.get_mut(start..start + self.row_len) {
                let left = if source.is_empty() { 0 } else { self.left };
                let right = to.len() - left - source.len();
                // SAFETY: the row is as long as its three parts together; a slice that is written overlaps no other.
                unsafe {
                    copy_padded(
                        source.as_ptr(),
                        to.as_mut_ptr(),
                        source.len(),
                        left,
                        right,
                        self.zero_point,
                    )
                };
            }
            self.next += 1;
        }
    }

    /// A row that is there.
    pub fn row(&self, number: usize) -> &[i8] {
        let start = self.slot(number) * self.row_len;
        self.memory.get(start..start + self.row_len).unwrap_or(&[])
    }

    fn slot(&self, number: usize) -> usize {
        number.checked_rem(self.kept).unwrap_or(0)
    }
}

//! Sizes of padded rows, which several kernel families keep in scratch memory while a window moves down.

use crate::operator::Window;

/// Padded rows that are kept: those that one output row reads, and what lies between them.
pub fn rows_kept(window: &Window) -> usize {
    window.kernel_height.saturating_sub(1) * window.dilation_height + 1
}

/// Bytes of a padded row: all columns that so many output columns read.
pub fn padded_row_len(window: &Window, outputs: usize, channels: usize) -> usize {
    let extent = window.kernel_width.saturating_sub(1) * window.dilation_width + 1;
    (outputs.saturating_sub(1) * window.stride_width + extent) * channels
}

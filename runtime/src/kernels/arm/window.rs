//! Windows of convolutions as runs of bytes.

use crate::Rows;
use crate::exec::copy;
use crate::operator::Window;

/// The inputs of output (y, x) in the order of the weights, the zero point standing for padding.
pub fn gather(window: &Window, input: &Rows, y: usize, x: usize, zero_point: i8, to: &mut [i8]) {
    let depth = (input.shape.channels as usize).max(1);
    let rows = window.kernel_rows(y, input.shape.height);
    let columns = window.kernel_columns(x, input.shape.width);
    let inside = columns.len() == window.kernel_width && window.dilation_width == 1;
    let row_len = (window.kernel_width * depth).max(1);
    for (ky, to) in to.chunks_exact_mut(row_len).enumerate() {
        if !rows.contains(&ky) {
            to.fill(zero_point);
            continue;
        }
        let row = input.row(window.input_row(y, ky));
        let from = |kx| row.get(window.input_column(x, kx) * depth..).unwrap_or(&[]);
        if inside {
            copy(to, from(0));
            continue;
        }
        for (kx, to) in to.chunks_exact_mut(depth).enumerate() {
            if columns.contains(&kx) {
                copy(to, from(kx));
            } else {
                to.fill(zero_point);
            }
        }
    }
}

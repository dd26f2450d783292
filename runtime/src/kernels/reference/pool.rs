//! Average and max pooling. `N` is the bytes of a value.

use super::{set_value, value};
use crate::operator::Pool;
use crate::{Band, Rows};

/// Channels that are pooled at a time, so that the window is walked once for all of them.
const BLOCK: usize = 32;

/// The mean of the window's values that lie within the input, rounded to the nearest, ties away from zero.
pub fn average<const N: usize>(pool: &Pool, input: &Rows, output: &mut Band) {
    let mean = |sum: i32, count: usize| {
        let count = count as i32;
        let half = if sum > 0 { count / 2 } else { -(count / 2) };
        sum.saturating_add(half).checked_div(count).unwrap_or(0)
    };
    walk::<N>(pool, input, output, 0, i32::wrapping_add, mean);
}

/// The greatest of the window's values that lie within the input.
pub fn max<const N: usize>(pool: &Pool, input: &Rows, output: &mut Band) {
    walk::<N>(pool, input, output, i32::MIN, i32::max, |greatest, _| greatest);
}

/// Folds the values of each window, starting from `start`, and finishes with how many there were.
#[inline(always)]
fn walk<const N: usize>(
    pool: &Pool,
    input: &Rows,
    output: &mut Band,
    start: i32,
    fold: impl Fn(i32, i32) -> i32,
    finish: impl Fn(i32, usize) -> i32,
) {
    let window = &pool.window;
    let pixel_bytes = input.shape.channels as usize * N;
    for (y, row) in output.rows_mut() {
        let rows = window.kernel_rows(y, input.shape.height);
        for (x, pixel) in row.chunks_exact_mut(pixel_bytes.max(1)).enumerate() {
            let columns = window.kernel_columns(x, input.shape.width);
            let count = rows.len() * columns.len();
            for (block, values) in pixel.chunks_mut(BLOCK * N).enumerate() {
                let mut folded = [start; BLOCK];
                let folded = folded.get_mut(..values.len() / N).unwrap_or_default();
                for ky in rows.clone() {
                    let source = input.row(window.input_row(y, ky));
                    for kx in columns.clone() {
                        let from = window.input_column(x, kx) * pixel_bytes + block * BLOCK * N;
                        let source = source.get(from..from + values.len()).unwrap_or(&[]);
                        for (folded, raw) in folded.iter_mut().zip(source.chunks_exact(N)) {
                            *folded = fold(*folded, value(raw));
                        }
                    }
                }
                for (to, folded) in values.chunks_exact_mut(N).zip(folded) {
                    let pooled = finish(*folded, count);
                    set_value(to, pooled.max(pool.activation_min).min(pool.activation_max));
                }
            }
        }
    }
}

//! Average and max pooling. `N` is the bytes of a value.

use super::value;
use crate::operator::Pool;
use crate::{Band, Rows};

/// Channels that are pooled at a time, so that the window is walked once for all of them.
const BLOCK: usize = 32;

/// The mean of the window's values that lie within the input, rounded to the nearest, ties away from zero.
pub fn average<const N: usize>(pool: &Pool, input: &Rows, output: &mut Band) {
    let divide = |sums: &mut [i32], count: i32| {
        for sum in sums {
            let half = if *sum > 0 { count / 2 } else { -(count / 2) };
            *sum = sum.saturating_add(half).checked_div(count).unwrap_or(0);
        }
    };
    walk::<N>(pool, input, output, 0, super::add_values::<N>, divide);
}

/// The greatest of the window's values that lie within the input.
pub fn max<const N: usize>(pool: &Pool, input: &Rows, output: &mut Band) {
    walk::<N>(pool, input, output, i32::MIN, raise::<N>, |_, _| {});
}

/// Each of `greatest` or, if that is greater, the value of the same number.
#[inline(never)]
fn raise<const N: usize>(greatest: &mut [i32], values: &[i8]) {
    for (greatest, raw) in greatest.iter_mut().zip(values.chunks_exact(N)) {
        *greatest = value(raw).max(*greatest);
    }
}

/// Folds the values of each window, starting from `start`, and finishes with how many there were.
#[inline(always)]
fn walk<const N: usize>(
    pool: &Pool,
    input: &Rows,
    output: &mut Band,
    start: i32,
    fold: fn(&mut [i32], &[i8]),
    finish: impl Fn(&mut [i32], i32),
) {
    let window = &pool.window;
    let pixel_bytes = input.shape.channels as usize * N;
    for (y, row) in output.rows_mut() {
        let rows = window.kernel_rows(y, input.shape.height);
        for (x, pixel) in row.chunks_exact_mut(pixel_bytes.max(1)).enumerate() {
            let columns = window.kernel_columns(x, input.shape.width);
            let count = (rows.len() * columns.len()) as i32;
            for (block, values) in pixel.chunks_mut(BLOCK * N).enumerate() {
                let mut folded = [start; BLOCK];
                let folded = folded.get_mut(..values.len() / N).unwrap_or_default();
                for ky in rows.clone() {
                    let source = input.row(window.input_row(y, ky));
                    for kx in columns.clone() {
                        let from = window.input_column(x, kx) * pixel_bytes + block * BLOCK * N;
                        fold(folded, source.get(from..from + values.len()).unwrap_or(&[]));
                    }
                }
                finish(folded, count);
                super::set_values::<N>(values, folded, pool.activation_min, pool.activation_max);
            }
        }
    }
}

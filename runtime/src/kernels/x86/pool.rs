//! Max pooling, average pooling and the mean over height and width.

use super::vector::Vector;
use crate::operator::{Mean, Pool};
use crate::{Band, Rows};
use core::ops::Range;

/// The 32-bit sums of the bytes of the longest vector.
type Sums = [i32; 64];

/// Rows of a max pooling.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
pub(super) unsafe fn max<V: Vector>(pool: &Pool, input: &Rows, output: &mut Band) {
    let window = &pool.window;
    let channels = output.shape.channels as usize;
    for (y, row) in output.rows_mut() {
        let rows = window.kernel_rows(y, input.shape.height);
        for (x, pixel) in row.chunks_exact_mut(channels.max(1)).enumerate() {
            let columns = window.kernel_columns(x, input.shape.width);
            for start in (0..channels).step_by(V::BYTES) {
                let len = V::BYTES.min(channels - start);
                // SAFETY: reads `len` bytes that the slice has; writes as many of the pixel's.
                unsafe {
                    let mut greatest = V::splat_8(i8::MIN);
                    for ky in rows.clone() {
                        let source = input.row(window.input_row(y, ky));
                        for kx in columns.clone() {
                            let from = window.input_column(x, kx) * channels + start;
                            if let Some(values) = source.get(from..from + len) {
                                let values = load::<V>(values.as_ptr().cast(), len);
                                greatest = greatest.max_8(values);
                            }
                        }
                    }
                    let clamped = greatest
                        .max_8(V::splat_8(pool.activation_min as i8))
                        .min_8(V::splat_8(pool.activation_max as i8));
                    clamped.store_first(pixel.as_mut_ptr().cast::<u8>().add(start), len);
                }
            }
        }
    }
}

/// Rows of an average pooling.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
pub(super) unsafe fn average<V: Vector>(pool: &Pool, input: &Rows, output: &mut Band) {
    let window = &pool.window;
    let channels = output.shape.channels as usize;
    for (y, row) in output.rows_mut() {
        let rows = window.kernel_rows(y, input.shape.height);
        for (x, pixel) in row.chunks_exact_mut(channels.max(1)).enumerate() {
            let columns = window.kernel_columns(x, input.shape.width);
            let count = (rows.len() * columns.len()) as i32;
            for (block, values) in pixel.chunks_mut(V::BYTES).enumerate() {
                let mut sums = [0; 64];
                for ky in rows.clone() {
                    let columns = window.input_column(x, columns.start)
                        ..window.input_column(x, columns.end.saturating_sub(1)) + 1;
                    let source = input.row(window.input_row(y, ky));
                    // SAFETY: the contract.
                    unsafe {
                        let at = Place {
                            first: block * V::BYTES,
                            count: values.len(),
                            channels,
                        };
                        add_pixels::<V>(&mut sums, source, columns, window.dilation_width, &at);
                    }
                }
                for (to, sum) in values.iter_mut().zip(sums) {
                    let half = if sum > 0 { count / 2 } else { -(count / 2) };
                    let mean = (sum + half).checked_div(count).unwrap_or(0);
                    *to = mean.max(pool.activation_min).min(pool.activation_max) as i8;
                }
            }
        }
    }
}

/// The mean over height and width.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
pub(super) unsafe fn mean<V: Vector>(mean: &Mean, input: &Rows, output: &mut Band) {
    let channels = input.shape.channels as usize;
    let zero = mean.input_zero_point.wrapping_mul(input.shape.pixels() as i32);
    for (block, values) in output.data.chunks_mut(V::BYTES).enumerate() {
        let mut sums = [0; 64];
        for y in 0..input.shape.height as usize {
            // SAFETY: the contract.
            unsafe {
                let at = Place {
                    first: block * V::BYTES,
                    count: values.len(),
                    channels,
                };
                add_pixels::<V>(&mut sums, input.row(y), 0..input.shape.width as usize, 1, &at);
            }
        }
        for (to, sum) in values.iter_mut().zip(sums) {
            let scaled = mean.multiplier.apply(sum.wrapping_sub(zero));
            let shifted = scaled.saturating_add(mean.output_zero_point);
            *to = shifted.max(mean.activation_min).min(mean.activation_max) as i8;
        }
    }
}

/// The channels that are summed up.
struct Place {
    first: usize,
    count: usize,
    /// Of a pixel.
    channels: usize,
}

/// Adds some columns (each `step`th) of a row to the sums, four at a time.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
unsafe fn add_pixels<V: Vector>(sums: &mut Sums, row: &[i8], columns: Range<usize>, step: usize, at: &Place) {
    if row.len() < columns.end * at.channels || at.first + at.count > at.channels || columns.is_empty() {
        return;
    }
    let pixels = (columns.end - columns.start - 1) / step.max(1) + 1;
    // SAFETY: `count` channels of columns below `end` are read, which the row has.
    unsafe {
        let sign = V::splat_8(i8::MIN);
        let ones = V::splat_8(1);
        let mut totals = [V::splat_32(0); 4];
        for first in (0..pixels).step_by(4) {
            // What is missing counts as −128, which unsigned is 0.
            let mut four = [V::splat_8(0); 4];
            for (i, values) in four.iter_mut().enumerate().take(pixels - first) {
                let from = (columns.start + (first + i) * step) * at.channels + at.first;
                *values = load::<V>(row.as_ptr().cast::<u8>().add(from), at.count).xor(sign);
            }
            let [a, b, c, d] = four;
            let (ab, cd) = (a.interleave_low_8(b), c.interleave_low_8(d));
            totals[0] = totals[0].add_dot(ab.interleave_low_16(cd), ones);
            totals[1] = totals[1].add_dot(ab.interleave_high_16(cd), ones);
            let (ab, cd) = (a.interleave_high_8(b), c.interleave_high_8(d));
            totals[2] = totals[2].add_dot(ab.interleave_low_16(cd), ones);
            totals[3] = totals[3].add_dot(ab.interleave_high_16(cd), ones);
        }
        // Lane 4l + e of total v is channel 16l + 4v + e.
        let mut lanes = [0i32; 64];
        let vector_lanes = V::BYTES / 4;
        for (vector, total) in totals.iter().enumerate() {
            total.store(lanes.as_mut_ptr().add(vector * vector_lanes).cast());
        }
        for (channel, sum) in sums.iter_mut().enumerate().take(at.count) {
            let (part, vector, lane) = (channel / 16, channel % 16 / 4, channel % 4);
            *sum += lanes[vector * vector_lanes + 4 * part + lane] - 128 * pixels as i32;
        }
    }
}

/// `len` bytes, at most a vector; zeros after them.
#[inline(always)]
unsafe fn load<V: Vector>(from: *const u8, len: usize) -> V {
    // SAFETY: the caller has `len` bytes.
    unsafe {
        if len == V::BYTES {
            V::load(from)
        } else {
            V::load_first(from, len)
        }
    }
}

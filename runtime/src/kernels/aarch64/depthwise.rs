//! Depthwise convolution, 16 (or 8) channels of a pixel at a time.

use super::requantize::{Multipliers, Output, load};
use crate::kernels::padded::PaddedRows;
use crate::kernels::reference::{arithmetic::Int8, depthwise};
use crate::layout::Layout;
use crate::layout::aarch64::{HEADER, TAPS, depthwise_group, depthwise_starts};
use crate::operator::Linear;
use crate::{Band, Rows};
use core::arch::aarch64::{
    int8x16_t, int16x8_t, int32x4_t, vaddw_high_s16, vaddw_s16, vcombine_s8, vdup_n_s8, vdupq_n_s32,
    vget_low_s8, vget_low_s16, vld1_s8, vld1q_s8, vld1q_s32, vmlal_high_s8, vmlal_s8, vmull_high_s8,
    vmull_s8, vst1_s8, vst1q_s8,
};

/// int8 activations and weights.
pub fn int8(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return depthwise::run::<Int8>(linear, input, output, scratch);
    }
    let window = &linear.window;
    let channels = output.shape.channels as usize;
    let count = window.kernel_height * window.kernel_width;
    let group = depthwise_group(channels);
    let group_len = group * (12 + count);
    let groups = linear.weights.get(HEADER..).unwrap_or(&[]);
    if groups.len() != channels.div_ceil(group) * group_len || channels < 8 || count == 0 || count > TAPS {
        return;
    }
    let Some(mut rows) = PaddedRows::new(linear, input, output.shape.width as usize, scratch) else {
        return;
    };
    let kernel = match (group, count) {
        (16, 9) => row::<16, 9>,
        (16, _) => row::<16, 0>,
        (_, 9) => row::<8, 9>,
        _ => row::<8, 0> as unsafe fn(&Job, &mut [i8]),
    };
    let mut job = Job {
        taps: [core::ptr::null(); TAPS],
        count,
        constants: core::ptr::null(),
        output: Output::new(linear),
        channels,
        step: window.stride_width * channels,
    };
    for (y, row) in output.rows_mut() {
        rows.advance(input, y * window.stride_height, |from, to, left, value| {
            let (before, rest) = to.split_at_mut_checked(left).unwrap_or_default();
            let (middle, after) = rest.split_at_mut_checked(from.len()).unwrap_or_default();
            before.fill(value);
            crate::exec::copy(middle, from);
            after.fill(value);
        });
        for (group, first) in groups.chunks_exact(group_len).zip(depthwise_starts(channels)) {
            for (ky, taps) in job
                .taps
                .chunks_exact_mut(window.kernel_width)
                .take(window.kernel_height)
                .enumerate()
            {
                let source = rows.row(ky * window.dilation_height).as_ptr().wrapping_add(first);
                for (kx, tap) in taps.iter_mut().enumerate() {
                    *tap = source.wrapping_add(kx * window.dilation_width * channels);
                }
            }
            job.constants = group.as_ptr();
            // SAFETY: from each tap on, which is in a padded row, there is a group of channels for each output pixel; the
            // constants are those of the group, and there are as many channels from the first one on.
            unsafe { kernel(&job, row.get_mut(first..).unwrap_or(&mut [])) };
        }
    }
}

/// A group of channels of an output row.
struct Job {
    /// Where the inputs of the first output pixel are.
    taps: [*const i8; TAPS],
    /// How many taps there are.
    count: usize,
    constants: *const u8,
    output: Output,
    /// Values of an output pixel.
    channels: usize,
    /// Values from a pixel's inputs to the next one's.
    step: usize,
}

/// `GROUP` channels of all pixels that are in `outputs`, which starts with the first of those. `COUNT` is the count of taps,
/// or 0 if only the job says.
///
/// # Safety
///
/// Each tap has `GROUP` values for each pixel; the constants are those of a group.
#[inline(always)]
unsafe fn row<const GROUP: usize, const COUNT: usize>(job: &Job, outputs: &mut [i8]) {
    let count = if COUNT == 0 { job.count } else { COUNT };
    let vectors: *const i32 = job.constants.cast();
    let weights: *const i8 = job.constants.wrapping_add(GROUP * 12).cast();
    // SAFETY: the constants start with three times so many numbers.
    let (bias, multipliers) = unsafe {
        if GROUP == 16 {
            (load(vectors), Multipliers::load(vectors.add(16), vectors.add(32)))
        } else {
            // The upper half of the vectors is not used.
            let zero = vdupq_n_s32(0);
            let mut padded = [0i32; 48];
            for (number, to) in padded.iter_mut().enumerate() {
                if number % 16 < 8 {
                    *to = vectors.add(number / 16 * 8 + number % 16).read_unaligned();
                }
            }
            let at = padded.as_ptr();
            (
                [vld1q_s32(vectors), vld1q_s32(vectors.add(4)), zero, zero],
                Multipliers::load(at.add(16), at.add(32)),
            )
        }
    };
    let at = |tap: usize, offset: usize| {
        // SAFETY: the caller's promise.
        unsafe {
            (
                read::<GROUP>(job.taps.get_unchecked(tap).add(offset)),
                read::<GROUP>(weights.add(tap * GROUP)),
            )
        }
    };
    for (x, to) in outputs.chunks_mut(job.channels).enumerate() {
        let offset = x * job.step;
        let mut sums = bias;
        let mut tap = 0;
        while tap + 1 < count {
            let (a, b) = (at(tap, offset), at(tap + 1, offset));
            // SAFETY: instructions on registers. The sums of two products fit, since no weight is −128.
            unsafe {
                let low = vmlal_s8(
                    vmull_s8(vget_low_s8(a.0), vget_low_s8(a.1)),
                    vget_low_s8(b.0),
                    vget_low_s8(b.1),
                );
                let high = vmlal_high_s8(vmull_high_s8(a.0, a.1), b.0, b.1);
                sums = add::<GROUP>(sums, low, high);
            }
            tap += 2;
        }
        if tap < count {
            let (values, weights) = at(tap, offset);
            // SAFETY: instructions on registers.
            unsafe {
                let low = vmull_s8(vget_low_s8(values), vget_low_s8(weights));
                sums = add::<GROUP>(sums, low, vmull_high_s8(values, weights));
            }
        }
        let values = job.output.of(sums, &multipliers);
        if let Some(to) = to.get_mut(..GROUP) {
            // SAFETY: there is room for as many values.
            unsafe {
                if GROUP == 16 {
                    vst1q_s8(to.as_mut_ptr(), values);
                } else {
                    vst1_s8(to.as_mut_ptr(), vget_low_s8(values));
                }
            }
        }
    }
}

/// Adds products of 16 channels (or of the first 8) to their sums.
#[inline(always)]
fn add<const GROUP: usize>(sums: [int32x4_t; 4], low: int16x8_t, high: int16x8_t) -> [int32x4_t; 4] {
    let [a, b, c, d] = sums;
    // SAFETY: instructions on registers.
    unsafe {
        let (a, b) = (vaddw_s16(a, vget_low_s16(low)), vaddw_high_s16(b, low));
        if GROUP == 16 {
            [a, b, vaddw_s16(c, vget_low_s16(high)), vaddw_high_s16(d, high)]
        } else {
            [a, b, c, d]
        }
    }
}

/// 16 values, or 8 and zeros.
///
/// # Safety
///
/// There are as many.
#[inline(always)]
unsafe fn read<const GROUP: usize>(from: *const i8) -> int8x16_t {
    // SAFETY: the caller's promise.
    unsafe {
        if GROUP == 16 {
            vld1q_s8(from)
        } else {
            vcombine_s8(vld1_s8(from), vdup_n_s8(0))
        }
    }
}

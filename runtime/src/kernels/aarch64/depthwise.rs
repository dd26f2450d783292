//! Depthwise convolution, eight channels of a pixel at a time.

use super::requantize::{Multipliers, Output};
use crate::kernels::reference::{arithmetic::Int8, depthwise};
use crate::layout::Layout;
use crate::layout::aarch64::{DEPTHWISE_GROUP, TAPS, depthwise_group_len};
use crate::operator::Linear;
use crate::{Band, Rows};
use core::arch::aarch64::{vaddw_high_s16, vaddw_s16, vget_low_s16, vld1_s8, vld1q_s32, vmull_s8, vst1_s8};

/// int8 activations and weights.
pub fn int8(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    let window = &linear.window;
    let (channels, taps) = (
        output.shape.channels as usize,
        window.kernel_height * window.kernel_width,
    );
    if linear.layout == Layout::Plain {
        return depthwise::run::<Int8>(linear, input, output, scratch);
    }
    let group_len = depthwise_group_len(taps);
    let Some(padding) = scratch.get_mut(..channels) else {
        return;
    };
    if linear.weights.len() != channels / DEPTHWISE_GROUP * group_len || taps > TAPS || taps == 0 {
        return;
    }
    padding.fill(linear.input_zero_point as i8);
    let rounding = Output::new(linear);
    for (y, row) in output.rows_mut() {
        let rows = window.kernel_rows(y, input.shape.height);
        for (x, pixel) in row.chunks_exact_mut(channels.max(1)).enumerate() {
            let columns = window.kernel_columns(x, input.shape.width);
            let mut sources = [&*padding; TAPS];
            for (ky, sources) in sources
                .chunks_exact_mut(window.kernel_width.max(1))
                .enumerate()
                .take(window.kernel_height)
            {
                if rows.contains(&ky) {
                    let source = input.row(window.input_row(y, ky));
                    for kx in columns.clone() {
                        let start = window.input_column(x, kx) * channels;
                        if let (Some(to), Some(values)) =
                            (sources.get_mut(kx), source.get(start..start + channels))
                        {
                            *to = values;
                        }
                    }
                }
            }
            let groups = linear
                .weights
                .chunks_exact(group_len)
                .zip(pixel.as_chunks_mut::<DEPTHWISE_GROUP>().0);
            for (group, (constants, outputs)) in groups.enumerate() {
                let at = group * DEPTHWISE_GROUP;
                let (vectors, weights): (*const i32, _) = (
                    constants.as_ptr().cast(),
                    constants.as_ptr().wrapping_add(DEPTHWISE_GROUP * 12),
                );
                // SAFETY: a group begins with 24 numbers, after which it has eight weights a tap. Sources have all channels,
                // of which eight are left, as has the output.
                unsafe {
                    let mut sums = [vld1q_s32(vectors), vld1q_s32(vectors.add(4))];
                    for (tap, source) in sources.iter().take(taps).enumerate() {
                        let products = vmull_s8(
                            vld1_s8(source.as_ptr().add(at)),
                            vld1_s8(weights.add(tap * 8).cast()),
                        );
                        sums = [
                            vaddw_s16(sums[0], vget_low_s16(products)),
                            vaddw_high_s16(sums[1], products),
                        ];
                    }
                    let multipliers = [
                        Multipliers::load(vectors.add(8), vectors.add(16)),
                        Multipliers::load(vectors.add(12), vectors.add(20)),
                    ];
                    vst1_s8(outputs.as_mut_ptr(), rounding.of(sums, &multipliers));
                }
            }
        }
    }
}

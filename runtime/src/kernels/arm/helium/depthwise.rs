//! Depthwise convolution with a 3 × 3 window.

use super::copy_asm::padded_row;
use super::depthwise_asm::{Job, rectified, signed, wide};
use crate::kernels::padded::PaddedRows;
use crate::kernels::reference::{arithmetic::Int8, depthwise};
use crate::layout::Layout;
use crate::layout::cortex_m55::{DEPTHWISE_GROUP, HEADER, VECTOR, widened_channels};
use crate::operator::Linear;
use crate::{Band, Rows};

/// int8 activations and weights.
pub fn int8(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return depthwise::run::<Int8>(linear, input, output, scratch);
    }
    let window = &linear.window;
    let channels = output.shape.channels as usize;
    let width = output.shape.width as usize;
    let widened = widened_channels(channels, window.stride_width);
    let constants = linear.weights.get(HEADER..).unwrap_or(&[]);
    let constants_len = widened.div_ceil(VECTOR) * DEPTHWISE_GROUP;
    if constants.len() != constants_len || channels == 0 || !channels.is_multiple_of(4) {
        return;
    }
    let Some(mut rows) = PaddedRows::new(linear, input, width, scratch) else {
        return;
    };
    let function = match linear.weights.first() {
        Some(1) => signed,
        Some(2) => rectified,
        _ => wide as unsafe extern "C" fn(&[*const i8; 9], &Job),
    };
    let vectors_len = widened.next_multiple_of(VECTOR);
    let pixel_step = if widened == channels {
        window.stride_width * channels
    } else {
        widened
    };
    let mut job = Job {
        channels: widened,
        constants_len,
        input_step: pixel_step as isize - vectors_len as isize,
        output_excess: vectors_len - widened,
        least: [linear.activation_min as i8; 16],
        greatest: [linear.activation_max as i8; 16],
        constants: constants.as_ptr(),
        output: output.data.as_mut_ptr(),
        zero_point: linear.output_zero_point,
        outputs: width * channels,
    };
    for (y, row) in output.rows_mut() {
        rows.advance(input, y * window.stride_height, padded_row);
        let mut taps = [core::ptr::null(); 9];
        for (ky, taps) in taps.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let source = rows.row(ky * window.dilation_height).as_ptr();
            *taps = [0, 1, 2].map(|kx| source.wrapping_add(kx * window.dilation_width * channels));
        }
        job.output = row.as_mut_ptr();
        // SAFETY: the row has as many outputs, and from each tap on a padded row has what they read; the constants are those
        // of all channels, in a section of a model, which is aligned to 16.
        unsafe { function(&taps, &job) };
    }
}

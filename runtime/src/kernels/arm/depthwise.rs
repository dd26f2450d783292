//! Depthwise convolution in the plain layout, four channels at a time: in Rust, for any window.

use crate::kernels::reference::{arithmetic::Int8, depthwise};
use crate::operator::Linear;
use crate::{Band, Rows};
use core::ops::Range;

/// int8 activations and weights.
pub fn plain(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    let channels = output.shape.channels as usize;
    if output.shape.channels != input.shape.channels {
        return depthwise::run::<Int8>(linear, input, output, scratch);
    }
    let window = &linear.window;
    for (y, row) in output.rows_mut() {
        let rows = window.kernel_rows(y, input.shape.height);
        for (x, pixel) in row.chunks_exact_mut(channels.max(1)).enumerate() {
            let columns = window.kernel_columns(x, input.shape.width);
            let taps = Taps {
                linear,
                input,
                x,
                y,
                rows: rows.clone(),
                columns,
            };
            let (fours, rest) = pixel.as_chunks_mut::<4>();
            let rest_start = fours.len() * 4;
            for (four, values) in fours.iter_mut().enumerate() {
                taps.channels(four * 4, values);
            }
            for (channel, value) in rest.iter_mut().enumerate() {
                taps.channels(rest_start + channel, core::array::from_mut(value));
            }
        }
    }
}

/// The taps of the window at one output pixel that lie within the input.
struct Taps<'a> {
    linear: &'a Linear<'a>,
    input: &'a Rows<'a>,
    x: usize,
    y: usize,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Taps<'_> {
    /// The outputs of `N` channels from `first` on.
    #[inline(always)]
    fn channels<const N: usize>(&self, first: usize, outputs: &mut [i8; N]) {
        let (linear, window) = (self.linear, &self.linear.window);
        let channels = self.input.shape.channels as usize;
        let mut sums: [i32; N] = core::array::from_fn(|channel| linear.bias(first + channel));
        for ky in self.rows.clone() {
            let row = self.input.row(window.input_row(self.y, ky));
            let start = window.input_column(self.x, self.columns.start) * channels + first;
            let weights_start = (ky * window.kernel_width + self.columns.start) * channels + first;
            let mut inputs = row.get(start..).unwrap_or(&[]);
            let mut weights = linear.weights.get(weights_start..).unwrap_or(&[]);
            for _ in self.columns.clone() {
                let (Some(x), Some(w)) = (inputs.first_chunk::<N>(), weights.first_chunk::<N>()) else {
                    break;
                };
                for ((sum, x), w) in sums.iter_mut().zip(x).zip(w) {
                    let product = (*x as i32 - linear.input_zero_point).wrapping_mul(*w as i8 as i32);
                    *sum = sum.wrapping_add(product);
                }
                inputs = inputs.get(channels * window.dilation_width..).unwrap_or(&[]);
                weights = weights.get(channels..).unwrap_or(&[]);
            }
        }
        for (channel, (output, sum)) in outputs.iter_mut().zip(sums).enumerate() {
            *output = linear.requantize(sum, first + channel) as i8;
        }
    }
}

//! Convolution, pointwise and fully connected operators: a matrix times four pixels at a time.

use super::requantize::{Multipliers, Output, load};
use crate::exec::copy;
use crate::kernels::reference::{self, arithmetic::Int8};
use crate::layout::Layout;
use crate::layout::aarch64::{GROUP, HEADER, Product as Order, pixels_at_a_time};
use crate::operator::{Linear, Window};
use crate::{Band, Rows};
use core::arch::aarch64::{int32x4_t, vst1q_s8};

/// How four pixels are multiplied by 16 channels.
pub trait Product {
    /// The order of the weights.
    const ORDER: Order;

    /// The outputs of a chunk.
    ///
    /// # Safety
    ///
    /// The processor has the instructions.
    unsafe fn chunk(chunk: &Chunk, outputs: &mut [i8]);
}

/// Pixels to be multiplied by a whole matrix.
pub struct Chunk<'a> {
    output: Output,
    /// Values of a pixel in this chunk, padded; not 0.
    depth: usize,
    /// Values of an output pixel; not 0.
    channels: usize,
    /// All groups of channels, each as long as it is to be.
    groups: &'a [u8],
    group_len: usize,
    /// A whole number of pixels.
    pixels: &'a [i8],
}

/// Multiplies all pixels of a chunk by group after group of channels; `$multiply` does that for four pixels and one group.
///
/// A macro, since only a function that has the instructions itself has such a function inlined.
macro_rules! chunk {
    ($features:literal, $multiply:path) => {
        #[target_feature(enable = $features)]
        unsafe fn chunk(chunk: &Chunk, outputs: &mut [i8]) {
            let count = chunk.count(outputs);
            for (number, group) in chunk.groups() {
                for first in (0..count).step_by(4) {
                    // SAFETY: the caller's promise; a pixel is left, the group is one of the chunk's.
                    unsafe {
                        let pixels = chunk.four_pixels(first, count);
                        let sums = $multiply(pixels, group.weights(), chunk.depth(), group.biases());
                        chunk.store(group, sums, number, first, outputs);
                    }
                }
            }
        }
    };
}
pub(super) use chunk;

impl Chunk<'_> {
    /// How many pixels there are that outputs have room for.
    #[inline(always)]
    pub fn count(&self, outputs: &[i8]) -> usize {
        (self.pixels.len() / self.depth).min(outputs.len() / self.channels)
    }

    /// Values of a pixel, padded.
    #[inline(always)]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The groups of channels with their numbers.
    #[inline(always)]
    pub fn groups(&self) -> impl Iterator<Item = (usize, Group)> {
        let groups = self.groups.chunks_exact(self.group_len);
        groups.map(|group| Group(group.as_ptr())).enumerate()
    }

    /// Where four pixels are; the last stands for those that are not.
    #[inline(always)]
    pub fn four_pixels(&self, first: usize, count: usize) -> [*const i8; 4] {
        let last = count.saturating_sub(1);
        [0, 1, 2, 3].map(|i| {
            self.pixels
                .as_ptr()
                .wrapping_add((first + i).min(last) * self.depth)
        })
    }

    /// Writes the outputs of up to four pixels' sums: those that are.
    ///
    /// # Safety
    ///
    /// The group is one of the chunk's.
    #[inline(always)]
    pub unsafe fn store(
        &self,
        group: Group,
        sums: [[int32x4_t; 4]; 4],
        number: usize,
        first: usize,
        outputs: &mut [i8],
    ) {
        // SAFETY: the caller's promise.
        let multipliers = unsafe { group.multipliers() };
        let start = number * GROUP;
        let whole = start + GROUP <= self.channels;
        for (i, sums) in sums.into_iter().enumerate() {
            let values = self.output.of(sums, &multipliers);
            let at = (first + i) * self.channels + start;
            if whole && let Some(to) = outputs.get_mut(at..at + GROUP) {
                // SAFETY: there is room for 16 values.
                unsafe { vst1q_s8(to.as_mut_ptr(), values) };
            } else if let Some(to) = outputs.get_mut(at..at + (self.channels - start).min(GROUP)) {
                let mut all = [0; GROUP];
                // SAFETY: as above.
                unsafe { vst1q_s8(all.as_mut_ptr(), values) };
                copy(to, &all);
            }
        }
    }
}

/// A group of channels: where it starts.
#[derive(Clone, Copy)]
pub struct Group(*const u8);

impl Group {
    /// The weights.
    #[inline(always)]
    pub fn weights(self) -> *const u8 {
        self.0.wrapping_add(GROUP * 12)
    }

    /// The biases.
    ///
    /// # Safety
    ///
    /// The group is whole.
    #[inline(always)]
    pub unsafe fn biases(self) -> [int32x4_t; 4] {
        // SAFETY: it starts with 48 numbers.
        unsafe { load(self.0.cast()) }
    }

    /// The multipliers and shifts.
    ///
    /// # Safety
    ///
    /// The group is whole.
    #[inline(always)]
    unsafe fn multipliers(self) -> Multipliers {
        let numbers: *const i32 = self.0.cast();
        // SAFETY: as above.
        unsafe { Multipliers::load(numbers.add(GROUP), numbers.add(2 * GROUP)) }
    }
}

/// An operator's matrix.
struct Matrix<'a> {
    chunk: Chunk<'a>,
    /// Values of a pixel.
    depth: usize,
}

impl<'a> Matrix<'a> {
    /// `None` if the constants have another size, which the model view has ruled out.
    fn new<P: Product>(linear: &'a Linear, depth: usize, channels: usize) -> Option<Self> {
        let groups = linear.weights.get(HEADER..)?;
        let group_len = P::ORDER.group_len(depth);
        let sound = depth > 0 && channels > 0 && groups.len() == channels.div_ceil(GROUP) * group_len;
        sound.then(|| Self {
            chunk: Chunk {
                output: Output::new(linear),
                depth: P::ORDER.padded_depth(depth),
                channels,
                groups,
                group_len,
                pixels: &[],
            },
            depth,
        })
    }

    /// Bytes of the outputs of the pixels that are multiplied at a time.
    fn chunk_len(&self) -> usize {
        pixels_at_a_time(self.chunk.depth) * self.chunk.channels
    }

    /// The outputs of pixels of the padded depth.
    fn multiply<P: Product>(&self, pixels: &[i8], outputs: &mut [i8]) {
        let chunk = Chunk { pixels, ..self.chunk };
        // SAFETY: a table is only used where the processor has the instructions of its kernels.
        unsafe { P::chunk(&chunk, outputs) };
    }

    /// The outputs of pixels that lie one after the other.
    fn run<P: Product>(&self, values: &[i8], outputs: &mut [i8], scratch: &mut [i8]) {
        let inputs = values.chunks(pixels_at_a_time(self.chunk.depth) * self.depth);
        for (values, outputs) in inputs.zip(outputs.chunks_mut(self.chunk_len())) {
            if self.depth == self.chunk.depth {
                self.multiply::<P>(values, outputs);
                continue;
            }
            let padded = scratch.chunks_exact_mut(self.chunk.depth);
            for (to, from) in padded.zip(values.chunks_exact(self.depth)) {
                copy(to, from);
            }
            let len = values.len() / self.depth * self.chunk.depth;
            self.multiply::<P>(scratch.get(..len).unwrap_or(&[]), outputs);
        }
    }
}

/// Pointwise convolution. Rows that lie one after the other are one run of pixels.
pub fn pointwise<P: Product>(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return reference::pointwise::run::<Int8>(linear, input, output, scratch);
    }
    let (depth, channels) = (input.shape.channels as usize, output.shape.channels as usize);
    let row_bytes = output.row_bytes().max(1);
    let Some(matrix) = Matrix::new::<P>(linear, depth, channels) else {
        return;
    };
    let (mut y, mut rest) = (output.first_row, &mut *output.data);
    while !rest.is_empty() {
        let source = input.span(y, rest.len() / row_bytes);
        let len = (source.len() / depth * channels).min(rest.len());
        let Some((now, later)) = rest.split_at_mut_checked(len).filter(|(now, _)| !now.is_empty()) else {
            return;
        };
        matrix.run::<P>(source, now, scratch);
        y += len / row_bytes;
        rest = later;
    }
}

/// Fully connected: one pixel of all values of the input.
pub fn fully_connected<P: Product>(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return reference::fully_connected::run::<Int8>(linear, input, output, scratch);
    }
    let values = input.span(0, input.shape.height as usize);
    if let Some(matrix) = Matrix::new::<P>(linear, values.len(), output.shape.channels as usize) {
        matrix.run::<P>(values, output.data, scratch);
    }
}

/// Convolution: windows are gathered, several at a time.
pub fn convolution<P: Product>(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    if linear.layout == Layout::Plain {
        return reference::convolution::run::<Int8>(linear, input, output, scratch);
    }
    let window = &linear.window;
    let depth = window.kernel_height * window.kernel_width * input.shape.channels as usize;
    let channels = output.shape.channels as usize;
    let width = output.shape.width as usize;
    let Some(matrix) = Matrix::new::<P>(linear, depth, channels) else {
        return;
    };
    let padded = matrix.chunk.depth;
    let (mut x, mut y) = (0, output.first_row);
    for outputs in output.data.chunks_mut(matrix.chunk_len()) {
        let pixels = outputs.len() / channels;
        for pixel in 0..pixels {
            let to = scratch.get_mut(pixel * padded..).unwrap_or(&mut []);
            gather(window, input, y, x, linear.input_zero_point as i8, to);
            x += 1;
            if x == width {
                (x, y) = (0, y + 1);
            }
        }
        matrix.multiply::<P>(scratch.get(..pixels * padded).unwrap_or(&[]), outputs);
    }
}

/// Copies the first `len` values; what comes after them in `to` may change.
#[inline(always)]
fn copy_first(to: &mut [i8], from: &[i8], len: usize) {
    match (to.first_chunk_mut::<16>(), from.first_chunk::<16>()) {
        (Some(to), Some(from)) if len <= 16 => *to = *from,
        _ => copy(to.get_mut(..len).unwrap_or(&mut []), from),
    }
}

/// The inputs of one output value in the order of the weights, the zero point standing for padding. What comes after them in
/// `to` may change.
fn gather(window: &Window, input: &Rows, y: usize, x: usize, zero_point: i8, to: &mut [i8]) {
    let depth = input.shape.channels as usize;
    let rows = window.kernel_rows(y, input.shape.height);
    let columns = window.kernel_columns(x, input.shape.width);
    let inside = columns.len() == window.kernel_width && window.dilation_width == 1;
    let row_len = window.kernel_width * depth;
    for ky in 0..window.kernel_height {
        let to = to.get_mut(ky * row_len..).unwrap_or(&mut []);
        if !rows.contains(&ky) {
            to.get_mut(..row_len).unwrap_or(&mut []).fill(zero_point);
            continue;
        }
        let row = input.row(window.input_row(y, ky));
        let from = |kx| row.get(window.input_column(x, kx) * depth..).unwrap_or(&[]);
        if inside {
            copy_first(to, from(0), row_len);
            continue;
        }
        for kx in 0..window.kernel_width {
            let to = to.get_mut(kx * depth..).unwrap_or(&mut []);
            if columns.contains(&kx) {
                copy_first(to, from(kx), depth);
            } else {
                to.get_mut(..depth).unwrap_or(&mut []).fill(zero_point);
            }
        }
    }
}

//! Convolution, pointwise and fully connected operators as a product of matrices: prepared inputs (a row for each pixel)
//! times packed weights ([`x86_gemm`](crate::layout::x86_gemm)).
//!
//! Pixels go in tiles of as many as registers can accumulate for 32 output channels (16 with 256-bit vectors). Inputs are
//! prepared tile by tile, made unsigned on the way: for each 64 bytes of inputs, those of each pixel of the tile, so that
//! all of a tile's addresses are one pointer and a constant. A panel of weights is used for all tiles of a block before
//! the next is read.

use super::requantize::Output;
use super::vector::Vector;
use crate::layout::x86::{GROUP, GroupConstants};
use crate::layout::x86_gemm::{CHUNK, DEPTH_STEP, PANEL, block_pixels, panel_weights, pixel_len};
use crate::operator::Linear;
use crate::{Band, Rows};

/// The largest tile of any instruction set.
const MAX_TILE: usize = 14;
/// What makes a signed byte unsigned.
const SIGN: i8 = -128;

/// Rows of a pointwise convolution.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
pub(super) unsafe fn pointwise<V: Vector>(
    linear: &Linear,
    input: &Rows,
    output: &mut Band,
    scratch: &mut [i8],
) {
    let depth = input.shape.channels as usize;
    let gather = |y: usize, x: usize, _: &mut [u8]| {
        let values = input.row(y).get(x * depth..(x + 1) * depth)?;
        Some(values.as_ptr().cast())
    };
    // SAFETY: the contract; `gather` returns a pointer to `depth` values.
    unsafe { product::<V>(linear, depth, output, scratch, gather) };
}

/// The outputs of a fully connected operator.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
pub(super) unsafe fn fully_connected<V: Vector>(
    linear: &Linear,
    input: &Rows,
    output: &mut Band,
    scratch: &mut [i8],
) {
    let depth = input.shape.values();
    let gather = |_: usize, _: usize, _: &mut [u8]| {
        let values = input.span(0, input.shape.height as usize).get(..depth)?;
        Some(values.as_ptr().cast())
    };
    // SAFETY: the contract; `gather` returns a pointer to `depth` values.
    unsafe { product::<V>(linear, depth, output, scratch, gather) };
}

/// Rows of a convolution.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
pub(super) unsafe fn convolution<V: Vector>(
    linear: &Linear,
    input: &Rows,
    output: &mut Band,
    scratch: &mut [i8],
) {
    let window = &linear.window;
    let channels = input.shape.channels as usize;
    let depth = window.kernel_height * window.kernel_width * channels;
    let padding = linear.input_zero_point as u8;
    let gather = |y: usize, x: usize, values: &mut [u8]| {
        let rows = window.kernel_rows(y, input.shape.height);
        let columns = window.kernel_columns(x, input.shape.width);
        if rows.len() < window.kernel_height || columns.len() < window.kernel_width {
            values.fill(padding);
        }
        for ky in rows {
            let row = input.row(window.input_row(y, ky));
            let to = (ky * window.kernel_width + columns.start) * channels;
            if window.dilation_width == 1 {
                let from = window.input_column(x, columns.start) * channels;
                let len = columns.len() * channels;
                // SAFETY: the processor has the instruction set.
                unsafe { copy::<V>(values.get_mut(to..to + len)?, row.get(from..from + len)?) };
            } else {
                for (i, kx) in columns.clone().enumerate() {
                    let from = window.input_column(x, kx) * channels;
                    let to = values.get_mut(to + i * channels..to + (i + 1) * channels)?;
                    // SAFETY: the processor has the instruction set.
                    unsafe { copy::<V>(to, row.get(from..from + channels)?) };
                }
            }
        }
        Some(values.as_ptr())
    };
    // SAFETY: the contract; `gather` returns a pointer to `depth` values.
    unsafe { product::<V>(linear, depth, output, scratch, gather) };
}

/// Copies a few bytes without calling a function.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
unsafe fn copy<V: Vector>(to: &mut [u8], from: &[i8]) {
    let len = to.len().min(from.len());
    for start in (0..len).step_by(V::BYTES) {
        // SAFETY: reads and writes the slices' bytes from `start` on, at most to the end of the shorter.
        unsafe {
            let values = V::load_first(from.as_ptr().add(start).cast(), len - start);
            values.store_first(to.as_mut_ptr().add(start), len - start);
        }
    }
}

/// `gather(y, x, window)` returns a pointer to the `depth` inputs of an output pixel, for which it may use `window`
/// (`depth` bytes), or `None` if the input is not what it should be; the output is left as it is then.
///
/// # Safety
///
/// The processor has `V`'s instruction set, and what `gather` returns is valid until it is called again.
#[inline(always)]
unsafe fn product<V: Vector>(
    linear: &Linear,
    depth: usize,
    output: &mut Band,
    scratch: &mut [i8],
    gather: impl Fn(usize, usize, &mut [u8]) -> Option<*const u8>,
) -> Option<()> {
    let channels = output.shape.channels as usize;
    let width = output.shape.width as usize;
    let pixels = output.rows * width;
    let groups = channels.div_ceil(GROUP);
    let packed = groups * (GroupConstants::SIZE + panel_weights(depth, 1));
    let block = block_pixels(depth).min(output.shape.pixels());
    let aligned = scratch.as_ptr().align_offset(CHUNK);
    let scratch = scratch.get_mut(aligned..)?;
    let fits = linear.weights.len() == packed
        && output.data.len() >= pixels * channels
        && scratch.len() >= block * pixel_len(depth) + depth
        && depth > 0;
    if !fits {
        // Never so in a model: its view has checked it.
        return None;
    }
    let (prepared, window) = scratch.split_at_mut(block * pixel_len(depth));
    let (prepared, window) = (prepared.as_mut_ptr().cast::<u8>(), &mut window[..depth]);
    // SAFETY: the same bytes, unsigned.
    let window = unsafe { core::slice::from_raw_parts_mut(window.as_mut_ptr().cast::<u8>(), depth) };
    let (mut y, mut x) = (output.first_row, 0);
    let mut first_pixel = 0;
    while first_pixel < pixels {
        let count = block.min(pixels - first_pixel);
        let tiles = Tiles::of(count, V::TILE);
        for (first, len) in tiles.iter() {
            for i in 0..len {
                let values = gather(y, x, window)?;
                // SAFETY: pixel `first + i` is below `block`, for which there is room.
                unsafe { prepare::<V>(values, depth, prepared.add(first * pixel_len(depth)), i, len) };
                x += 1;
                if x == width {
                    (y, x) = (y + 1, 0);
                }
            }
        }
        // SAFETY: `count` pixels are prepared, and the output has room for them from `first_pixel` on.
        unsafe {
            let to = output.data.as_mut_ptr().cast::<u8>().add(first_pixel * channels);
            multiply_block::<V>(linear, depth, channels, prepared, tiles, to);
        }
        first_pixel += count;
    }
    Some(())
}

/// A number of pixels cut into tiles of nearly the same size.
#[derive(Clone, Copy)]
struct Tiles {
    count: usize,
    len: usize,
    /// So many of the first have one more.
    longer: usize,
}

impl Tiles {
    fn of(pixels: usize, greatest: usize) -> Self {
        let count = pixels.div_ceil(greatest);
        Self {
            count,
            len: pixels.checked_div(count).unwrap_or(0),
            longer: pixels.checked_rem(count).unwrap_or(0),
        }
    }

    /// The first pixel and the number of pixels of each tile.
    #[inline(always)]
    fn iter(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.count).map(move |tile| {
            let first = tile * self.len + tile.min(self.longer);
            (first, self.len + (tile < self.longer) as usize)
        })
    }
}

/// Copies the inputs of pixel `i` of a tile of `len` pixels to their places, made unsigned.
///
/// # Safety
///
/// `from` has `depth` bytes; the tile has room for `len × pixel_len(depth)`.
#[inline(always)]
unsafe fn prepare<V: Vector>(from: *const u8, depth: usize, tile: *mut u8, i: usize, len: usize) {
    // SAFETY: reads stay within `depth`, writes within the pixel's piece of each chunk.
    unsafe {
        let sign = V::splat_8(SIGN);
        let (mut at, mut to) = (0, tile.add(i * CHUNK));
        while at + CHUNK <= depth {
            for part in (0..CHUNK).step_by(V::BYTES) {
                V::load(from.add(at + part)).xor(sign).store(to.add(part));
            }
            at += CHUNK;
            to = to.add(len * CHUNK);
        }
        if at < depth {
            for part in (0..CHUNK).step_by(V::BYTES) {
                let left = depth.saturating_sub(at + part);
                if left > 0 {
                    V::load_first(from.add(at + part), left)
                        .xor(sign)
                        .store(to.add(part));
                }
            }
        }
    }
}

/// Multiplies prepared pixels with all weights.
///
/// # Safety
///
/// `prepared` holds the tiles, `linear.weights` a block of this layout, and `to` has room for all pixels.
#[inline(always)]
unsafe fn multiply_block<V: Vector>(
    linear: &Linear,
    depth: usize,
    channels: usize,
    prepared: *const u8,
    tiles: Tiles,
    to: *mut u8,
) {
    let steps = depth.div_ceil(DEPTH_STEP);
    let mut panel = linear.weights.as_ptr();
    // SAFETY: the sum over panels of what is read is the block's length, which the caller has checked; a tile's sums fit
    // the largest tile; outputs stay below `channels` of each pixel.
    unsafe {
        let output = Output::<V>::of(linear);
        let mut sums = [V::splat_32(0); 2 * MAX_TILE];
        for first_channel in (0..channels).step_by(PANEL) {
            let groups = if channels - first_channel > GROUP { 2 } else { 1 };
            let weights = panel.add(groups * GroupConstants::SIZE);
            for half in 0..64 / V::BYTES {
                let width = groups * V::BYTES / 4;
                let channel = first_channel + half * width;
                if channel >= channels {
                    break;
                }
                for (first, len) in tiles.iter() {
                    let tile = Tile {
                        inputs: prepared.add(first * pixel_len(depth)),
                        steps,
                        constants: panel.add(half * V::BYTES),
                        weights: weights.add(half * V::BYTES),
                    };
                    tile.multiply(len, groups, &mut sums);
                    let to = to.add(first * channels + channel);
                    let valid = width.min(channels - channel);
                    if groups == 2 {
                        finish_pairs(&output, &sums, panel, half, len, to, channels, valid);
                    } else {
                        finish_single(&output, &sums, panel, half, len, to, channels, valid);
                    }
                }
            }
            panel = weights.add(panel_weights(depth, groups));
        }
    }
}

/// What the innermost loop reads.
struct Tile {
    inputs: *const u8,
    steps: usize,
    constants: *const u8,
    weights: *const u8,
}

impl Tile {
    /// The sums of `len` pixels and one or two groups of channels: those of each pixel together.
    #[inline(always)]
    unsafe fn multiply<V: Vector>(&self, len: usize, groups: usize, sums: &mut [V; 2 * MAX_TILE]) {
        macro_rules! sizes {
            ($($size:literal)*) => {
                // SAFETY: the caller's; tiles are no longer than V::TILE, so only those sizes are compiled in.
                match (len, groups) {
                    $(($size, 2) if $size <= V::TILE => unsafe { self.multiply_size::<V, $size, 2>(sums) },)*
                    $(($size, 1) if $size <= V::TILE => unsafe { self.multiply_size::<V, $size, 1>(sums) },)*
                    _ => {}
                }
            };
        }
        sizes!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }

    #[inline(always)]
    unsafe fn multiply_size<V: Vector, const PIXELS: usize, const GROUPS: usize>(
        &self,
        sums: &mut [V; 2 * MAX_TILE],
    ) {
        // SAFETY: the inputs are `steps` steps of four bytes for each pixel, in chunks; the weights likewise.
        unsafe {
            let bias: [V; GROUPS] =
                core::array::from_fn(|group| V::load(self.constants.add(group * GroupConstants::SIZE)));
            let mut tile = [bias; PIXELS];
            let (mut inputs, mut weights, mut left) = (self.inputs, self.weights, self.steps);
            while left > 0 {
                let steps = left.min(CHUNK / DEPTH_STEP);
                let mut at = inputs;
                for _ in 0..steps {
                    let columns: [V; GROUPS] = core::array::from_fn(|group| V::load(weights.add(group * 64)));
                    for (pixel, sums) in tile.iter_mut().enumerate() {
                        let values = V::splat_from(at.add(pixel * CHUNK));
                        for (sum, weights) in sums.iter_mut().zip(columns) {
                            *sum = sum.add_dot(values, weights);
                        }
                    }
                    at = at.add(DEPTH_STEP);
                    weights = weights.add(GROUPS * 64);
                }
                inputs = inputs.add(PIXELS * CHUNK);
                left -= steps;
            }
            for pixel in 0..PIXELS {
                for group in 0..GROUPS {
                    sums[pixel * GROUPS + group] = tile[pixel][group];
                }
            }
        }
    }
}

/// Requantizes and writes the first `valid` channels of a tile's pixels, two groups a pixel.
///
/// # Safety
///
/// `constants` are those of two groups, and `to` has room for `valid` bytes every `channels` bytes.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn finish_pairs<V: Vector>(
    output: &Output<V>,
    sums: &[V; 2 * MAX_TILE],
    constants: *const u8,
    half: usize,
    pixels: usize,
    to: *mut u8,
    channels: usize,
    valid: usize,
) {
    // SAFETY: the contract.
    unsafe {
        let scaled = |pixel: usize, group: usize| {
            let constants = constants.add(group * GroupConstants::SIZE);
            output.scale(sums[2 * pixel + group], constants, half)
        };
        for pixel in (0..pixels).step_by(2) {
            let next = (pixel + 1).min(pixels - 1);
            let pack = output.pack([
                scaled(pixel, 0),
                scaled(pixel, 1),
                scaled(next, 0),
                scaled(next, 1),
            ]);
            let both = pack.unzip_64();
            let (first, second) = (to.add(pixel * channels), to.add(next * channels));
            if valid == V::BYTES / 2 {
                both.store_low_half(first);
                both.high_half().store_low_half(second);
            } else {
                both.store_first(first, valid);
                both.high_half().store_first(second, valid);
            }
        }
    }
}

/// As [`finish_pairs`], one group a pixel.
///
/// # Safety
///
/// As [`finish_pairs`].
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn finish_single<V: Vector>(
    output: &Output<V>,
    sums: &[V; 2 * MAX_TILE],
    constants: *const u8,
    half: usize,
    pixels: usize,
    to: *mut u8,
    channels: usize,
    valid: usize,
) {
    // SAFETY: the contract; `packed` has room for a vector, and four of its bytes in each 16 are used.
    unsafe {
        for (pixel, sums) in sums.iter().enumerate().take(pixels) {
            let scaled = output.scale(*sums, constants, half);
            let mut packed = [0u8; 64];
            output.pack([scaled; 4]).store(packed.as_mut_ptr());
            let to = to.add(pixel * channels);
            for channel in (0..valid).step_by(4) {
                let from = packed.as_ptr().add(channel * 4);
                core::ptr::copy_nonoverlapping(from, to.add(channel), (valid - channel).min(4));
            }
        }
    }
}

//! Convolution, pointwise and fully connected operators as a product of matrices: prepared inputs (a row for each pixel)
//! times packed weights ([`x86_gemm`](crate::layout::x86_gemm)).
//!
//! Pixels go in tiles of as many as registers can accumulate for 32 output channels (16 with 256-bit vectors). Inputs are
//! prepared tile by tile, made unsigned on the way: for each 64 bytes of inputs, those of each pixel of the tile, so that
//! all of a tile's addresses are one pointer and a constant. Pixels of no more than 64 inputs that follow each other are
//! only made unsigned. A panel of weights is used for all tiles of a block before the next is read.

use super::amx;
use super::gather::{Everything, Order, Pixels, Place, Source, Windows};
use super::multiply::multiply_block;
use super::pairs;
use super::vector::Vector;
use crate::layout::x86::{GROUP, GroupConstants};
use crate::layout::x86_gemm::{CHUNK, Pairs, block_pixels, panel_weights, panels, pixel_len};
use crate::operator::Linear;
use crate::{Band, Rows, Shape};

/// Pixels of a tile that is multiplied while another is requantized: fewer, since both need registers.
pub(super) const OVERLAP: usize = 10;
/// Pixels of a tile with single groups of channels: fours, which are requantized together.
const SINGLES: usize = 12;
/// The greatest depth at which requantization takes enough of the time for that.
const OVERLAP_DEPTH: usize = 512;

/// Rows of a pointwise convolution; `MATRIX` says that [`amx`] may multiply.
///
/// # Safety
///
/// The processor has `V`'s instruction set, and AMX for `MATRIX`.
#[inline(always)]
pub(super) unsafe fn pointwise<V: Vector, const MATRIX: bool>(
    linear: &Linear,
    input: &Rows,
    output: &mut Band,
    scratch: &mut [i8],
) {
    let depth = input.shape.channels as usize;
    let width = output.shape.width as usize;
    let all = input.span(output.first_row, output.rows);
    // SAFETY: the contract.
    unsafe {
        if all.len() == output.rows * width * depth {
            // Rows that lie one after the other are as good as one row.
            let pixels = output.rows * width;
            let row = Rows::whole(
                all,
                Shape {
                    height: 1,
                    width: pixels as u32,
                    ..input.shape
                },
                input.element,
            );
            product::<V, _, MATRIX>(
                linear,
                depth,
                (0, pixels),
                output,
                scratch,
                Pixels { input: &row, depth },
            );
        } else {
            let rows = (output.first_row, width);
            product::<V, _, MATRIX>(linear, depth, rows, output, scratch, Pixels { input, depth });
        }
    }
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
    // SAFETY: the contract.
    unsafe {
        product::<V, _, false>(
            linear,
            depth,
            (0, 1),
            output,
            scratch,
            Everything { input, depth },
        )
    };
}

/// Rows of a convolution; `MATRIX` says that [`amx`] may multiply.
///
/// # Safety
///
/// The processor has `V`'s instruction set, and AMX for `MATRIX`.
#[inline(always)]
pub(super) unsafe fn convolution<V: Vector, const MATRIX: bool>(
    linear: &Linear,
    input: &Rows,
    output: &mut Band,
    scratch: &mut [i8],
) {
    let channels = input.shape.channels as usize;
    let depth = linear.window.kernel_height * linear.window.kernel_width * channels;
    let rows = (output.first_row, output.shape.width as usize);
    let windows = Windows {
        linear,
        input,
        channels,
        depth,
    };
    // SAFETY: the contract.
    unsafe { product::<V, _, MATRIX>(linear, depth, rows, output, scratch, windows) };
}

/// The product of prepared inputs and weights. The output's pixels go by the source's rows, from the first one on, of so
/// many pixels each.
///
/// # Safety
///
/// The processor has `V`'s instruction set, and AMX for `MATRIX`.
#[inline(always)]
unsafe fn product<V: Vector, S: Source, const MATRIX: bool>(
    linear: &Linear,
    depth: usize,
    (first_row, width): (usize, usize),
    output: &mut Band,
    scratch: &mut [i8],
    source: S,
) -> Option<()> {
    let channels = output.shape.channels as usize;
    let pixels = output.rows * output.shape.width as usize;
    let groups = channels.div_ceil(GROUP);
    let packed = groups * (GroupConstants::SIZE + panel_weights(depth, 1));
    let block = block_pixels(depth).min(pixels);
    let aligned = scratch.as_ptr().align_offset(CHUNK);
    let prepared = scratch.get_mut(aligned..)?;
    let fits = linear.weights.len() == packed
        && output.data.len() >= pixels * channels
        && prepared.len() >= block * pixel_len(depth)
        && depth > 0;
    if !fits {
        // Never so in a model: its view has checked it.
        return None;
    }
    let mut walk = Walk {
        y: first_row,
        x: 0,
        width,
    };
    if V::PAIRS && Pairs::of(depth, pixels).block > 0 {
        // SAFETY: `fits`, and the contract.
        return unsafe { pairs::product::<V, S>(linear, depth, walk, output, prepared, source) };
    }
    let prepared = prepared.as_mut_ptr().cast::<u8>();
    let matrix = MATRIX && amx::is_worthwhile(depth, pixels);
    let shallow = !matrix && V::OVERLAPS && depth <= CHUNK;
    let pairs = panels(channels).any(|(_, groups)| groups == 2);
    let overlap = !matrix && V::OVERLAPS && S::CONTIGUOUS && depth <= OVERLAP_DEPTH && pairs;
    for first_pixel in (0..pixels).step_by(block) {
        let pixels = block.min(pixels - first_pixel);
        let tiles = if shallow {
            // One is as good as any number.
            Tiles::full(pixels, pixels)
        } else if overlap {
            Tiles::full(pixels, OVERLAP)
        } else if !matrix && V::OVERLAPS && !pairs {
            Tiles::full(pixels, SINGLES)
        } else {
            Tiles::of(pixels, if matrix { amx::TILE } else { V::TILE })
        };
        for (first, len) in tiles.iter() {
            let order = if shallow && S::CONTIGUOUS {
                Order::by_pixels(depth)
            } else {
                Order::by_chunks(len)
            };
            // SAFETY: the tile is within the block, for which there is room, even with pixels padded to whole chunks.
            let tile = unsafe { prepared.add(first * pixel_len(depth)) };
            // SAFETY: the tile has room for `len` pixels.
            unsafe { walk.fill::<V, S>(&source, tile, len, order) }?;
        }
        // SAFETY: the tiles are prepared, and the output has room for them from `first_pixel` on.
        unsafe {
            let to = output.data.as_mut_ptr().cast::<u8>().add(first_pixel * channels);
            if matrix {
                amx::multiply_block::<V>(linear, depth, channels, prepared, tiles, to);
            } else {
                multiply_block::<V, S>(linear, depth, channels, prepared, tiles, overlap, to);
            }
        }
    }
    Some(())
}

/// The next output pixel to prepare inputs for; pixels go by rows of so many.
pub(super) struct Walk {
    y: usize,
    x: usize,
    width: usize,
}

impl Walk {
    /// Prepares the inputs of the next `len` pixels, or returns `None` if the input is not what it should be.
    ///
    /// # Safety
    ///
    /// The processor has `V`'s instruction set; the tile has room for so many pixels.
    #[inline(always)]
    pub unsafe fn fill<V: Vector, S: Source>(
        &mut self,
        source: &S,
        tile: *mut u8,
        len: usize,
        order: Order,
    ) -> Option<()> {
        let mut first = 0;
        while first < len {
            let count = (len - first).min(self.width - self.x);
            // SAFETY: the contract.
            unsafe { source.fill::<V>(self.y, self.x, count, Place { tile, first, order }) }?;
            (first, self.x) = (first + count, self.x + count);
            if self.x == self.width {
                (self.y, self.x) = (self.y + 1, 0);
            }
        }
        Some(())
    }
}

/// A number of pixels cut into tiles.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pub pixels: usize,
    count: usize,
    len: usize,
    /// So many of the last have one more.
    longer: usize,
}

impl Tiles {
    /// Tiles of nearly the same size.
    fn of(pixels: usize, greatest: usize) -> Self {
        let count = pixels.div_ceil(greatest);
        Self {
            pixels,
            count,
            len: pixels.checked_div(count).unwrap_or(0),
            longer: pixels.checked_rem(count).unwrap_or(0),
        }
    }

    /// Tiles of one size, but for the last.
    pub fn full(pixels: usize, len: usize) -> Self {
        Self {
            pixels,
            count: pixels.div_ceil(len),
            len,
            longer: 0,
        }
    }

    /// The greatest number of pixels of a tile.
    pub fn greatest(self) -> usize {
        self.len + (self.longer > 0) as usize
    }

    /// The first pixel and the number of pixels of each tile.
    #[inline(always)]
    pub fn iter(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.count).map(move |tile| {
            let longer_before = (tile + self.longer).saturating_sub(self.count);
            let first = tile * self.len + longer_before;
            let len = self.len + (tile + self.longer >= self.count) as usize;
            (first, len.min(self.pixels - first))
        })
    }
}

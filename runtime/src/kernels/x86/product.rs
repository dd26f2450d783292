//! Convolution, pointwise and fully connected operators as a product of matrices: prepared inputs (a row for each pixel)
//! times packed weights ([`x86_gemm`](crate::layout::x86_gemm)).
//!
//! Pixels go in tiles of as many as registers can accumulate for 32 output channels (16 with 256-bit vectors). Inputs are
//! prepared tile by tile, made unsigned on the way: for each 64 bytes of inputs, those of each pixel of the tile, so that
//! all of a tile's addresses are one pointer and a constant. A panel of weights is used for all tiles of a block before
//! the next is read.

use super::amx;
use super::requantize::{ANY, CLAMPED, Output, SIGNED, Scales};
use super::vector::Vector;
use crate::layout::x86::{GROUP, GroupConstants, MAX_KERNEL};
use crate::layout::x86_gemm::{CHUNK, DEPTH_STEP, PANEL, block_pixels, panel_weights, pixel_len};
use crate::operator::Linear;
use crate::{Band, Rows, Shape};
use core::ops::Range;

/// The largest tile of any instruction set.
const MAX_TILE: usize = 14;
/// The rows of the greatest window of a convolution.
const MAX_ROWS: usize = MAX_KERNEL;
/// Steps of the depth in a chunk.
const STEPS: usize = CHUNK / DEPTH_STEP;
/// Pixels of a tile that is multiplied while another is requantized: fewer, since both need registers.
const OVERLAP: usize = 10;
/// The greatest depth at which requantization takes enough of the time for that.
const OVERLAP_DEPTH: usize = 512;
/// What makes a signed byte unsigned.
const SIGN: i8 = -128;

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

/// Where prepared pixels go.
#[derive(Clone, Copy)]
struct Place {
    /// Where their tile starts.
    tile: *mut u8,
    /// The first pixel's number in the tile.
    first: usize,
    /// Pixels of the tile.
    len: usize,
}

/// Where prepared inputs come from. (A trait, not closures: a closure that is not inlined loses the target features.)
trait Source {
    /// Whether preparing small tiles costs no more than preparing large ones.
    const SMALL_TILES: bool;

    /// Prepares the inputs of `count` output pixels of one row, or returns `None` if the input is not what it should be;
    /// the output is left as it is then.
    ///
    /// # Safety
    ///
    /// The processor has `V`'s instruction set; the place's tile has room for all its pixels.
    unsafe fn fill<V: Vector>(&self, y: usize, x: usize, count: usize, place: Place) -> Option<()>;
}

/// Every output pixel reads the input pixel at its place.
struct Pixels<'a> {
    input: &'a Rows<'a>,
    depth: usize,
}

impl Source for Pixels<'_> {
    const SMALL_TILES: bool = true;

    #[inline(always)]
    unsafe fn fill<V: Vector>(&self, y: usize, x: usize, count: usize, place: Place) -> Option<()> {
        let values = self.input.row(y).get(x * self.depth..(x + count) * self.depth)?;
        // SAFETY: `count` pixels of `depth` values, and the contract.
        unsafe { prepare::<V>(values.as_ptr().cast(), self.depth, count, place) };
        Some(())
    }
}

/// The one output pixel reads the whole input.
struct Everything<'a> {
    input: &'a Rows<'a>,
    depth: usize,
}

impl Source for Everything<'_> {
    const SMALL_TILES: bool = false;

    #[inline(always)]
    unsafe fn fill<V: Vector>(&self, _: usize, _: usize, count: usize, place: Place) -> Option<()> {
        let height = self.input.shape.height as usize;
        let values = self.input.span(0, height).get(..count * self.depth)?;
        // SAFETY: one pixel of `depth` values, and the contract.
        unsafe { prepare::<V>(values.as_ptr().cast(), self.depth, count, place) };
        Some(())
    }
}

/// Every output pixel reads a window of the input.
struct Windows<'a> {
    linear: &'a Linear<'a>,
    input: &'a Rows<'a>,
    channels: usize,
    depth: usize,
}

impl Source for Windows<'_> {
    const SMALL_TILES: bool = false;

    #[inline(always)]
    unsafe fn fill<V: Vector>(&self, y: usize, x: usize, count: usize, place: Place) -> Option<()> {
        let window = &self.linear.window;
        let row_len = window.kernel_width * self.channels;
        let rows = window.kernel_rows(y, self.input.shape.height);
        let inner = self.inner_columns();
        let inner = inner.start.clamp(x, x + count)..inner.end.clamp(x, x + count);
        for start in (0..self.depth).step_by(V::BYTES) {
            let end = (start + V::BYTES).min(self.depth);
            // The window's rows that this part of it touches.
            let first = rows.start.max(start / row_len);
            let rows = first..rows.end.min((end - 1) / row_len + 1);
            let mut sources = [&[][..]; MAX_ROWS];
            let sources = sources.get_mut(..rows.len())?;
            for (source, ky) in sources.iter_mut().zip(rows.clone()) {
                *source = self.input.row(window.input_row(y, ky));
            }
            let (chunk, part) = (start / CHUNK * CHUNK, start % CHUNK);
            let to = place
                .tile
                .wrapping_add(chunk * place.len + part + place.first * CHUNK);
            let part = Part {
                sources,
                first: rows.start,
                start,
                end,
            };
            for column in (x..inner.start).chain(inner.end..x + count) {
                // SAFETY: the place has room.
                unsafe { self.gather::<V>(&part, column, to.add((column - x) * CHUNK)) }?;
            }
            if !inner.is_empty() {
                // SAFETY: the columns read the whole width of the window, and the place has room.
                unsafe { self.gather_inner::<V>(&part, inner.clone(), to.add((inner.start - x) * CHUNK)) }?;
            }
        }
        Some(())
    }
}

/// The bytes `start..end` of a window.
struct Part<'a> {
    /// The input rows that it touches.
    sources: &'a [&'a [i8]],
    /// Which row of the window the first of them is.
    first: usize,
    start: usize,
    end: usize,
}

impl Windows<'_> {
    /// The output columns whose window lies within the input's columns in one piece; none if the window is dilated.
    fn inner_columns(&self) -> Range<usize> {
        let window = &self.linear.window;
        let width = self.input.shape.width as usize + window.pad_left;
        if window.dilation_width != 1 || width < window.kernel_width {
            return 0..0;
        }
        let start = window.pad_left.div_ceil(window.stride_width);
        start..((width - window.kernel_width) / window.stride_width + 1).max(start)
    }

    /// Part of the window of any output column.
    ///
    /// # Safety
    ///
    /// The processor has `V`'s instruction set, and there is room for a vector.
    #[inline(always)]
    unsafe fn gather<V: Vector>(&self, part: &Part, x: usize, to: *mut u8) -> Option<()> {
        let window = &self.linear.window;
        let row_len = window.kernel_width * self.channels;
        let columns = window.kernel_columns(x, self.input.shape.width);
        // What lies in one piece in the input: rows of the window, or with dilation single pixels.
        let (pieces, len) = match window.dilation_width {
            1 => (columns.start..columns.start + 1, columns.len() * self.channels),
            _ => (columns, self.channels),
        };
        // SAFETY: what is read lies within a row of the input; the rest is the contract.
        unsafe {
            let mut values = V::splat_8(self.linear.input_zero_point as i8);
            for kx in pieces {
                let at = window.input_column(x, kx) * self.channels;
                for (ky, source) in (part.first..).zip(part.sources) {
                    let piece = ky * row_len + kx * self.channels;
                    let (from, to) = (piece.max(part.start), (piece + len).min(part.end));
                    if from < to {
                        let at = at + from - piece;
                        let source = source.get(at..at + to - from)?.as_ptr().cast();
                        values = values.replace_between(source, from - part.start, to - part.start);
                    }
                }
            }
            values.xor(V::splat_8(SIGN)).store(to);
        }
        Some(())
    }

    /// Part of the windows of [inner columns](Self::inner_columns), one after the other.
    ///
    /// # Safety
    ///
    /// The processor has `V`'s instruction set, and there is room for a vector every [`CHUNK`] bytes.
    #[inline(always)]
    unsafe fn gather_inner<V: Vector>(&self, part: &Part, columns: Range<usize>, to: *mut u8) -> Option<()> {
        let window = &self.linear.window;
        let row_len = window.kernel_width * self.channels;
        let first = (columns.start * window.stride_width - window.pad_left) * self.channels;
        let last = (columns.end - 1) * window.stride_width - window.pad_left;
        let step = window.stride_width * self.channels;
        // Where a piece begins in the input, and where it lies in the vector.
        let mut pieces = [(core::ptr::null::<u8>(), 0, 0); MAX_ROWS];
        let pieces = pieces.get_mut(..part.sources.len())?;
        // Bytes from where the first column's piece begins to the end of its row: the least of all pieces.
        let mut room = usize::MAX;
        for ((ky, source), piece) in (part.first..).zip(part.sources).zip(pieces.iter_mut()) {
            let row = ky * row_len;
            let (from, to) = (row.max(part.start), (row + row_len).min(part.end));
            source.get(..last * self.channels + row_len)?;
            let at = first + from - row;
            room = room.min(source.len() - at);
            let at = source.as_ptr().cast::<u8>().wrapping_add(at);
            *piece = (at, from - part.start, to - part.start);
        }
        // SAFETY: each column reads within its rows, up to the last column's end; the rest is the contract.
        unsafe {
            let sign = V::splat_8(SIGN);
            let zero = V::splat_8(self.linear.input_zero_point as i8);
            if let [(from, 0, len)] = *pieces
                && len == V::BYTES
            {
                for i in 0..columns.len() {
                    V::load(from.add(i * step)).xor(sign).store(to.add(i * CHUNK));
                }
                return Some(());
            }
            // Pieces that follow each other are copied as short vectors, each over what the one before it has too much, as
            // long as such vectors lie within the input's rows.
            let short = <V::Half as Vector>::BYTES;
            let mut end = 0;
            let follow = pieces.iter().all(|(_, start, stop)| {
                let follows = *start == end && start + short <= V::BYTES && stop - start <= short;
                end = *stop;
                follows
            });
            let copied = if follow && end == part.end - part.start {
                columns.len().min((room + step).saturating_sub(short) / step)
            } else {
                0
            };
            let sign_short = V::Half::splat_8(SIGN);
            for (from, start, _) in pieces.iter() {
                let (mut from, mut to) = (*from, to.add(*start));
                for _ in 0..copied {
                    V::Half::load(from).xor(sign_short).store(to);
                    from = from.wrapping_add(step);
                    to = to.wrapping_add(CHUNK);
                }
            }
            for i in copied..columns.len() {
                let mut values = zero;
                for (from, start, end) in pieces.iter() {
                    values = values.replace_between(from.add(i * step), *start, *end);
                }
                values.xor(sign).store(to.add(i * CHUNK));
            }
        }
        Some(())
    }
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
    let prepared = prepared.as_mut_ptr().cast::<u8>();
    let matrix = MATRIX && amx::is_worthwhile(depth, pixels);
    let overlap = !matrix && V::OVERLAPS && S::SMALL_TILES && depth <= OVERLAP_DEPTH && channels > GROUP;
    let (mut y, mut x) = (first_row, 0);
    for first_pixel in (0..pixels).step_by(block) {
        let pixels = block.min(pixels - first_pixel);
        let tiles = if overlap {
            Tiles::full(pixels, OVERLAP)
        } else {
            Tiles::of(pixels, if matrix { amx::TILE } else { V::TILE })
        };
        for (first, len) in tiles.iter() {
            // SAFETY: the tile is within the block, for which there is room.
            let tile = unsafe { prepared.add(first * pixel_len(depth)) };
            let mut first = 0;
            while first < len {
                let count = (len - first).min(width - x);
                // SAFETY: the tile has room for `len` pixels.
                unsafe { source.fill::<V>(y, x, count, Place { tile, first, len }) }?;
                (first, x) = (first + count, x + count);
                if x == width {
                    (y, x) = (y + 1, 0);
                }
            }
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

/// A number of pixels cut into tiles.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pixels: usize,
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
    fn full(pixels: usize, len: usize) -> Self {
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

/// Copies the inputs of `count` pixels, which lie one after the other, to their places, made unsigned.
///
/// # Safety
///
/// `from` has `count × depth` bytes; the tile has room for all its pixels.
#[inline(always)]
unsafe fn prepare<V: Vector>(from: *const u8, depth: usize, count: usize, place: Place) {
    // SAFETY: reads stay within each pixel's `depth`, writes within its piece of each chunk.
    unsafe {
        let sign = V::splat_8(SIGN);
        for start in (0..depth).step_by(V::BYTES) {
            let (chunk, part) = (start / CHUNK * CHUNK, start % CHUNK);
            let mut to = place.tile.add(chunk * place.len + place.first * CHUNK + part);
            let mut from = from.add(start);
            let whole = start + V::BYTES <= depth;
            for _ in 0..count {
                let values = if whole {
                    V::load(from)
                } else {
                    V::load_first(from, depth - start)
                };
                values.xor(sign).store(to);
                to = to.add(CHUNK);
                from = from.add(depth);
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
#[allow(clippy::too_many_arguments)]
unsafe fn multiply_block<V: Vector, S: Source>(
    linear: &Linear,
    depth: usize,
    channels: usize,
    prepared: *const u8,
    tiles: Tiles,
    overlap: bool,
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
                let mut done = 0;
                if V::OVERLAPS && S::SMALL_TILES && overlap && groups == 2 {
                    let panel = Panel {
                        prepared,
                        pixel_len: pixel_len(depth),
                        steps,
                        constants: panel,
                        half,
                        tiles,
                        to: to.add(channel),
                        channels,
                        valid: width.min(channels - channel),
                    };
                    done = panel.multiply_overlapped(&output, &mut sums);
                }
                for (first, len) in tiles.iter().skip(done) {
                    let tile = Tile {
                        inputs: prepared.add(first * pixel_len(depth)),
                        steps,
                        constants: panel.add(half * V::BYTES),
                        weights: weights.add(half * V::BYTES),
                    };
                    tile.multiply(len, groups, &mut sums);
                    let destination = Destination {
                        to: to.add(first * channels + channel),
                        pixels: len,
                        channels,
                        valid: width.min(channels - channel),
                    };
                    if groups == 2 {
                        finish_pairs(&output, &sums, panel, half, destination);
                    } else {
                        finish_single(&output, &sums, panel, half, destination);
                    }
                }
            }
            panel = weights.add(panel_weights(depth, groups));
        }
    }
}

/// A panel of two groups of channels and the tiles of pixels that it is multiplied with.
struct Panel {
    prepared: *const u8,
    pixel_len: usize,
    steps: usize,
    constants: *const u8,
    half: usize,
    tiles: Tiles,
    /// The first of the panel's channels of the first pixel.
    to: *mut u8,
    channels: usize,
    valid: usize,
}

impl Panel {
    /// Computes the tiles of [`OVERLAP`] pixels, each while the one before it is requantized, and returns how many: none if
    /// the multipliers need the general formula.
    ///
    /// # Safety
    ///
    /// As [`multiply_block`].
    #[inline(always)]
    unsafe fn multiply_overlapped<V: Vector>(
        &self,
        output: &Output<V>,
        sums: &mut [V; 2 * MAX_TILE],
    ) -> usize {
        // SAFETY: the contract.
        unsafe {
            let first = Scales::load(self.constants, self.half);
            let second = Scales::load(self.constants.add(GroupConstants::SIZE), self.half);
            let pair = PairScales {
                output,
                first: &first,
                second: &second,
            };
            match output.formula([&first, &second]) {
                CLAMPED => self.multiply_overlapped_by::<V, CLAMPED>(pair, sums),
                SIGNED => self.multiply_overlapped_by::<V, SIGNED>(pair, sums),
                _ => 0,
            }
        }
    }

    /// As [`multiply_overlapped`](Self::multiply_overlapped), by one formula.
    #[inline(always)]
    unsafe fn multiply_overlapped_by<V: Vector, const FORMULA: u8>(
        &self,
        pair: PairScales<V>,
        sums: &mut [V; 2 * MAX_TILE],
    ) -> usize {
        let mut before: Option<Destination> = None;
        let full = self.tiles.pixels / OVERLAP;
        // SAFETY: the contract.
        unsafe {
            for tile in 0..full {
                let first = tile * OVERLAP;
                let destination = Destination {
                    to: self.to.add(first * self.channels),
                    pixels: OVERLAP,
                    channels: self.channels,
                    valid: self.valid,
                };
                let tile = Tile {
                    inputs: self.prepared.add(first * self.pixel_len),
                    steps: self.steps,
                    constants: self.constants.add(self.half * V::BYTES),
                    weights: self
                        .constants
                        .add(2 * GroupConstants::SIZE + self.half * V::BYTES),
                };
                match before {
                    None => tile.multiply_size::<V, OVERLAP, 2>(sums),
                    Some(before) => tile.multiply_while_finishing::<V, FORMULA>(sums, pair, before),
                }
                before = Some(destination);
            }
            if let Some(before) = before {
                for pixel in (0..OVERLAP).step_by(2) {
                    finish_pair::<V, FORMULA, _>(pair, sums, pixel, pixel + 1, before);
                }
            }
        }
        full
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

    /// Multiplies a tile of [`OVERLAP`] pixels and two groups. In between, requantizes and writes the sums of the tile before
    /// it, which are then replaced: multiplication and requantization mostly wait for different parts of the processor,
    /// which does not look far enough ahead to find the one behind the other by itself.
    ///
    /// # Safety
    ///
    /// As [`multiply_block`]; there is room for the tile before at its destination.
    #[inline(always)]
    unsafe fn multiply_while_finishing<V: Vector, const FORMULA: u8>(
        &self,
        sums: &mut [V; 2 * MAX_TILE],
        pair: PairScales<V>,
        before: Destination,
    ) {
        // SAFETY: the inputs are `steps` steps of four bytes for each pixel, in chunks; the weights likewise.
        unsafe {
            let bias = [
                V::load(self.constants),
                V::load(self.constants.add(GroupConstants::SIZE)),
            ];
            let mut tile = [bias; OVERLAP];
            let mut weights = self.weights;
            let mut step = 0;
            for turn in 0..OVERLAP / 2 {
                let end = self.steps * (turn + 1) / (OVERLAP / 2);
                while step < end {
                    let (chunk, within) = (step / STEPS, step % STEPS);
                    let at = self.inputs.add(chunk * OVERLAP * CHUNK + within * DEPTH_STEP);
                    let columns = [V::load(weights), V::load(weights.add(64))];
                    for (pixel, sums) in tile.iter_mut().enumerate() {
                        let values = V::splat_from(at.add(pixel * CHUNK));
                        for (sum, weights) in sums.iter_mut().zip(columns) {
                            *sum = sum.add_dot(values, weights);
                        }
                    }
                    weights = weights.add(2 * 64);
                    step += 1;
                }
                finish_pair::<V, FORMULA, _>(pair, sums, 2 * turn, 2 * turn + 1, before);
            }
            for (pixel, tile) in tile.iter().enumerate() {
                sums[2 * pixel] = tile[0];
                sums[2 * pixel + 1] = tile[1];
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply_size<V: Vector, const PIXELS: usize, const GROUPS: usize>(
        &self,
        sums: &mut [V; 2 * MAX_TILE],
    ) {
        // SAFETY: the inputs are `steps` steps of four bytes for each pixel, in chunks; the weights likewise.
        unsafe {
            let mut bias = [V::splat_32(0); GROUPS];
            for (group, bias) in bias.iter_mut().enumerate() {
                *bias = V::load(self.constants.add(group * GroupConstants::SIZE));
            }
            let mut tile = [bias; PIXELS];
            let (mut inputs, mut weights, mut left) = (self.inputs, self.weights, self.steps);
            while left > 0 {
                let steps = left.min(STEPS);
                let mut at = inputs;
                for _ in 0..steps {
                    let mut columns = bias;
                    for (group, column) in columns.iter_mut().enumerate() {
                        *column = V::load(weights.add(group * 64));
                    }
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

/// Where a tile's outputs go.
#[derive(Clone, Copy)]
pub(super) struct Destination {
    /// The first channel of the first pixel.
    pub to: *mut u8,
    /// Pixels of the tile.
    pub pixels: usize,
    /// Channels of a pixel.
    pub channels: usize,
    /// How many channels are written.
    pub valid: usize,
}

/// Requantizes and writes a tile's pixels, two groups a pixel.
///
/// # Safety
///
/// `constants` are those of two groups; there is room for `valid` bytes every `channels` bytes.
#[inline(always)]
unsafe fn finish_pairs<V: Vector>(
    output: &Output<V>,
    sums: &[V; 2 * MAX_TILE],
    constants: *const u8,
    half: usize,
    destination: Destination,
) {
    // SAFETY: the contract.
    unsafe {
        // Read once: the compiler cannot know that writing outputs leaves the constants as they are.
        let first = Scales::load(constants, half);
        let second = Scales::load(constants.add(GroupConstants::SIZE), half);
        let pair = PairScales {
            output,
            first: &first,
            second: &second,
        };
        match output.formula([&first, &second]) {
            CLAMPED => finish_pairs_by::<V, CLAMPED>(pair, sums, destination),
            SIGNED => finish_pairs_by::<V, SIGNED>(pair, sums, destination),
            _ => finish_pairs_by::<V, ANY>(pair, sums, destination),
        }
    }
}

/// The multipliers of two groups.
#[derive(Clone, Copy)]
pub(super) struct PairScales<'a, V: Vector> {
    pub output: &'a Output<V>,
    pub first: &'a Scales<V>,
    pub second: &'a Scales<V>,
}

/// As [`finish_pairs`], by one formula.
#[inline(always)]
unsafe fn finish_pairs_by<V: Vector, const FORMULA: u8>(
    pair: PairScales<V>,
    sums: &[V; 2 * MAX_TILE],
    destination: Destination,
) {
    let pixels = destination.pixels;
    for pixel in (0..pixels).step_by(2) {
        let next = (pixel + 1).min(pixels - 1);
        // SAFETY: the caller's contract.
        unsafe { finish_pair::<V, FORMULA, _>(pair, sums, pixel, next, destination) };
    }
}

/// As [`finish_pairs`], two pixels by one formula.
#[inline(always)]
pub(super) unsafe fn finish_pair<V: Vector, const FORMULA: u8, const LEN: usize>(
    PairScales {
        output,
        first,
        second,
    }: PairScales<V>,
    sums: &[V; LEN],
    pixel: usize,
    next: usize,
    Destination {
        to, channels, valid, ..
    }: Destination,
) {
    // SAFETY: the caller's contract.
    unsafe {
        let packed = output.pack([
            output.scale::<FORMULA>(sums[2 * pixel], first),
            output.scale::<FORMULA>(sums[2 * pixel + 1], second),
            output.scale::<FORMULA>(sums[2 * next], first),
            output.scale::<FORMULA>(sums[2 * next + 1], second),
        ]);
        let both = packed.unzip_64(output.orders);
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

/// As [`finish_pairs`], one group a pixel.
///
/// # Safety
///
/// As [`finish_pairs`].
#[inline(always)]
pub(super) unsafe fn finish_single<V: Vector, const LEN: usize>(
    output: &Output<V>,
    sums: &[V; LEN],
    constants: *const u8,
    half: usize,
    destination: Destination,
) {
    // SAFETY: the contract.
    unsafe {
        let scales = Scales::load(constants, half);
        match output.formula([&scales, &scales]) {
            CLAMPED => finish_single_by::<V, CLAMPED, LEN>(output, sums, scales, destination),
            SIGNED => finish_single_by::<V, SIGNED, LEN>(output, sums, scales, destination),
            _ => finish_single_by::<V, ANY, LEN>(output, sums, scales, destination),
        }
    }
}

/// As [`finish_single`], by one formula.
#[inline(always)]
unsafe fn finish_single_by<V: Vector, const FORMULA: u8, const LEN: usize>(
    output: &Output<V>,
    sums: &[V; LEN],
    scales: Scales<V>,
    Destination {
        to,
        pixels,
        channels,
        valid,
    }: Destination,
) {
    // SAFETY: the caller's contract; `bytes` has room for a vector, of which each pixel has a quarter.
    unsafe {
        let quarter = V::BYTES / 4;
        for first in (0..pixels).step_by(4) {
            let mut scaled = [sums[first]; 4];
            for (i, scaled) in scaled.iter_mut().enumerate() {
                *scaled = output.scale::<FORMULA>(sums[(first + i).min(pixels - 1)], &scales);
            }
            let packed = output.pack(scaled);
            let mut bytes = [0u8; 64];
            packed.unzip_32(output.orders).store(bytes.as_mut_ptr());
            for i in 0..(pixels - first).min(4) {
                let (from, to) = (bytes.as_ptr().add(i * quarter), to.add((first + i) * channels));
                if valid == quarter {
                    core::ptr::copy_nonoverlapping(from, to, quarter);
                } else {
                    core::ptr::copy_nonoverlapping(from, to, valid);
                }
            }
        }
    }
}

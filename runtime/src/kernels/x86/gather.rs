//! Inputs of matrix products: those of each output pixel gathered, made unsigned, and put in the order that
//! [`product`](super::product) multiplies them in.

use super::vector::Vector;
use crate::Rows;
use crate::layout::x86::MAX_KERNEL;
use crate::layout::x86_gemm::CHUNK;
use crate::operator::Linear;
use core::ops::Range;

/// The rows of the greatest window of a convolution.
const MAX_ROWS: usize = MAX_KERNEL;
/// What makes a signed byte unsigned.
const SIGN: i8 = -128;

/// How prepared inputs lie.
#[derive(Clone, Copy)]
pub(super) struct Order {
    /// Bytes from one pixel to the next.
    pub pixel: usize,
    /// Bytes from one chunk of a pixel to its next.
    pub chunk: usize,
}

impl Order {
    /// For each chunk, those of all pixels of a tile, so that all of the tile's addresses are one pointer and a constant.
    pub fn by_chunks(tile: usize) -> Self {
        Self {
            pixel: CHUNK,
            chunk: tile * CHUNK,
        }
    }

    /// One pixel after another, as in the input.
    pub fn by_pixels(depth: usize) -> Self {
        Self {
            pixel: depth,
            chunk: CHUNK,
        }
    }
}

/// Where prepared pixels go.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Where their tile starts.
    pub tile: *mut u8,
    /// The first pixel's number in the tile.
    pub first: usize,
    pub order: Order,
}

/// Where prepared inputs come from. (A trait, not closures: a closure that is not inlined loses the target features.)
pub(super) trait Source {
    /// Whether the inputs of each pixel follow those of the pixel before it, so that they can be prepared
    /// [by pixels](Order::by_pixels).
    const CONTIGUOUS: bool;

    /// Prepares the inputs of `count` output pixels of one row, or returns `None` if the input is not what it should be;
    /// the output is left as it is then.
    ///
    /// # Safety
    ///
    /// The processor has `V`'s instruction set; the place's tile has room for all its pixels.
    unsafe fn fill<V: Vector>(&self, y: usize, x: usize, count: usize, place: Place) -> Option<()>;
}

/// Every output pixel reads the input pixel at its place.
pub(super) struct Pixels<'a> {
    pub input: &'a Rows<'a>,
    pub depth: usize,
}

impl Source for Pixels<'_> {
    const CONTIGUOUS: bool = true;

    #[inline(always)]
    unsafe fn fill<V: Vector>(&self, y: usize, x: usize, count: usize, place: Place) -> Option<()> {
        let values = self.input.row(y).get(x * self.depth..(x + count) * self.depth)?;
        // SAFETY: `count` pixels of `depth` values, and the contract.
        unsafe { prepare::<V>(values.as_ptr().cast(), self.depth, count, place) };
        Some(())
    }
}

/// The one output pixel reads the whole input.
pub(super) struct Everything<'a> {
    pub input: &'a Rows<'a>,
    pub depth: usize,
}

impl Source for Everything<'_> {
    const CONTIGUOUS: bool = true;

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
pub(super) struct Windows<'a> {
    pub linear: &'a Linear<'a>,
    pub input: &'a Rows<'a>,
    pub channels: usize,
    pub depth: usize,
}

impl Source for Windows<'_> {
    const CONTIGUOUS: bool = false;

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
                .wrapping_add(chunk / CHUNK * place.order.chunk + part + place.first * CHUNK);
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
            if V::Half::BYTES < V::BYTES
                && self.depth <= V::Half::BYTES
                && let [a, b, c] = *pieces
            {
                // Three rows of a window in one short vector.
                let sign = V::Half::splat_8(SIGN);
                let zero = V::Half::splat_8(self.linear.input_zero_point as i8);
                for i in 0..columns.len() {
                    let at = i * step;
                    zero.replace_between(a.0.wrapping_add(at), a.1, a.2)
                        .replace_between(b.0.wrapping_add(at), b.1, b.2)
                        .replace_between(c.0.wrapping_add(at), c.1, c.2)
                        .xor(sign)
                        .store(to.add(i * CHUNK));
                }
                return Some(());
            }
            // Pieces that follow each other are copied as short vectors, each over what the one before it has too much, as
            // long as such vectors lie within the input's rows. What the last one has too much is before the chunk's end.
            let left = CHUNK - part.start % CHUNK;
            let mut end = 0;
            let follow = pieces.iter().all(|(_, start, stop)| {
                let follows = *start == end && start + V::SHORT <= left && stop - start <= V::SHORT;
                end = *stop;
                follows
            });
            let copied = if follow && end == part.end - part.start {
                columns.len().min((room + step).saturating_sub(V::SHORT) / step)
            } else {
                0
            };
            for (from, start, _) in pieces.iter() {
                let (mut from, mut to) = (*from, to.add(*start));
                for _ in 0..copied {
                    V::copy_short(from, to, SIGN);
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

/// Copies the inputs of `count` pixels, which lie one after the other, to their places, made unsigned.
///
/// # Safety
///
/// The processor has `V`'s instruction set; `from` has `count × depth` bytes, and the tile has room for all its pixels.
#[inline(always)]
unsafe fn prepare<V: Vector>(from: *const u8, depth: usize, count: usize, place: Place) {
    // SAFETY: reads stay within each pixel's `depth`, writes within as much by pixels, else within its piece of each chunk.
    unsafe {
        let sign = V::splat_8(SIGN);
        if place.order.pixel == depth {
            let (len, to) = (count * depth, place.tile.add(place.first * depth));
            let whole = len / V::BYTES * V::BYTES;
            for at in (0..whole).step_by(V::BYTES) {
                V::load(from.add(at)).xor(sign).store(to.add(at));
            }
            if whole < len {
                let rest = V::load_first(from.add(whole), len - whole);
                rest.xor(sign).store_first(to.add(whole), len - whole);
            }
            return;
        }
        for start in (0..depth).step_by(V::BYTES) {
            let (chunk, part) = (start / CHUNK * CHUNK, start % CHUNK);
            let mut to = place
                .tile
                .add(chunk / CHUNK * place.order.chunk + place.first * CHUNK + part);
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

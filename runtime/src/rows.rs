//! What kernels read and write: rows of tensors in the arena.

use crate::{Element, Shape};

/// An input of a kernel: a tensor's rows as the arena holds them, seen around the band that is being written.
///
/// Rows that the running step does not need may hold anything; rows that overlap the written band read as empty.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The arena below the written band.
    pub(crate) below: &'a [i8],
    /// The arena above the written band.
    pub(crate) above: &'a [i8],
    /// Where `above` starts in the arena.
    pub(crate) above_start: usize,
    /// Where the ring starts in the arena.
    pub(crate) offset: usize,
    /// Rows in the ring.
    pub(crate) ring_rows: usize,
    /// Bytes of a row.
    pub(crate) row_bytes: usize,
    /// The shape of the whole tensor.
    pub shape: Shape,
    /// The type of the values.
    pub element: Element,
}

impl<'a> Rows<'a> {
    /// A whole tensor that lies in a slice by itself, for tests and benches of kernels.
    pub fn whole(values: &'a [i8], shape: Shape, element: Element) -> Self {
        Self {
            below: values,
            above: &[],
            above_start: values.len(),
            offset: 0,
            ring_rows: shape.height as usize,
            row_bytes: shape.row_values() * element.bytes(),
            shape,
            element,
        }
    }

    /// No tensor.
    pub(crate) const EMPTY: Rows<'static> = Rows {
        below: &[],
        above: &[],
        above_start: 0,
        offset: 0,
        ring_rows: 1,
        row_bytes: 0,
        shape: Shape::new(0, 0, 0),
        element: Element::Int8,
    };

    /// Row `y`: `width × channels` values, as bytes.
    #[inline]
    pub fn row(&self, y: usize) -> &'a [i8] {
        self.slice(y, self.row_bytes)
    }

    /// Rows from `y` on that lie one after the other, at most `rows` of them and at least one, as one slice.
    #[inline]
    pub fn span(&self, y: usize, rows: usize) -> &'a [i8] {
        let until_wrap = self.ring_rows - self.slot(y);
        self.slice(y, self.row_bytes * rows.min(until_wrap))
    }

    #[inline]
    fn slot(&self, y: usize) -> usize {
        if y < self.ring_rows {
            y
        } else {
            y.checked_rem(self.ring_rows).unwrap_or(0)
        }
    }

    #[inline]
    fn slice(&self, y: usize, len: usize) -> &'a [i8] {
        let start = self.offset + self.slot(y) * self.row_bytes;
        if let Some(bytes) = self.below.get(start..start + len) {
            return bytes;
        }
        let Some(start) = start.checked_sub(self.above_start) else {
            return &[];
        };
        self.above.get(start..start + len).unwrap_or(&[])
    }
}

/// An output of a kernel: consecutive rows to be computed, one after the other.
#[derive(Debug)]
pub struct Band<'a> {
    /// `rows × width × channels` values, as bytes.
    pub data: &'a mut [i8],
    /// The first row to compute.
    pub first_row: usize,
    /// How many rows to compute.
    pub rows: usize,
    /// The shape of the whole tensor.
    pub shape: Shape,
    /// The type of the values.
    pub element: Element,
}

impl Band<'_> {
    /// Bytes of a row.
    #[inline]
    pub fn row_bytes(&self) -> usize {
        self.shape.row_values() * self.element.bytes()
    }

    /// The rows to compute with their numbers.
    #[inline]
    pub fn rows_mut(&mut self) -> impl Iterator<Item = (usize, &mut [i8])> {
        // A row of no bytes cannot be: the model view refuses empty shapes.
        let row_bytes = self.row_bytes().max(1);
        (self.first_row..).zip(self.data.chunks_exact_mut(row_bytes))
    }
}

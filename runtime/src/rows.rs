//! What kernels read and write: rows of tensors in the arena.

use crate::{Element, Shape};

/// An input of a kernel: a tensor's rows as the arena holds them, seen around the band that is being written.
///
/// Rows that the running step does not need may hold anything; rows that overlap the written band read as empty.
///
/// ```
/// use sepconv::{Element, Rows, Shape};
/// let values = [1, 2, 3, 4, 5, 6];
/// let rows = Rows::whole(&values, Shape::new(3, 1, 2), Element::Int8);
/// assert_eq!(rows.row(1), [3, 4]);
/// ```
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
    ///
    /// ```
    /// use sepconv::{Element, Rows, Shape};
    /// let rows = Rows::whole(&[1, 2, 3, 4], Shape::new(2, 1, 2), Element::Int8);
    /// assert_eq!((rows.row(0), rows.row(1)), (&[1, 2][..], &[3, 4][..]));
    /// ```
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
    ///
    /// ```
    /// use sepconv::{Element, Rows, Shape};
    /// let rows = Rows::whole(&[1, 2, 3, 4], Shape::new(1, 2, 1), Element::Int16);
    /// assert_eq!(rows.row(0).len(), 4); // two values of two bytes
    /// ```
    #[inline]
    pub fn row(&self, y: usize) -> &'a [i8] {
        self.slice(y, self.row_bytes)
    }

    /// Rows from `y` on that lie one after the other, at most `rows` of them and at least one, as one slice.
    ///
    /// ```
    /// use sepconv::{Element, Rows, Shape};
    /// let values = [1, 2, 3, 4, 5, 6];
    /// let rows = Rows::whole(&values, Shape::new(3, 1, 2), Element::Int8);
    /// assert_eq!(rows.span(1, 2), [3, 4, 5, 6]);
    /// ```
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
///
/// ```
/// use sepconv::{Band, Element, Shape};
/// let mut data = [0; 4];
/// let mut band = Band { data: &mut data, first_row: 6, rows: 2, shape: Shape::new(9, 1, 2), element: Element::Int8 };
/// for (y, row) in band.rows_mut() {
///     row.fill(y as i8);
/// }
/// assert_eq!(data, [6, 6, 7, 7]);
/// ```
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
    ///
    /// ```
    /// use sepconv::{Band, Element, Shape};
    /// let mut data = [0; 4];
    /// let band = Band { data: &mut data, first_row: 6, rows: 2, shape: Shape::new(9, 1, 2), element: Element::Int8 };
    /// assert_eq!(band.row_bytes(), 2);
    /// ```
    #[inline]
    pub fn row_bytes(&self) -> usize {
        self.shape.row_values() * self.element.bytes()
    }

    /// The rows to compute with their numbers.
    ///
    /// ```
    /// use sepconv::{Band, Element, Shape};
    /// let mut data = [0; 4];
    /// let mut band = Band { data: &mut data, first_row: 6, rows: 2, shape: Shape::new(9, 1, 2), element: Element::Int8 };
    /// let numbers: Vec<usize> = band.rows_mut().map(|(y, _)| y).collect();
    /// assert_eq!(numbers, [6, 7]);
    /// ```
    #[inline]
    pub fn rows_mut(&mut self) -> impl Iterator<Item = (usize, &mut [i8])> {
        // A row of no bytes cannot be: the model view refuses empty shapes.
        let row_bytes = self.row_bytes().max(1);
        (self.first_row..).zip(self.data.chunks_exact_mut(row_bytes))
    }
}

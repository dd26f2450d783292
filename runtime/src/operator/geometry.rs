//! Which input rows an output row needs.

use super::Operator;
use crate::Shape;
use core::ops::Range;

/// The geometry of a sliding window. Output (y, x) reads input rows `y × stride_height − pad_top + k × dilation_height`
/// for k in `0..kernel_height`, and columns likewise; what lies outside the input is padding.
///
/// ```
/// use sepconv::operator::Window;
/// let window = Window { kernel_height: 3, kernel_width: 3, pad_top: 1, pad_left: 1, ..Window::UNIT };
/// assert_eq!(window.kernel_rows(0, 8), 1..3); // the first row of the window lies above the image
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows of the window.
    pub kernel_height: usize,
    /// Columns of the window.
    pub kernel_width: usize,
    /// Input rows from one output row to the next.
    pub stride_height: usize,
    /// Input columns from one output column to the next.
    pub stride_width: usize,
    /// Input rows from one row of the window to the next.
    pub dilation_height: usize,
    /// Input columns from one column of the window to the next.
    pub dilation_width: usize,
    /// Rows of padding above the input.
    pub pad_top: usize,
    /// Columns of padding left of the input.
    pub pad_left: usize,
}

impl Window {
    /// One element, moved by one.
    pub const UNIT: Window = Window {
        kernel_height: 1,
        kernel_width: 1,
        stride_height: 1,
        stride_width: 1,
        dilation_height: 1,
        dilation_width: 1,
        pad_top: 0,
        pad_left: 0,
    };

    /// The rows of the window that lie within an input of `height` rows, for output row `y`. The others are padding.
    ///
    /// ```
    /// use sepconv::operator::Window;
    /// let window = Window { kernel_height: 3, kernel_width: 3, pad_top: 1, pad_left: 1, ..Window::UNIT };
    /// assert_eq!((window.kernel_rows(0, 8), window.kernel_rows(4, 8), window.kernel_rows(7, 8)), (1..3, 0..3, 0..2));
    /// ```
    #[inline]
    pub fn kernel_rows(&self, y: usize, height: u32) -> Range<usize> {
        let origin = y * self.stride_height;
        within(
            origin,
            self.kernel_height,
            self.dilation_height,
            self.pad_top,
            height,
        )
    }

    /// The columns of the window that lie within an input of `width` columns, for output column `x`.
    ///
    /// ```
    /// use sepconv::operator::Window;
    /// let window = Window { kernel_height: 3, kernel_width: 3, pad_top: 1, pad_left: 1, ..Window::UNIT };
    /// assert_eq!(window.kernel_columns(0, 8), 1..3);
    /// ```
    #[inline]
    pub fn kernel_columns(&self, x: usize, width: u32) -> Range<usize> {
        let origin = x * self.stride_width;
        within(
            origin,
            self.kernel_width,
            self.dilation_width,
            self.pad_left,
            width,
        )
    }

    /// The input row that row `k` of the window reads for output row `y`; `k` is one of
    /// [`kernel_rows`](Self::kernel_rows).
    ///
    /// ```
    /// use sepconv::operator::Window;
    /// let window = Window { kernel_height: 3, kernel_width: 3, pad_top: 1, pad_left: 1, ..Window::UNIT };
    /// assert_eq!(window.input_row(5, 0), 4);
    /// ```
    #[inline]
    pub fn input_row(&self, y: usize, k: usize) -> usize {
        (y * self.stride_height + k * self.dilation_height).saturating_sub(self.pad_top)
    }

    /// The input column that column `k` of the window reads for output column `x`; `k` is one of
    /// [`kernel_columns`](Self::kernel_columns).
    ///
    /// ```
    /// use sepconv::operator::Window;
    /// let window = Window { kernel_height: 3, kernel_width: 3, pad_top: 1, pad_left: 1, ..Window::UNIT };
    /// assert_eq!(window.input_column(5, 2), 6);
    /// ```
    #[inline]
    pub fn input_column(&self, x: usize, k: usize) -> usize {
        (x * self.stride_width + k * self.dilation_width).saturating_sub(self.pad_left)
    }

    /// The input rows `from..to` within `0..height` that output rows `first..first + rows` read.
    fn rows(&self, first: usize, rows: usize, height: usize) -> (usize, usize) {
        let from = (first * self.stride_height).saturating_sub(self.pad_top);
        let last = (first + rows).saturating_sub(1) * self.stride_height
            + self.kernel_height.saturating_sub(1) * self.dilation_height;
        (
            (from).min(height),
            (last + 1).saturating_sub(self.pad_top).min(height),
        )
    }
}

/// The taps k of a window for which `pad <= origin + k * dilation < pad + limit`. (Not inlined, so that flash holds it once.)
#[inline(never)]
fn within(origin: usize, kernel: usize, dilation: usize, pad: usize, limit: u32) -> Range<usize> {
    let first_at_or_after = |position: usize| {
        let distance = position.saturating_sub(origin);
        if dilation == 1 {
            distance
        } else {
            distance.div_ceil(dilation.max(1))
        }
    };
    let end = first_at_or_after(pad + limit as usize).min(kernel);
    first_at_or_after(pad).min(end)..end
}

/// The rows `from..to` of input number `number` (of shape `input`) that an operator reads to compute rows
/// `first..first + rows` of its output. Operators that mix all rows read all of them.
///
/// ```
/// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
/// use sepconv::operator::input_rows;
/// let (_, convolution) = model.operator(0).unwrap();
/// assert_eq!(input_rows(&convolution, 0, model.input().shape, 3, 2), (2, 6)); // a row more on either side
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn input_rows(
    operator: &Operator,
    number: usize,
    input: Shape,
    first: usize,
    rows: usize,
) -> (usize, usize) {
    let height = input.height as usize;
    match operator {
        Operator::Convolution(linear) | Operator::Depthwise(linear) => {
            linear.window.rows(first, rows, height)
        }
        Operator::AveragePool(pool) | Operator::MaxPool(pool) => pool.window.rows(first, rows, height),
        // A vector operand is broadcast: all of it is read.
        Operator::Add(_) | Operator::Mul(_) if number == 1 && input.pixels() == 1 => (0, 1),
        Operator::Pointwise(_)
        | Operator::Add(_)
        | Operator::Mul(_)
        | Operator::Softmax(_)
        | Operator::Lookup(_)
        | Operator::Requantize(_)
        | Operator::ArgMax(_) => (first.min(height), (first + rows).min(height)),
        Operator::Concatenation(concatenation) if concatenation.axis > 0 => {
            (first.min(height), (first + rows).min(height))
        }
        Operator::Pad(pad) => {
            let top = pad.top as usize;
            (
                first.saturating_sub(top).min(height),
                (first + rows).saturating_sub(top).min(height),
            )
        }
        Operator::ResizeNearest(resize) => {
            let last = (first + rows).saturating_sub(1);
            (
                resize.source_row(first).min(height),
                (resize.source_row(last) + 1).min(height),
            )
        }
        Operator::FullyConnected(_)
        | Operator::Mean(_)
        | Operator::Concatenation(_)
        | Operator::Reshape
        | Operator::Transpose(_) => (0, height),
    }
}

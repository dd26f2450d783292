//! Windows of convolutions as runs of bytes.
#![allow(unsafe_code)]

use crate::Rows;
use crate::exec::copy;
use crate::layout::cortex_m3::MOST_ROWS;
use crate::operator::Window;
#[cfg(sepconv_arm = "armv6m")]
use core::ops::Range;

/// The rows of input that the windows of one output row cover, and how to take a window out of them.
pub struct Windows<'a> {
    window: &'a Window,
    /// Empty for padding.
    rows: [&'a [i8]; MOST_ROWS],
    /// Where they start.
    pointers: [*const i8; MOST_ROWS],
    /// Those that lie within the input.
    #[cfg(sepconv_arm = "armv6m")]
    inside: Range<usize>,
    /// Bytes of the shortest of them.
    shortest_row: usize,
    width: u32,
    depth: usize,
    zero_point: i8,
}

impl<'a> Windows<'a> {
    /// The windows of output row `y`; `None` if they have more than [`MOST_ROWS`] rows.
    pub fn new(window: &'a Window, input: &Rows<'a>, y: usize, zero_point: i8) -> Option<Self> {
        let inside = window.kernel_rows(y, input.shape.height);
        let mut rows = [&[][..]; MOST_ROWS];
        for (ky, row) in rows.get_mut(..window.kernel_height)?.iter_mut().enumerate() {
            if inside.contains(&ky) {
                *row = input.row(window.input_row(y, ky));
            }
        }
        Some(Self {
            window,
            rows,
            pointers: rows.map(<[i8]>::as_ptr),
            #[cfg(sepconv_arm = "armv6m")]
            shortest_row: rows
                .iter()
                .take(inside.end)
                .skip(inside.start)
                .map(|row| row.len())
                .min()
                .unwrap_or(0),
            #[cfg(not(sepconv_arm = "armv6m"))]
            shortest_row: rows
                .iter()
                .take(window.kernel_height)
                .map(|row| row.len())
                .min()?,
            #[cfg(sepconv_arm = "armv6m")]
            inside,
            width: input.shape.width,
            depth: (input.shape.channels as usize).max(1),
            zero_point,
        })
    }

    /// The inputs of output column `x` in the order of the weights, the zero point standing for padding. `to` may be longer
    /// than a window; up to three bytes beyond it are overwritten then.
    pub fn gather(&self, x: usize, to: &mut [i8]) {
        let window = self.window;
        let row_len = window.kernel_width * self.depth;
        let columns = window.kernel_columns(x, self.width);
        let inside = columns.len() == window.kernel_width && window.dilation_width == 1;
        let start = window.input_column(x, 0) * self.depth;
        #[cfg(not(sepconv_arm = "armv6m"))]
        {
            let padded = row_len.next_multiple_of(4);
            let to_end = window.kernel_height.saturating_sub(1) * row_len + padded;
            if inside && start + padded <= self.shortest_row && to_end <= to.len() && padded > 0 {
                // SAFETY: all rows of the window have as many bytes from `start` on, and so has `to`.
                unsafe {
                    gather_words(
                        self.pointers.as_ptr(),
                        window.kernel_height,
                        start,
                        to.as_mut_ptr(),
                        padded / 4,
                        row_len,
                    );
                }
                return;
            }
        }
        #[cfg(sepconv_arm = "armv6m")]
        if window.dilation_width == 1 && window.kernel_height * row_len <= to.len() {
            let (rows, columns) = (self.inside.clone(), columns.clone());
            if rows.len() < window.kernel_height || !inside {
                fill(to, window.kernel_height * row_len, self.zero_point);
            }
            let start = window.input_column(x, columns.start) * self.depth;
            let len = columns.len() * self.depth;
            if rows.is_empty() || len == 0 || start + len > self.shortest_row {
                return;
            }
            let at = rows.start * row_len + columns.start * self.depth;
            // SAFETY: all these rows have `len` bytes from `start` on, and `to` has room for a window, in which rows and
            // columns lie.
            unsafe {
                copy_rows(
                    self.pointers.as_ptr().wrapping_add(rows.start),
                    rows.len(),
                    start,
                    to.as_mut_ptr().wrapping_add(at),
                    len,
                    row_len,
                );
            }
            return;
        }
        let mut at = 0;
        for row in self.rows.iter().take(window.kernel_height) {
            let Some(to) = to.get_mut(at..) else { return };
            at += row_len;
            if row.is_empty() {
                fill(to, row_len, self.zero_point);
            } else if !inside {
                for kx in 0..window.kernel_width {
                    let to = to
                        .get_mut(kx * self.depth..(kx + 1) * self.depth)
                        .unwrap_or(&mut []);
                    if columns.contains(&kx) {
                        copy(
                            to,
                            row.get(window.input_column(x, kx) * self.depth..).unwrap_or(&[]),
                        );
                    } else {
                        fill(to, self.depth, self.zero_point);
                    }
                }
            } else {
                copy(
                    to.get_mut(..row_len).unwrap_or(&mut []),
                    row.get(start..).unwrap_or(&[]),
                );
            }
        }
    }
}

fn fill(to: &mut [i8], len: usize, value: i8) {
    for to in to.iter_mut().take(len) {
        *to = value;
    }
}

/// Copies `words` words from `start` bytes into each of `count` rows to `to`, each row `row_len` bytes after the one before,
/// so that the words of one overwrite what the one before has too much.
///
/// # Safety
///
/// `count` and `words` are positive; each row has `words` words from `start` on, `to` has room for all of them.
#[cfg(not(sepconv_arm = "armv6m"))]
#[unsafe(naked)]
unsafe extern "C" fn gather_words(
    rows: *const *const i8,
    count: usize,
    start: usize,
    to: *mut i8,
    words: usize,
    row_len: usize,
) {
    core::arch::naked_asm!(
        "push {{r4-r8, lr}}
         ldrd r4, r5, [sp, #24]
         1:
         ldr r6, [r0], #4
         mov r7, r3
         mov r8, r4
         add r6, r6, r2
         2:
         ldr r12, [r6], #4
         subs r8, r8, #1
         str r12, [r7], #4
         bne 2b
         add r3, r3, r5
         subs r1, r1, #1
         bne 1b
         pop {{r4-r8, pc}}
        "
    )
}

/// Copies `len` bytes from `start` bytes into each of `count` rows to `to`, each `row_len` bytes after the one before.
///
/// # Safety
///
/// `count` and `len` are positive; each row has `len` bytes from `start` on, `to` has room for all of them.
#[cfg(sepconv_arm = "armv6m")]
#[unsafe(naked)]
unsafe extern "C" fn copy_rows(
    rows: *const *const i8,
    count: usize,
    start: usize,
    to: *mut i8,
    len: usize,
    row_len: usize,
) {
    core::arch::naked_asm!(
        "push {{r4-r7, lr}}
         1:
         ldm r0!, {{r4}}
         adds r4, r4, r2
         ldr r5, [sp, #20]
         2:
         subs r5, r5, #1
         ldrb r6, [r4, r5]
         strb r6, [r3, r5]
         bne 2b
         ldr r5, [sp, #24]
         adds r3, r3, r5
         subs r1, r1, #1
         bne 1b
         pop {{r4-r7, pc}}
        "
    )
}

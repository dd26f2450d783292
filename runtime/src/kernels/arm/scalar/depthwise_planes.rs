//! Depthwise convolution with a 3 × 3 window: four channels of a few rows are copied into planes, as unsigned
//! bytes and with padding around them, and each plane gives its channel's outputs.

use crate::layout::cortex_m3::{DEPTHWISE_CHANNEL, HEADER, PLANES, Rounding, plane_width};
use crate::operator::Linear;
use crate::{Band, Rows};
use core::arch::naked_asm;

/// What the loops in assembly read and write. They address its fields by number.
#[repr(C)]
struct Channel {
    weights: [i32; 9],
    bias: i32,
    /// The multiplier's halves on Armv6-M; the whole as the second on Armv7-M.
    multiplier: [u32; 2],
    addend: i32,
    shift: i32,
    /// Bytes of the plane from one output's window to the next.
    stride: usize,
    /// The end of the first windows' row that is computed.
    row_end: *const u8,
    /// Bytes from one output to the next.
    channels: usize,
    /// Bytes of the plane from a row's last window's successor to the first of the next row.
    next_row: usize,
    /// Bytes of the plane that a row's windows move.
    row_len: usize,
    /// Rows of output that are left.
    rows: usize,
    plane_width: usize,
}

/// The most rows of a plane.
const MOST_ROWS: usize = 16;

/// All outputs; the block's rounding is not [`Rounding::Wide`].
pub fn int8(linear: &Linear, input: &Rows, output: &mut Band, scratch: &mut [i8]) {
    let window = linear.window;
    let rectified = linear.weights.first() == Some(&(Rounding::Rectified as u8));
    let function = if rectified {
        outputs_rectified
    } else {
        outputs_signed
    };
    let channels = output.shape.channels as usize;
    let width = output.shape.width as usize;
    let row_bytes = output.row_bytes();
    let plane_width = plane_width(width, window.stride_width);
    let stride = window.stride_height.max(1);
    let most_rows = (scratch.len() / (PLANES * plane_width).max(1)).min(MOST_ROWS);
    let constants = linear.weights.get(HEADER..).unwrap_or(&[]);
    let constants = constants.as_chunks::<DEPTHWISE_CHANNEL>().0;
    if most_rows < 3 || row_bytes == 0 || constants.len() != channels {
        return;
    }
    let step = (most_rows - 3) / stride + 1;
    let deal = Deal {
        channels,
        plane_len: most_rows * plane_width,
        plane_width,
        pad_left: window.pad_left,
    };
    let mut y = output.first_row;
    for data in output.data.chunks_mut((step * row_bytes).max(1)) {
        let rows = data.len() / row_bytes;
        fill(scratch, linear.input_zero_point as i8 ^ i8::MIN);
        // Rows beyond the input stay empty.
        let mut sources = [&[][..]; MOST_ROWS];
        for (row, source) in (y * stride..).zip(sources.iter_mut().take((rows - 1) * stride + 3)) {
            let row = row.checked_sub(window.pad_top);
            if let Some(row) = row.filter(|row| *row < input.shape.height as usize) {
                *source = input.row(row);
            }
        }
        let row_len = width * window.stride_width;
        let mut channel = Channel {
            stride: window.stride_width,
            channels,
            row_len,
            next_row: (stride * plane_width).wrapping_sub(row_len),
            plane_width,
            ..Channel::NONE
        };
        let mut output = data.as_mut_ptr();
        for (group, constants) in constants.chunks(PLANES).enumerate() {
            deal.rows(&sources, group * PLANES, constants.len(), scratch);
            let mut plane = scratch.as_ptr().cast::<u8>();
            for constants in constants {
                channel.rows = rows;
                // SAFETY: the constants are at a multiple of four, as is their block. The four planes of `most_rows` rows fit in the scratch memory, and the windows of `rows` rows of
                // output end in a plane. The data has room for a value of each pixel from each of the channels on.
                unsafe { function(&mut channel, plane, output, constants) };
                plane = plane.wrapping_add(deal.plane_len);
                output = output.wrapping_add(1);
            }
        }
        y += rows;
    }
}

impl Channel {
    const NONE: Self = Self {
        weights: [0; 9],
        bias: 0,
        multiplier: [0; 2],
        addend: 0,
        shift: 0,
        stride: 0,
        row_end: core::ptr::null(),
        channels: 0,
        next_row: 0,
        row_len: 0,
        rows: 0,
        plane_width: 0,
    };
}

fn fill(bytes: &mut [i8], value: i8) {
    // SAFETY: any words are bytes.
    let (start, words, end) = unsafe { bytes.align_to_mut::<u32>() };
    for byte in start.iter_mut().chain(end) {
        *byte = value;
    }
    for word in words {
        *word = u32::from_ne_bytes([value as u8; 4]);
    }
}

/// How channels are copied into planes.
struct Deal {
    channels: usize,
    /// Bytes of a plane.
    plane_len: usize,
    plane_width: usize,
    pad_left: usize,
}

impl Deal {
    /// Copies `count` channels, four at most, from `first` on.
    fn rows(&self, sources: &[&[i8]; MOST_ROWS], first: usize, count: usize, planes: &mut [i8]) {
        let (channels, plane_len) = (self.channels, self.plane_len);
        let most = self.plane_width.saturating_sub(self.pad_left) * channels;
        let fast = count == PLANES && channels.is_multiple_of(4);
        let mut place = self.pad_left;
        for source in sources {
            let len = source.len().min(most);
            if len > 0 {
                if fast && source.as_ptr().addr().is_multiple_of(4) {
                    let to = planes.as_mut_ptr().wrapping_add(place);
                    let from = source.as_ptr().wrapping_add(first);
                    // SAFETY: a row's length is a multiple of `channels`, so that there are four channels from `first` on
                    // for every pixel, at a multiple of four bytes. The rows of all planes lie in the scratch memory, and
                    // `most` ends at a row's end.
                    unsafe { deal_four(to, from, channels, plane_len, len) };
                } else {
                    let values = source.get(..len).unwrap_or(&[]);
                    for channel in 0..count {
                        let values = values.get(first + channel..).unwrap_or(&[]);
                        let to = planes.get_mut(place + channel * plane_len..).unwrap_or(&mut []);
                        for (to, value) in to.iter_mut().zip(values.iter().step_by(channels.max(1))) {
                            *to = *value ^ i8::MIN;
                        }
                    }
                }
            }
            place += self.plane_width;
        }
    }
}

/// Copies four channels of `len / channels` pixels into planes, with the sign bit flipped.
///
/// # Safety
///
/// `from` is a multiple of four and has four values at every multiple of `channels` below `len`; each plane, of which the
/// first is at `to`, has room for as many.
#[unsafe(naked)]
unsafe extern "C" fn deal_four(to: *mut i8, from: *const i8, channels: usize, plane_len: usize, len: usize) {
    naked_asm!(
        "push {{r4-r7, lr}}
         ldr r4, [sp, #20]
         adds r4, r4, r1
         mov r12, r4
         movs r7, #0x80
         lsls r4, r7, #8
         orrs r7, r4
         lsls r4, r7, #16
         orrs r7, r4
         adds r4, r3, r3
         adds r5, r4, r3
         1:
         ldr r6, [r1]
         adds r1, r1, r2
         eors r6, r7
         strb r6, [r0]
         lsrs r6, r6, #8
         strb r6, [r0, r3]
         lsrs r6, r6, #8
         strb r6, [r0, r4]
         lsrs r6, r6, #8
         strb r6, [r0, r5]
         adds r0, r0, #1
         cmp r1, r12
         bne 1b
         pop {{r4-r7, pc}}
        "
    )
}

/// One tap of a window, whose row is in `$row`.
macro_rules! tap {
    ($row:literal, $column:literal, $weight:literal) => {
        concat!(
            "ldrb r4, [",
            $row,
            ", #",
            $column,
            "]
             ldr r5, [r7, #4 * ",
            $weight,
            "]
             muls r4, r5, r4
             adds r3, r3, r4
            "
        )
    };
}

/// Stores the weight in the lowest byte of r4 and adds it to r5.
macro_rules! weight {
    ($number:literal) => {
        concat!(
            "sxtb r6, r4
             adds r5, r5, r6
             str r6, [r7, #4 * ",
            $number,
            "]
             lsrs r4, r4, #8
            "
        )
    };
}

/// The sum in r3 becomes an output; r4, r5 and r12 are free.
#[cfg(sepconv_arm = "armv6m")]
macro_rules! requantize {
    ($ties:tt) => {
        concat!(
            "adds r3, r3, r3\n",
            halves!($ties, "r3", "r4"),
            "ldr r5, [r7, #40]
                 muls r5, r4, r5
                ",
            upper_half!($ties, "r5"),
            "mov r12, r5
                 ldr r5, [r7, #44]
                 muls r4, r5, r4
                 add r4, r12
                 muls r5, r3, r5
                 mov r12, r5
                 ldr r5, [r7, #40]
                 muls r3, r5, r3
                 adds r3, r3, r4
                 add r3, lr
                ",
            upper_half!($ties, "r3"),
            "add r3, r12\n",
            ties!($ties, "r3", "r4"),
            "ldr r5, [r7, #48]
                 adds r3, r3, r5
                 ldr r5, [r7, #52]
                 asrs r3, r3, r5
                ",
            saturate!($ties, "r3", "r4"),
        )
    };
}

/// Takes the multiplier in r4 apart and stores its halves.
#[cfg(sepconv_arm = "armv6m")]
macro_rules! store_multiplier {
    () => {
        "uxth r5, r4
         lsrs r4, r4, #16
         str r5, [r7, #40]
         str r4, [r7, #44]
        "
    };
}

/// The sum in r3 becomes an output; r4 and r5 are free.
#[cfg(sepconv_arm = "armv7m")]
macro_rules! requantize {
    ($ties:tt) => {
        concat!(
            "ldrd r4, r5, [r7, #44]
             adds r3, r3, r3
             smull r4, r3, r3, r4
            ",
            ties!($ties),
            "lsls r4, r4, #1
             adcs r3, r5
             ldr r5, [r7, #52]
             asrs r3, r5
             ssat r3, #8, r3
            ",
        )
    };
}

#[cfg(sepconv_arm = "armv7m")]
macro_rules! ties {
    (signed) => {
        "add r3, r3, r3, asr #31\n"
    };
    (rectified) => {
        ""
    };
}

/// Stores the multiplier in r4 next to the addend.
#[cfg(sepconv_arm = "armv7m")]
macro_rules! store_multiplier {
    () => {
        "str r4, [r7, #44]\n"
    };
}

macro_rules! outputs_function {
    ($name:ident, $ties:tt) => {
        /// All outputs of a channel. r7: the channel, r0, r1, r2: the window's rows, r6: the output, lr: 2^15.
        ///
        /// # Safety
        ///
        /// The constants are at a multiple of four. The plane has the rows of all windows, of which there is one at least, and the output has room for all values.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            channel: &mut Channel,
            plane: *const u8,
            output: *mut i8,
            constants: &[u8; DEPTHWISE_CHANNEL],
        ) {
            naked_asm!(concat!(
                "push {{r4-r7, lr}}
                 mov r7, r0
                 mov r0, r1
                 ldr r4, [r3]
                 movs r5, #0
                ",
                weight!("0"),
                weight!("1"),
                weight!("2"),
                weight!("3"),
                "ldr r4, [r3, #4]\n",
                weight!("4"),
                weight!("5"),
                weight!("6"),
                weight!("7"),
                "ldr r4, [r3, #8]\n",
                weight!("8"),
                // The bias makes up for 128 that is added to unsigned inputs.
                "ldr r4, [r3, #12]
                 asrs r4, r4, #1
                 lsls r5, r5, #7
                 subs r4, r4, r5
                 str r4, [r7, #36]
                 ldr r4, [r3, #16]
                ",
                store_multiplier!(),
                "ldr r4, [r3, #20]
                 ldr r5, [r3, #24]
                 str r4, [r7, #48]
                 str r5, [r7, #52]
                 mov r6, r2
                 movs r3, #1
                 lsls r3, r3, #15
                 mov lr, r3
                 4:
                 ldr r3, [r7, #80]
                 adds r1, r0, r3
                 adds r2, r1, r3
                 ldr r3, [r7, #72]
                 adds r3, r0, r3
                 str r3, [r7, #60]
                 5:
                 ldr r3, [r7, #36]
                ",
                tap!("r0", "0", "0"),
                tap!("r0", "1", "1"),
                tap!("r0", "2", "2"),
                tap!("r1", "0", "3"),
                tap!("r1", "1", "4"),
                tap!("r1", "2", "5"),
                tap!("r2", "0", "6"),
                tap!("r2", "1", "7"),
                tap!("r2", "2", "8"),
                requantize!($ties),
                "strb r3, [r6]
                 ldr r3, [r7, #64]
                 adds r6, r6, r3
                 ldr r3, [r7, #56]
                 adds r1, r1, r3
                 adds r2, r2, r3
                 adds r0, r0, r3
                 ldr r3, [r7, #60]
                 cmp r0, r3
                 bne 5b
                 ldr r3, [r7, #68]
                 adds r0, r0, r3
                 ldr r3, [r7, #76]
                 subs r3, r3, #1
                 str r3, [r7, #76]
                 bne 4b
                 pop {{r4-r7, pc}}
                "
            ))
        }
    };
}

outputs_function!(outputs_signed, signed);
outputs_function!(outputs_rectified, rectified);

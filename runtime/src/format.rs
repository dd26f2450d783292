//! The `.sepc` file, byte by byte.
//!
//! All numbers are little-endian. Sections start at multiples of 16 bytes from the start of the file, and the file itself
//! is to be placed at an address that is a multiple of 16.
//!
//! | section | what |
//! |---|---|
//! | header | [`Header`], 64 bytes |
//! | tensors | `tensor_count` × [`TensorRecord`], 32 bytes each |
//! | operators | `operator_count` × [`OperatorRecord`], 80 bytes each, in order of execution |
//! | steps | `step_count` × [`Step`], 8 bytes each: the schedule |
//! | constants | weights, biases, multipliers, shifts and tables; what operators refer to is aligned to 16 |
//! | metadata | a JSON object in UTF-8 for people and host tools (names, classes, preprocessing); the runtime skips it |
//!
//! **Memory.** Every tensor lives in one arena at a fixed `offset`, in a ring of `ring_rows` rows: row r is found
//! `(r mod ring_rows) × row bytes` after the offset. A whole tensor is a ring as tall as the tensor. Kernels
//! of packed layouts use the arena's end as scratch memory while they run: the last `params[0]` bytes of it, `scratch_len` at
//! most. Tensors may lie there too, as long as no row of theirs is alive then.
//!
//! **Schedule.** A step computes some rows of one operator's output, or (operator [`PUSH_INPUT`]) waits for rows of the
//! network's input. Running an operator whole, fusing a depthwise convolution with the pointwise one after it, and
//! streaming a chain of operators row by row are nothing but different schedules and ring heights.

/// The first four bytes of a file.
pub const MAGIC: [u8; 4] = *b"SEPC";
/// The version of the format that this crate reads.
pub const VERSION: u16 = 1;
/// "No tensor", in lists of inputs.
pub const NONE: u16 = 0xffff;
/// The operator of a step that waits for rows of the network's input.
pub const PUSH_INPUT: u16 = 0xffff;
/// Bytes before the part of the file that the CRC covers.
pub const CRC_START: usize = 16;
/// The greatest product of the numbers of operators and steps, so that checking a schedule takes well below a second on a
/// workstation whatever a file says. (Xception at 299 × 299, streamed row by row, needs a thirtieth of it.)
pub const MAX_WALK: u64 = 1 << 26;
/// How many inputs an operator has at most.
pub const MAX_INPUTS: usize = 4;

/// Declares a record: its fields in order without padding, each with the byte that it starts at, and its conversions from
/// and to bytes.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident, $size:literal { $($(#[$field_doc:meta])* $at:literal $field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name { $($(#[$field_doc])* #[doc = concat!("(At byte ", $at, ".)")] pub $field: $kind,)* }

        // The documented bytes are the real ones.
        const _: () = {
            let mut at = 0;
            $(
                assert!(at == $at, concat!(stringify!($field), " does not start where it says"));
                at += size_of::<$kind>();
            )*
            assert!(at == $size);
        };

        impl $name {
            /// The bytes that a record takes in a file.
            pub const SIZE: usize = $size;

            /// Reads a record, whatever its values.
            ///
            /// ```
            #[doc = concat!("use sepconv::format::", stringify!($name), ";")]
            #[doc = concat!("let record = ", stringify!($name), "::from_bytes(&[0; ", stringify!($size), "]);")]
            #[doc = concat!("assert_eq!(record.to_bytes(), [0; ", stringify!($name), "::SIZE]);")]
            /// ```
            #[inline]
            pub fn from_bytes(bytes: &[u8; $size]) -> Self {
                let mut at = 0;
                Self { $($field: <$kind as Field>::read(bytes, &mut at),)* }
            }

            /// The record as it stands in a file.
            ///
            /// ```
            #[doc = concat!("use sepconv::format::", stringify!($name), ";")]
            #[doc = concat!("let bytes: [u8; ", stringify!($name), "::SIZE] = core::array::from_fn(|byte| byte as u8);")]
            #[doc = concat!("assert_eq!(", stringify!($name), "::from_bytes(&bytes).to_bytes(), bytes);")]
            /// ```
            pub fn to_bytes(&self) -> [u8; $size] {
                let mut bytes = [0; $size];
                let mut at = 0;
                $(self.$field.write(&mut bytes, &mut at);)*
                bytes
            }
        }
    };
}

/// A number, or an array of numbers, in a record. Reading past the end gives zeros: the sizes are tested.
trait Field {
    fn read(bytes: &[u8], at: &mut usize) -> Self;
    fn write(&self, bytes: &mut [u8], at: &mut usize);
}

macro_rules! number_fields {
    ($($number:ty),*) => {$(
        impl Field for $number {
            #[inline(always)]
            fn read(bytes: &[u8], at: &mut usize) -> Self {
                let value = bytes.get(*at..).and_then(|rest| rest.first_chunk()).map_or_else(Default::default, |raw| Self::from_le_bytes(*raw));
                *at += size_of::<Self>();
                value
            }
            fn write(&self, bytes: &mut [u8], at: &mut usize) {
                for (to, from) in bytes.iter_mut().skip(*at).zip(self.to_le_bytes()) {
                    *to = from;
                }
                *at += size_of::<Self>();
            }
        }
    )*};
}
number_fields!(u8, u16, u32, i16, i32, f32);

impl<T: Field + Copy, const N: usize> Field for [T; N] {
    #[inline(always)]
    fn read(bytes: &[u8], at: &mut usize) -> Self {
        core::array::from_fn(|_| T::read(bytes, at))
    }
    fn write(&self, bytes: &mut [u8], at: &mut usize) {
        for value in self {
            value.write(bytes, at);
        }
    }
}

record! {
    /// What a file begins with. Offsets are in bytes from the start of the file.
    ///
    /// ```
    /// use sepconv::{format::Header, tiny};
    /// let header = Header::from_bytes(tiny::WHOLE.0.first_chunk().unwrap());
    /// assert_eq!((header.magic, header.file_len as usize), (*b"SEPC", tiny::WHOLE.0.len()));
    /// ```
    Header, 64 {
        /// [`MAGIC`].
        0 magic: [u8; 4],
        /// [`VERSION`].
        4 version: u16,
        /// 0.
        6 flags: u16,
        /// Bytes of the whole file.
        8 file_len: u32,
        /// CRC-32 of all bytes from [`CRC_START`] on.
        12 crc32: u32,
        /// Bytes of the arena, scratch included.
        16 arena_len: u32,
        /// The most bytes at the end of the arena that an operator takes for scratch. If there are any, `arena_len` is a
        /// multiple of 16.
        20 scratch_len: u32,
        /// The number of tensors.
        24 tensor_count: u16,
        /// The number of operators.
        26 operator_count: u16,
        /// The number of steps.
        28 step_count: u32,
        /// The tensor that the caller fills.
        32 input: u16,
        /// The tensor that the caller reads.
        34 output: u16,
        /// Where the tensor records are.
        36 tensors_offset: u32,
        /// Where the operator records are.
        40 operators_offset: u32,
        /// Where the steps are.
        44 steps_offset: u32,
        /// Where the constants are.
        48 constants_offset: u32,
        /// Bytes of constants.
        52 constants_len: u32,
        /// Where the metadata is.
        56 metadata_offset: u32,
        /// Bytes of metadata.
        60 metadata_len: u32,
    }
}

record! {
    /// A tensor: `real = scale × (q − zero_point)`.
    ///
    /// ```
    /// use sepconv::{format::{Header, TensorRecord}, tiny};
    /// let header = Header::from_bytes(tiny::WHOLE.0.first_chunk().unwrap());
    /// let first = TensorRecord::from_bytes(tiny::WHOLE.0[header.tensors_offset as usize..].first_chunk().unwrap());
    /// assert_eq!((first.height, first.width, first.channels), (8, 8, 3));
    /// ```
    TensorRecord, 32 {
        /// 0: int8, 1: int16.
        0 element: u8,
        /// 0.
        1 reserved: u8,
        /// The quantized value of the real number zero.
        2 zero_point: i16,
        /// The real size of one quantization step; integer execution never reads it.
        4 scale: f32,
        /// Rows.
        8 height: u32,
        /// Pixels in a row.
        12 width: u32,
        /// Values in a pixel.
        16 channels: u32,
        /// Rows that the arena holds at a time.
        20 ring_rows: u32,
        /// Where the ring starts in the arena.
        24 offset: u32,
        /// 0.
        28 reserved_end: u32,
    }
}

record! {
    /// An operator. Fields that its kind does not use are 0. Offsets are in bytes from the start of the constants.
    ///
    /// ```
    /// let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// let record = model.record(1).unwrap();
    /// assert_eq!((record.kind, record.weights_len), (sepconv::operator::Kind::Depthwise as u8, 8 * 3 * 3));
    /// # Ok::<(), sepconv::ModelError>(())
    /// ```
    OperatorRecord, 80 {
        /// A [`Kind`](crate::operator::Kind).
        0 kind: u8,
        /// How the constants are arranged: a [`Layout`](crate::layout::Layout).
        1 layout: u8,
        /// Bits of a weight: 8 or 4.
        2 weight_bits: u8,
        /// 0.
        3 reserved: u8,
        /// Input tensors, [`NONE`] from the first unused on.
        4 inputs: [u16; MAX_INPUTS],
        /// The output tensor.
        12 output: u16,
        /// The least output value.
        14 activation_min: i16,
        /// The greatest output value.
        16 activation_max: i16,
        /// Rows of the window.
        18 kernel_height: u16,
        /// Columns of the window.
        20 kernel_width: u16,
        /// Input rows from one output row to the next.
        22 stride_height: u8,
        /// Input columns from one output column to the next.
        23 stride_width: u8,
        /// Input rows from one row of the window to the next.
        24 dilation_height: u8,
        /// Input columns from one column of the window to the next.
        25 dilation_width: u8,
        /// Rows of padding above the input.
        26 pad_top: u16,
        /// Columns of padding left of the input.
        28 pad_left: u16,
        /// 0.
        30 reserved_end: u16,
        /// Where the weights (or the table, or the constant operand) are.
        32 weights_offset: u32,
        /// Their bytes.
        36 weights_len: u32,
        /// Where the biases are, one an output channel: i32, or i64 with int16 activations. Of sums, where the block of constants
        /// is that x86-64 kernels use, or 0 if there is none.
        40 bias_offset: u32,
        /// Where the mantissas of the output multipliers are: an i32 (Q31) an output channel.
        44 multipliers_offset: u32,
        /// Where the shifts of the output multipliers are: an i8 an output channel.
        48 shifts_offset: u32,
        /// What else the kind needs. For linear operators in a packed layout, the first is the bytes of scratch that they
        /// use, a multiple of 16, and the others are 0. For others, see the kind's parameters in [`crate::operator`], such as
        /// [`Binary`](crate::operator::Binary).
        52 params: [i32; 7],
    }
}

record! {
    /// One step of the schedule: compute rows `first_row .. first_row + rows` of an operator's output.
    ///
    /// ```
    /// let model = sepconv::Model::new(&sepconv::tiny::STREAMED.0)?;
    /// let first = model.steps().next().unwrap();
    /// assert_eq!((first.operator, first.rows), (sepconv::format::PUSH_INPUT, 1)); // waits for a row
    /// # Ok::<(), sepconv::ModelError>(())
    /// ```
    Step, 8 {
        /// The operator's number, or [`PUSH_INPUT`].
        0 operator: u16,
        /// 0.
        2 reserved: u16,
        /// The first row.
        4 first_row: u16,
        /// How many rows.
        6 rows: u16,
    }
}

impl OperatorRecord {
    /// Bytes at the end of the arena that the operator uses as scratch memory.
    ///
    /// ```
    /// let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// assert_eq!(model.record(0).unwrap().scratch_len(), 0); // kernels of the plain layout need none
    /// # Ok::<(), sepconv::ModelError>(())
    /// ```
    #[inline]
    pub fn scratch_len(&self) -> usize {
        // Only linear operators have other layouts than the plain one.
        let [scratch_len, ..] = self.params;
        if self.layout == 0 { 0 } else { scratch_len as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_fill_their_sizes_exactly() {
        // Every bit of the bytes must come back, so no field is beyond the end and no byte belongs to none.
        fn bytes<const N: usize>() -> [u8; N] {
            core::array::from_fn(|i| (i * 7 + 1) as u8)
        }
        assert_eq!(Header::from_bytes(&bytes()).to_bytes(), bytes());
        assert_eq!(TensorRecord::from_bytes(&bytes()).to_bytes(), bytes());
        assert_eq!(OperatorRecord::from_bytes(&bytes()).to_bytes(), bytes());
        assert_eq!(Step::from_bytes(&bytes()).to_bytes(), bytes());
    }
}

//! What the algorithms need of a vector instruction set.
//!
//! The algorithms in the neighbouring files are generic over [`Vector`] and inlined into functions that enable an
//! instruction set's target features (see [`super::table`]); each instruction set's file implements this trait by thin
//! wrappers of intrinsics.

/// What scales 32-bit lanes, for even and for odd ones.
#[derive(Clone, Copy)]
pub(super) struct LaneConstants<V> {
    pub mantissa_even: V,
    pub mantissa_odd: V,
    pub rounding_even: V,
    pub rounding_odd: V,
}

/// A vector of 16 or 8 lanes of 32 bits, whose bits may also be taken as lanes of 8, 16 or 64 bits. Operations named
/// "in parts" work within each part of 128 bits.
///
/// # Safety
///
/// All functions are unsafe: the processor must have the instruction set, and pointers must be valid for what is read or
/// written. No alignment is needed.
pub(super) trait Vector: Copy {
    /// Bytes.
    const BYTES: usize;
    /// Vectors of half the length where they are worth their while, else the same.
    type Half: Vector;
    /// Bytes of a short vector.
    const SHORT: usize;
    /// Constants that the compiler is not to see: it would turn single permutations into several cheaper ones, which is
    /// no gain where all run on one port.
    type Orders: Copy;
    /// Pixels of a tile of a matrix product with two vectors of output channels: as many as registers can accumulate.
    const TILE: usize;
    /// Whether there are registers enough to multiply one tile while another is requantized.
    const OVERLAPS: bool;
    /// Whether [`pairs`](super::pairs) multiplies matrices faster than [`add_dot`](Self::add_dot); only where that has AVX2.
    const PAIRS: bool;

    /// See [`Orders`](Self::Orders).
    unsafe fn orders() -> Self::Orders;
    /// All bytes of a vector.
    unsafe fn load(from: *const u8) -> Self;
    /// The first `len` bytes of a vector (at most [`BYTES`](Self::BYTES)), then zeros. Reads no other bytes.
    unsafe fn load_first(from: *const u8, len: usize) -> Self;
    /// `self` with bytes `start..end` (within the vector) replaced by those of memory from `from` on. Reads no others.
    unsafe fn replace_between(self, from: *const u8, start: usize, end: usize) -> Self;
    /// Writes all bytes.
    unsafe fn store(self, to: *mut u8);
    /// Writes the first `len` bytes.
    unsafe fn store_first(self, to: *mut u8, len: usize);
    /// Writes the first half of the bytes.
    unsafe fn store_low_half(self, to: *mut u8);
    /// Copies [`SHORT`](Self::SHORT) bytes, flipping bits of each.
    unsafe fn copy_short(from: *const u8, to: *mut u8, bits: i8);
    /// The second half of the bytes, first.
    unsafe fn high_half(self) -> Self;
    /// The same byte everywhere.
    unsafe fn splat_8(value: i8) -> Self;
    /// The same 32 bits everywhere.
    unsafe fn splat_32(value: i32) -> Self;
    /// The same 64 bits everywhere.
    unsafe fn splat_64(value: i64) -> Self;
    /// The same four bytes in every lane.
    unsafe fn splat_from(from: *const u8) -> Self;
    /// Bitwise exclusive or.
    unsafe fn xor(self, other: Self) -> Self;

    /// Bitwise and.
    unsafe fn and(self, other: Self) -> Self;
    /// Each byte's entry of a table of 256 bytes; the entry of the signed value q is number q + 128.
    unsafe fn lookup(self, table: *const u8) -> Self;

    /// In each 32-bit lane: `self` plus the four products of an unsigned byte and a signed byte, wrapping.
    unsafe fn add_dot(self, unsigned: Self, signed: Self) -> Self;
    /// As [`add_dot`](Self::add_dot), where the second and the fourth signed byte are zero.
    #[inline(always)]
    unsafe fn add_dot_even(self, unsigned: Self, signed: Self) -> Self {
        // SAFETY: the contract.
        unsafe { self.add_dot(unsigned, signed) }
    }
    /// In each 32-bit lane: `self` plus both products of signed 16-bit lanes, wrapping.
    unsafe fn add_dot_16(self, a: Self, b: Self) -> Self;
    /// Wrapping sum of 32-bit lanes.
    unsafe fn add_32(self, other: Self) -> Self;
    /// −1 in negative 32-bit lanes, 0 in others.
    unsafe fn sign_32(self) -> Self;
    /// Arithmetic right shift of each 32-bit lane by a count of its own, in 0..32.
    unsafe fn shift_right_32(self, counts: Self) -> Self;
    /// Left shift of each 32-bit lane by a count of its own, in 0..32.
    unsafe fn shift_left_32(self, counts: Self) -> Self;
    /// Sum of 64-bit lanes.
    unsafe fn add_64(self, other: Self) -> Self;
    /// Product of the signed low halves of 64-bit lanes.
    unsafe fn multiply_low_halves(self, other: Self) -> Self;
    /// Arithmetic right shift of each 64-bit lane by a count of its own, in 0..64.
    unsafe fn shift_right_64(self, counts: Self) -> Self;
    /// The low half of each 64-bit lane as its high half, 0 below.
    unsafe fn low_halves_up(self) -> Self;
    /// The high half of each 64-bit lane as its low half, 0 above.
    unsafe fn high_halves(self) -> Self;
    /// The high halves of `self`'s 64-bit lanes as even 32-bit lanes, those of `odd` as odd ones.
    unsafe fn merge_high_halves(self, odd: Self, orders: Self::Orders) -> Self;

    /// The high half of `self × mantissa + rounding` in 64 bits, for each 32-bit lane.
    #[inline(always)]
    unsafe fn scale(self, constants: LaneConstants<Self>, orders: Self::Orders) -> Self {
        // SAFETY: the contract.
        unsafe {
            let even = self
                .multiply_low_halves(constants.mantissa_even)
                .add_64(constants.rounding_even);
            let odd = self
                .high_halves()
                .multiply_low_halves(constants.mantissa_odd)
                .add_64(constants.rounding_odd);
            even.merge_high_halves(odd, orders)
        }
    }
    /// Each 32-bit lane times `scale` plus `offset`, which are floating-point numbers, rounded once, then to the nearest integer,
    /// ties to even.
    unsafe fn scale_float(self, scale: Self, offset: Self) -> Self;
    /// Saturating sum of signed 16-bit lanes.
    unsafe fn add_saturating_16(self, other: Self) -> Self;

    /// Packs signed 32-bit lanes into 16 bits, saturating: in parts, those of `self`, then those of `other`.
    unsafe fn pack_32(self, other: Self) -> Self;
    /// Packs signed 16-bit lanes into 8 bits, saturating: in parts, those of `self`, then those of `other`.
    unsafe fn pack_16(self, other: Self) -> Self;
    /// The lesser of signed bytes.
    unsafe fn min_8(self, other: Self) -> Self;
    /// The greater of signed bytes.
    unsafe fn max_8(self, other: Self) -> Self;
    /// Even 64-bit lanes in order, then odd ones.
    unsafe fn unzip_64(self, orders: Self::Orders) -> Self;
    /// The first 32-bit lanes of all parts of 128 bits, then the second ones, and so on.
    unsafe fn unzip_32(self, orders: Self::Orders) -> Self;

    /// Interleaves the bytes of the low halves of the parts.
    unsafe fn interleave_low_8(self, other: Self) -> Self;
    /// Interleaves the bytes of the high halves of the parts.
    unsafe fn interleave_high_8(self, other: Self) -> Self;
    /// Interleaves the 16-bit lanes of the low halves of the parts.
    unsafe fn interleave_low_16(self, other: Self) -> Self;
    /// Interleaves the 16-bit lanes of the high halves of the parts.
    unsafe fn interleave_high_16(self, other: Self) -> Self;
    /// Interleaves the 32-bit lanes of the low halves of the parts.
    unsafe fn interleave_low_32(self, other: Self) -> Self;
    /// Interleaves the 32-bit lanes of the high halves of the parts.
    unsafe fn interleave_high_32(self, other: Self) -> Self;
    /// The low halves of the parts, one of `self`, one of `other`.
    unsafe fn interleave_low_64(self, other: Self) -> Self;
    /// The high halves of the parts, one of `self`, one of `other`.
    unsafe fn interleave_high_64(self, other: Self) -> Self;
}

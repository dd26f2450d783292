//! 256-bit vectors: AVX2, which multiplies pairs of 16-bit numbers, and AVX-VNNI on top of it.

use super::vector::Vector;
use core::arch::x86_64::*;
use core::marker::PhantomData;

/// What 256-bit instruction sets do differently: sums of products of bytes, and access to a part of a vector.
pub(super) trait Dot: Copy {
    /// See [`Vector::TILE`].
    const TILE: usize;
    /// See [`Vector::PAIRS`].
    const PAIRS: bool = false;
    /// See [`Vector::OVERLAPS`].
    const OVERLAPS: bool = false;
    /// See [`Vector::add_dot`].
    ///
    /// # Safety
    ///
    /// The processor must have the instruction set.
    unsafe fn add_dot(sum: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i;
    /// See [`Vector::add_dot_even`].
    ///
    /// # Safety
    ///
    /// The processor must have the instruction set.
    #[inline(always)]
    unsafe fn add_dot_even(sum: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i {
        // SAFETY: the contract.
        unsafe { Self::add_dot(sum, unsigned, signed) }
    }
    /// See [`Vector::load_first`]; `len` is less than 32.
    ///
    /// # Safety
    ///
    /// As [`Vector::load_first`].
    #[inline(always)]
    unsafe fn load_first(from: *const u8, len: usize) -> __m256i {
        // SAFETY: whole groups of four bytes below `len` are read, or all `len` bytes.
        unsafe {
            if len.is_multiple_of(4) {
                return _mm256_maskload_epi32(from.cast(), first_lanes(len / 4));
            }
            let mut bytes = [0u8; 32];
            core::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), len);
            _mm256_loadu_si256(bytes.as_ptr().cast())
        }
    }
    /// See [`Vector::replace_between`].
    ///
    /// # Safety
    ///
    /// As [`Vector::replace_between`].
    #[inline(always)]
    unsafe fn replace_between(values: __m256i, from: *const u8, start: usize, end: usize) -> __m256i {
        // SAFETY: `end - start` bytes are read.
        unsafe {
            let mut bytes = [0u8; 32];
            _mm256_storeu_si256(bytes.as_mut_ptr().cast(), values);
            core::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr().add(start), end - start);
            _mm256_loadu_si256(bytes.as_ptr().cast())
        }
    }
    /// See [`Vector::store_first`]; `len` is less than 32.
    ///
    /// # Safety
    ///
    /// As [`Vector::store_first`].
    #[inline(always)]
    unsafe fn store_first(values: __m256i, to: *mut u8, len: usize) {
        // SAFETY: whole groups of four bytes below `len` are written, or all `len` bytes.
        unsafe {
            if len.is_multiple_of(4) {
                return _mm256_maskstore_epi32(to.cast(), first_lanes(len / 4), values);
            }
            let mut bytes = [0u8; 32];
            _mm256_storeu_si256(bytes.as_mut_ptr().cast(), values);
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, len);
        }
    }
}

/// All bits set in the first `count` (at most 8) 32-bit lanes.
///
/// # Safety
///
/// The processor must have AVX2.
#[inline(always)]
pub(super) unsafe fn first_lanes(count: usize) -> __m256i {
    // SAFETY: AVX2, by the contract.
    unsafe {
        let numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), numbers)
    }
}

/// AVX2 alone: products of 16-bit numbers, which cannot saturate as `vpmaddubsw` does.
#[derive(Clone, Copy)]
pub(super) struct Pairs;

impl Dot for Pairs {
    const TILE: usize = 4;
    const PAIRS: bool = true;

    #[inline(always)]
    unsafe fn add_dot(sum: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i {
        // SAFETY: AVX2, by the contract.
        unsafe {
            let even = _mm256_and_si256(unsigned, _mm256_set1_epi16(0xff));
            let odd = _mm256_srli_epi16::<8>(unsigned);
            let even_weights = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(signed));
            let odd_weights = _mm256_srai_epi16::<8>(signed);
            let sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, even_weights));
            _mm256_add_epi32(sum, _mm256_madd_epi16(odd, odd_weights))
        }
    }
    #[inline(always)]
    unsafe fn add_dot_even(sum: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i {
        // SAFETY: AVX2, by the contract.
        unsafe {
            let even = _mm256_and_si256(unsigned, _mm256_set1_epi16(0xff));
            let even_weights = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(signed));
            _mm256_add_epi32(sum, _mm256_madd_epi16(even, even_weights))
        }
    }
}

/// AVX-VNNI.
#[derive(Clone, Copy)]
pub(super) struct Vnni;

impl Dot for Vnni {
    const TILE: usize = 6;

    #[inline(always)]
    unsafe fn add_dot(sum: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i {
        // SAFETY: AVX-VNNI, by the contract.
        unsafe { _mm256_dpbusd_avx_epi32(sum, unsigned, signed) }
    }
}

/// AVX-512 VL with VNNI, for the ends of what 512-bit vectors compute.
#[derive(Clone, Copy)]
pub(super) struct Masked;

impl Dot for Masked {
    const TILE: usize = 14;
    const OVERLAPS: bool = true;

    #[inline(always)]
    unsafe fn add_dot(sum: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i {
        // SAFETY: AVX-512 VL and VNNI, by the contract.
        unsafe { _mm256_dpbusd_epi32(sum, unsigned, signed) }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const u8, len: usize) -> __m256i {
        // SAFETY: AVX-512 BW and VL, by the contract; bytes that the mask leaves out are not touched.
        unsafe { _mm256_maskz_loadu_epi8((1 << len) - 1, from.cast()) }
    }
    #[inline(always)]
    unsafe fn replace_between(values: __m256i, from: *const u8, start: usize, end: usize) -> __m256i {
        let mask = (((1u64 << end) - 1) & !((1 << start) - 1)) as __mmask32;
        // SAFETY: AVX-512 BW and VL, by the contract; bytes that the mask leaves out are not touched, so that it does not matter
        // whether the address of byte 0 is within the memory.
        unsafe { _mm256_mask_loadu_epi8(values, mask, from.wrapping_sub(start).cast()) }
    }
    #[inline(always)]
    unsafe fn store_first(values: __m256i, to: *mut u8, len: usize) {
        // SAFETY: AVX-512 BW and VL, by the contract; bytes that the mask leaves out are not touched.
        unsafe { _mm256_mask_storeu_epi8(to.cast(), (1 << len) - 1, values) }
    }
}

/// A 256-bit vector.
#[derive(Clone, Copy)]
pub(super) struct Narrow<D>(__m256i, PhantomData<D>);

#[inline(always)]
fn new<D>(bits: __m256i) -> Narrow<D> {
    Narrow(bits, PhantomData)
}

// SAFETY (all functions): the trait's contract; intrinsics on registers need nothing but the instruction set.
impl<D: Dot> Vector for Narrow<D> {
    type Half = Self;
    type Orders = ();
    const BYTES: usize = 32;
    const SHORT: usize = 16;
    const TILE: usize = D::TILE;
    const PAIRS: bool = D::PAIRS;
    const OVERLAPS: bool = D::OVERLAPS;

    #[inline(always)]
    unsafe fn orders() {}
    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        new(unsafe { _mm256_loadu_si256(from.cast()) })
    }
    #[inline(always)]
    unsafe fn load_first(from: *const u8, len: usize) -> Self {
        if len >= 32 {
            return unsafe { Self::load(from) };
        }
        new(unsafe { D::load_first(from, len) })
    }
    #[inline(always)]
    unsafe fn replace_between(self, from: *const u8, start: usize, end: usize) -> Self {
        if start == 0 && end == 32 {
            return unsafe { Self::load(from) };
        }
        new(unsafe { D::replace_between(self.0, from, start, end) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        unsafe { _mm256_storeu_si256(to.cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut u8, len: usize) {
        if len >= 32 {
            return unsafe { self.store(to) };
        }
        unsafe { D::store_first(self.0, to, len) }
    }
    #[inline(always)]
    unsafe fn store_low_half(self, to: *mut u8) {
        unsafe { _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(self.0)) }
    }
    #[inline(always)]
    unsafe fn copy_short(from: *const u8, to: *mut u8, bits: i8) {
        unsafe {
            let bytes = _mm_loadu_si128(from.cast());
            _mm_storeu_si128(to.cast(), _mm_xor_si128(bytes, _mm_set1_epi8(bits)));
        }
    }
    #[inline(always)]
    unsafe fn high_half(self) -> Self {
        new(unsafe { _mm256_castsi128_si256(_mm256_extracti128_si256::<1>(self.0)) })
    }
    #[inline(always)]
    unsafe fn splat_8(value: i8) -> Self {
        new(unsafe { _mm256_set1_epi8(value) })
    }
    #[inline(always)]
    unsafe fn splat_32(value: i32) -> Self {
        new(unsafe { _mm256_set1_epi32(value) })
    }
    #[inline(always)]
    unsafe fn splat_64(value: i64) -> Self {
        new(unsafe { _mm256_set1_epi64x(value) })
    }
    #[inline(always)]
    unsafe fn splat_from(from: *const u8) -> Self {
        new(unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) })
    }
    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        new(unsafe { _mm256_xor_si256(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn and(self, other: Self) -> Self {
        new(unsafe { _mm256_and_si256(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn lookup(self, table: *const u8) -> Self {
        // Each 16 entries give zeros to bytes that are not theirs.
        unsafe {
            let index = _mm256_xor_si256(self.0, _mm256_set1_epi8(-128));
            let mut found = _mm256_setzero_si256();
            for part in 0..16 {
                let entries = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.add(16 * part).cast()));
                let within = _mm256_xor_si256(index, _mm256_set1_epi8((16 * part) as i8));
                let within = _mm256_adds_epu8(within, _mm256_set1_epi8(0x70));
                found = _mm256_or_si256(found, _mm256_shuffle_epi8(entries, within));
            }
            new(found)
        }
    }
    #[inline(always)]
    unsafe fn add_dot(self, unsigned: Self, signed: Self) -> Self {
        new(unsafe { D::add_dot(self.0, unsigned.0, signed.0) })
    }
    #[inline(always)]
    unsafe fn add_dot_even(self, unsigned: Self, signed: Self) -> Self {
        new(unsafe { D::add_dot_even(self.0, unsigned.0, signed.0) })
    }
    #[inline(always)]
    unsafe fn add_dot_16(self, a: Self, b: Self) -> Self {
        new(unsafe { _mm256_add_epi32(self.0, _mm256_madd_epi16(a.0, b.0)) })
    }
    #[inline(always)]
    unsafe fn add_32(self, other: Self) -> Self {
        new(unsafe { _mm256_add_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn sign_32(self) -> Self {
        new(unsafe { _mm256_srai_epi32::<31>(self.0) })
    }
    #[inline(always)]
    unsafe fn shift_right_32(self, counts: Self) -> Self {
        new(unsafe { _mm256_srav_epi32(self.0, counts.0) })
    }
    #[inline(always)]
    unsafe fn shift_left_32(self, counts: Self) -> Self {
        new(unsafe { _mm256_sllv_epi32(self.0, counts.0) })
    }
    #[inline(always)]
    unsafe fn add_64(self, other: Self) -> Self {
        new(unsafe { _mm256_add_epi64(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn multiply_low_halves(self, other: Self) -> Self {
        new(unsafe { _mm256_mul_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn shift_right_64(self, counts: Self) -> Self {
        // AVX2 shifts zeros in; with the sign bit flipped before, and taken off where it went, they are signs.
        unsafe {
            let sign = _mm256_set1_epi64x(i64::MIN);
            let shifted = _mm256_srlv_epi64(_mm256_xor_si256(self.0, sign), counts.0);
            new(_mm256_sub_epi64(shifted, _mm256_srlv_epi64(sign, counts.0)))
        }
    }
    #[inline(always)]
    unsafe fn low_halves_up(self) -> Self {
        new(unsafe { _mm256_slli_epi64::<32>(self.0) })
    }
    #[inline(always)]
    unsafe fn high_halves(self) -> Self {
        new(unsafe { _mm256_srli_epi64::<32>(self.0) })
    }
    #[inline(always)]
    unsafe fn merge_high_halves(self, odd: Self, _: ()) -> Self {
        unsafe {
            new(_mm256_blend_epi32::<0xaa>(
                _mm256_shuffle_epi32::<0b11_11_01_01>(self.0),
                odd.0,
            ))
        }
    }
    #[inline(always)]
    unsafe fn scale_float(self, scale: Self, offset: Self) -> Self {
        unsafe {
            let (scale, offset) = (_mm256_castsi256_ps(scale.0), _mm256_castsi256_ps(offset.0));
            let scaled = _mm256_fmadd_ps(_mm256_cvtepi32_ps(self.0), scale, offset);
            new(_mm256_cvtps_epi32(scaled))
        }
    }
    #[inline(always)]
    unsafe fn add_saturating_16(self, other: Self) -> Self {
        new(unsafe { _mm256_adds_epi16(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn pack_32(self, other: Self) -> Self {
        new(unsafe { _mm256_packs_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn pack_16(self, other: Self) -> Self {
        new(unsafe { _mm256_packs_epi16(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn min_8(self, other: Self) -> Self {
        new(unsafe { _mm256_min_epi8(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn max_8(self, other: Self) -> Self {
        new(unsafe { _mm256_max_epi8(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn unzip_64(self, _: ()) -> Self {
        new(unsafe { _mm256_permute4x64_epi64::<0b11_01_10_00>(self.0) })
    }
    #[inline(always)]
    unsafe fn unzip_32(self, _: ()) -> Self {
        unsafe {
            let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            new(_mm256_permutevar8x32_epi32(self.0, order))
        }
    }
    #[inline(always)]
    unsafe fn interleave_low_8(self, other: Self) -> Self {
        new(unsafe { _mm256_unpacklo_epi8(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn interleave_high_8(self, other: Self) -> Self {
        new(unsafe { _mm256_unpackhi_epi8(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn interleave_low_16(self, other: Self) -> Self {
        new(unsafe { _mm256_unpacklo_epi16(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn interleave_high_16(self, other: Self) -> Self {
        new(unsafe { _mm256_unpackhi_epi16(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn interleave_low_32(self, other: Self) -> Self {
        new(unsafe { _mm256_unpacklo_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn interleave_high_32(self, other: Self) -> Self {
        new(unsafe { _mm256_unpackhi_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn interleave_low_64(self, other: Self) -> Self {
        new(unsafe { _mm256_unpacklo_epi64(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn interleave_high_64(self, other: Self) -> Self {
        new(unsafe { _mm256_unpackhi_epi64(self.0, other.0) })
    }
}

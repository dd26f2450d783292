//! 512-bit vectors: AVX-512 F, BW, VL, DQ and VNNI.

use super::narrow::{Masked, Narrow};
use super::vector::Vector;
use core::arch::x86_64::*;

/// A 512-bit vector.
#[derive(Clone, Copy)]
pub(super) struct Wide(__m512i);

/// See [`Vector::Orders`].
#[derive(Clone, Copy)]
pub(super) struct Orders {
    even_32: __mmask16,
    unzip_64: __m512i,
    unzip_32: __m512i,
}

/// A mask of the first `len` of 64 bytes.
#[inline(always)]
fn first(len: usize) -> __mmask64 {
    if len >= 64 { !0 } else { (1 << len) - 1 }
}

// SAFETY (all functions): the trait's contract; intrinsics on registers need nothing but the instruction set.
impl Vector for Wide {
    type Half = Narrow<Masked>;
    type Orders = Orders;
    const BYTES: usize = 64;
    const SHORT: usize = 32;
    const TILE: usize = 14;
    const OVERLAPS: bool = true;
    const PAIRS: bool = false;

    #[inline(always)]
    unsafe fn orders() -> Orders {
        core::hint::black_box(unsafe {
            Orders {
                even_32: 0x5555,
                unzip_64: _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7),
                unzip_32: _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
            }
        })
    }
    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        Self(unsafe { _mm512_loadu_si512(from.cast()) })
    }
    #[inline(always)]
    unsafe fn load_first(from: *const u8, len: usize) -> Self {
        Self(unsafe { _mm512_maskz_loadu_epi8(first(len), from.cast()) })
    }
    #[inline(always)]
    unsafe fn replace_between(self, from: *const u8, start: usize, end: usize) -> Self {
        let mask = first(end) & !first(start);
        // The address of byte 0 may be outside the memory; masked bytes are not touched.
        let from = from.wrapping_sub(start);
        Self(unsafe { _mm512_mask_loadu_epi8(self.0, mask, from.cast()) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        unsafe { _mm512_storeu_si512(to.cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut u8, len: usize) {
        unsafe { _mm512_mask_storeu_epi8(to.cast(), first(len), self.0) }
    }
    #[inline(always)]
    unsafe fn store_low_half(self, to: *mut u8) {
        unsafe { _mm256_storeu_si256(to.cast(), _mm512_castsi512_si256(self.0)) }
    }
    #[inline(always)]
    unsafe fn copy_short(from: *const u8, to: *mut u8, bits: i8) {
        unsafe {
            let bytes = _mm256_loadu_si256(from.cast());
            _mm256_storeu_si256(to.cast(), _mm256_xor_si256(bytes, _mm256_set1_epi8(bits)));
        }
    }
    #[inline(always)]
    unsafe fn high_half(self) -> Self {
        unsafe { Self(_mm512_castsi256_si512(_mm512_extracti64x4_epi64::<1>(self.0))) }
    }
    #[inline(always)]
    unsafe fn splat_8(value: i8) -> Self {
        Self(unsafe { _mm512_set1_epi8(value) })
    }
    #[inline(always)]
    unsafe fn splat_32(value: i32) -> Self {
        Self(unsafe { _mm512_set1_epi32(value) })
    }
    #[inline(always)]
    unsafe fn splat_64(value: i64) -> Self {
        Self(unsafe { _mm512_set1_epi64(value) })
    }
    #[inline(always)]
    unsafe fn splat_from(from: *const u8) -> Self {
        Self(unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) })
    }
    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        Self(unsafe { _mm512_xor_si512(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn and(self, other: Self) -> Self {
        Self(unsafe { _mm512_and_si512(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn lookup(self, table: *const u8) -> Self {
        // AVX-512 BW looks up 16 bits; the byte wanted is one of two.
        unsafe {
            let part = |i: usize| _mm512_loadu_si512(table.add(64 * i).cast());
            let (a, b, c, d) = (part(0), part(1), part(2), part(3));
            let pairs = |index: __m512i| {
                let pair = _mm512_srli_epi16::<1>(index);
                let low = _mm512_permutex2var_epi16(a, pair, b);
                let high = _mm512_permutex2var_epi16(c, pair, d);
                let upper = _mm512_test_epi16_mask(pair, _mm512_set1_epi16(64));
                let both = _mm512_mask_blend_epi16(upper, low, high);
                let odd = _mm512_and_si512(index, _mm512_set1_epi16(1));
                _mm512_srlv_epi16(both, _mm512_slli_epi16::<3>(odd))
            };
            let index = _mm512_xor_si512(self.0, _mm512_set1_epi8(-128));
            let low_byte = _mm512_set1_epi16(0xff);
            let low = pairs(_mm512_and_si512(index, low_byte));
            let high = pairs(_mm512_srli_epi16::<8>(index));
            // The low byte of `low`, the high byte of the shifted `high`.
            Self(_mm512_ternarylogic_epi32::<0xd8>(
                _mm512_slli_epi16::<8>(high),
                low,
                low_byte,
            ))
        }
    }
    #[inline(always)]
    unsafe fn add_dot(self, unsigned: Self, signed: Self) -> Self {
        Self(unsafe { _mm512_dpbusd_epi32(self.0, unsigned.0, signed.0) })
    }
    #[inline(always)]
    unsafe fn add_dot_16(self, a: Self, b: Self) -> Self {
        Self(unsafe { _mm512_dpwssd_epi32(self.0, a.0, b.0) })
    }
    #[inline(always)]
    unsafe fn add_32(self, other: Self) -> Self {
        Self(unsafe { _mm512_add_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn sign_32(self) -> Self {
        Self(unsafe { _mm512_srai_epi32::<31>(self.0) })
    }
    #[inline(always)]
    unsafe fn shift_right_32(self, counts: Self) -> Self {
        Self(unsafe { _mm512_srav_epi32(self.0, counts.0) })
    }
    #[inline(always)]
    unsafe fn shift_left_32(self, counts: Self) -> Self {
        Self(unsafe { _mm512_sllv_epi32(self.0, counts.0) })
    }
    #[inline(always)]
    unsafe fn add_64(self, other: Self) -> Self {
        Self(unsafe { _mm512_add_epi64(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn multiply_low_halves(self, other: Self) -> Self {
        Self(unsafe { _mm512_mul_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn shift_right_64(self, counts: Self) -> Self {
        Self(unsafe { _mm512_srav_epi64(self.0, counts.0) })
    }
    #[inline(always)]
    unsafe fn low_halves_up(self) -> Self {
        Self(unsafe { _mm512_slli_epi64::<32>(self.0) })
    }
    #[inline(always)]
    unsafe fn high_halves(self) -> Self {
        Self(unsafe { _mm512_srli_epi64::<32>(self.0) })
    }
    #[inline(always)]
    unsafe fn merge_high_halves(self, odd: Self, orders: Orders) -> Self {
        unsafe { Self(_mm512_mask_shuffle_epi32::<0xf5>(odd.0, orders.even_32, self.0)) }
    }
    #[inline(always)]
    unsafe fn scale_float(self, scale: Self, offset: Self) -> Self {
        unsafe {
            let (scale, offset) = (_mm512_castsi512_ps(scale.0), _mm512_castsi512_ps(offset.0));
            Self(_mm512_cvtps_epi32(_mm512_fmadd_ps(
                _mm512_cvtepi32_ps(self.0),
                scale,
                offset,
            )))
        }
    }
    #[inline(always)]
    unsafe fn add_saturating_16(self, other: Self) -> Self {
        Self(unsafe { _mm512_adds_epi16(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn pack_32(self, other: Self) -> Self {
        Self(unsafe { _mm512_packs_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn pack_16(self, other: Self) -> Self {
        Self(unsafe { _mm512_packs_epi16(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn min_8(self, other: Self) -> Self {
        Self(unsafe { _mm512_min_epi8(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn max_8(self, other: Self) -> Self {
        Self(unsafe { _mm512_max_epi8(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn unzip_64(self, orders: Orders) -> Self {
        Self(unsafe { _mm512_permutexvar_epi64(orders.unzip_64, self.0) })
    }
    #[inline(always)]
    unsafe fn unzip_32(self, orders: Orders) -> Self {
        Self(unsafe { _mm512_permutexvar_epi32(orders.unzip_32, self.0) })
    }
    #[inline(always)]
    unsafe fn interleave_low_8(self, other: Self) -> Self {
        Self(unsafe { _mm512_unpacklo_epi8(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn interleave_high_8(self, other: Self) -> Self {
        Self(unsafe { _mm512_unpackhi_epi8(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn interleave_low_16(self, other: Self) -> Self {
        Self(unsafe { _mm512_unpacklo_epi16(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn interleave_high_16(self, other: Self) -> Self {
        Self(unsafe { _mm512_unpackhi_epi16(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn interleave_low_32(self, other: Self) -> Self {
        Self(unsafe { _mm512_unpacklo_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn interleave_high_32(self, other: Self) -> Self {
        Self(unsafe { _mm512_unpackhi_epi32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn interleave_low_64(self, other: Self) -> Self {
        Self(unsafe { _mm512_unpacklo_epi64(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn interleave_high_64(self, other: Self) -> Self {
        Self(unsafe { _mm512_unpackhi_epi64(self.0, other.0) })
    }
}

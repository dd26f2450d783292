//! The innermost loop of [`pairs`](super::pairs): tiles of a few pixels and one or two vectors of channels.

use super::multiply::MAX_TILE;
use super::pairs::{BYTES, STEPS};
use super::vector::Vector;
use crate::layout::x86_gemm::{DEPTH_STEP, Pairs};
use core::arch::asm;
use core::arch::x86_64::*;

/// What the innermost loop reads.
pub(super) struct Tile {
    pub inputs: *const u8,
    pub own: *const i32,
    pub weights: *const u8,
    pub steps: usize,
    /// For each vector of channels, what sums start from, but for the pixel's own.
    pub start: [__m256i; 2],
}

/// The instructions of a step for one pixel of a whole tile: its inputs' place, and the registers of its sums.
macro_rules! pixel_step {
    ($pixel:literal, $first:literal, $second:literal) => {
        concat!(
            "vpbroadcastd {even}, dword ptr [{inputs} + 64 * ",
            $pixel,
            "]\n",
            "vpbroadcastd {odd}, dword ptr [{inputs} + 64 * ",
            $pixel,
            " + 32]\n",
            "vpaddw {a}, {even}, {odd_weights_0}\n",
            "vpaddw {b}, {odd}, {even_weights_0}\n",
            "vpmaddwd {a}, {a}, {b}\n",
            "vpaddd {",
            $first,
            "}, {",
            $first,
            "}, {a}\n",
            "vpaddw {even}, {even}, {odd_weights_1}\n",
            "vpaddw {odd}, {odd}, {even_weights_1}\n",
            "vpmaddwd {even}, {even}, {odd}\n",
            "vpaddd {",
            $second,
            "}, {",
            $second,
            "}, {even}\n",
        )
    };
}

impl Tile {
    /// The sums of a whole tile and two vectors of channels, those of each pixel together. In assembly: it takes all 16
    /// registers, and compilers have kept sums in memory instead, which took twice the time and more.
    ///
    /// # Safety
    ///
    /// The processor has AVX2; otherwise as [`multiply_size`](Self::multiply_size).
    #[target_feature(enable = "avx2")]
    pub unsafe fn multiply_whole(&self) -> [__m256i; 2 * Pairs::TILE] {
        // SAFETY: of the pixels' inputs and of the weights, `steps` steps are read, as in `multiply_size`; nothing is written.
        unsafe {
            let mut sums = [self.start[0]; 2 * Pairs::TILE];
            for (pixel, sums) in sums.chunks_exact_mut(2).enumerate() {
                let own = _mm256_set1_epi32(self.own.add(pixel).read_unaligned());
                sums[0] = _mm256_sub_epi32(self.start[0], own);
                sums[1] = _mm256_sub_epi32(self.start[1], own);
            }
            let [mut s0, mut s1, mut s2, mut s3, mut s4, mut s5, mut s6, mut s7] = sums;
            let (mut inputs, mut weights, mut left) = (self.inputs, self.weights, self.steps);
            while left > 0 {
                let steps = left.min(STEPS);
                asm!(
                    "2:",
                    "vmovdqu {even_weights_0}, ymmword ptr [{weights}]",
                    "vmovdqu {odd_weights_0}, ymmword ptr [{weights} + 32]",
                    "vmovdqu {even_weights_1}, ymmword ptr [{weights} + 64]",
                    "vmovdqu {odd_weights_1}, ymmword ptr [{weights} + 96]",
                    pixel_step!("0", "s0", "s1"),
                    pixel_step!("1", "s2", "s3"),
                    pixel_step!("2", "s4", "s5"),
                    pixel_step!("3", "s6", "s7"),
                    "add {inputs}, 4",
                    "add {weights}, 128",
                    "dec {steps}",
                    "jnz 2b",
                    inputs = inout(reg) inputs => _,
                    weights = inout(reg) weights,
                    steps = inout(reg) steps => _,
                    s0 = inout(ymm_reg) s0,
                    s1 = inout(ymm_reg) s1,
                    s2 = inout(ymm_reg) s2,
                    s3 = inout(ymm_reg) s3,
                    s4 = inout(ymm_reg) s4,
                    s5 = inout(ymm_reg) s5,
                    s6 = inout(ymm_reg) s6,
                    s7 = inout(ymm_reg) s7,
                    even_weights_0 = out(ymm_reg) _,
                    odd_weights_0 = out(ymm_reg) _,
                    even_weights_1 = out(ymm_reg) _,
                    odd_weights_1 = out(ymm_reg) _,
                    even = out(ymm_reg) _,
                    odd = out(ymm_reg) _,
                    a = out(ymm_reg) _,
                    b = out(ymm_reg) _,
                    options(nostack, readonly),
                );
                inputs = inputs.add(Pairs::TILE * 2 * BYTES);
                left -= steps;
            }
            [s0, s1, s2, s3, s4, s5, s6, s7]
        }
    }

    /// The sums of `len` pixels and one or two vectors of channels, with two fewer than a whole tile: those of each pixel
    /// together.
    #[inline(always)]
    pub unsafe fn multiply<V: Vector>(&self, len: usize, groups: usize, sums: &mut [V; 2 * MAX_TILE]) {
        // SAFETY: the caller's.
        unsafe {
            match (len, groups) {
                (1, 1) => self.multiply_size::<V, 1, 1>(sums),
                (2, 1) => self.multiply_size::<V, 2, 1>(sums),
                (3, 1) => self.multiply_size::<V, 3, 1>(sums),
                (4, 1) => self.multiply_size::<V, 4, 1>(sums),
                (1, _) => self.multiply_size::<V, 1, 2>(sums),
                (2, _) => self.multiply_size::<V, 2, 2>(sums),
                _ => self.multiply_size::<V, 3, 2>(sums),
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply_size<V: Vector, const PIXELS: usize, const GROUPS: usize>(
        &self,
        sums: &mut [V; 2 * MAX_TILE],
    ) {
        // SAFETY: for each pixel, the inputs of `steps` steps, in pairs of vectors; the weights likewise.
        unsafe {
            let mut tile = [[_mm256_setzero_si256(); GROUPS]; PIXELS];
            for (pixel, sums) in tile.iter_mut().enumerate() {
                let own = _mm256_set1_epi32(self.own.add(pixel).read_unaligned());
                for (sum, start) in sums.iter_mut().zip(self.start) {
                    *sum = _mm256_sub_epi32(start, own);
                }
            }
            let (mut inputs, mut weights, mut left) = (self.inputs, self.weights, self.steps);
            while left > 0 {
                let steps = left.min(STEPS);
                let mut at = inputs;
                for _ in 0..steps {
                    let mut columns = [(self.start[0], self.start[0]); GROUPS];
                    for (group, (even, odd)) in columns.iter_mut().enumerate() {
                        *even = _mm256_loadu_si256(weights.add(group * 2 * BYTES).cast());
                        *odd = _mm256_loadu_si256(weights.add(group * 2 * BYTES + BYTES).cast());
                    }
                    for (pixel, sums) in tile.iter_mut().enumerate() {
                        let at = at.add(pixel * 2 * BYTES).cast::<i32>();
                        let even = _mm256_set1_epi32(at.read_unaligned());
                        let odd = _mm256_set1_epi32(at.add(STEPS).read_unaligned());
                        for (sum, (even_weights, odd_weights)) in sums.iter_mut().zip(columns) {
                            let first = _mm256_add_epi16(even, odd_weights);
                            let second = _mm256_add_epi16(odd, even_weights);
                            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(first, second));
                        }
                    }
                    at = at.add(DEPTH_STEP);
                    weights = weights.add(GROUPS * 2 * BYTES);
                }
                inputs = inputs.add(PIXELS * 2 * BYTES);
                left -= steps;
            }
            for (pixel, tile) in tile.iter().enumerate() {
                for (group, sum) in tile.iter().enumerate() {
                    sums[pixel * GROUPS + group] = V::load((&raw const *sum).cast());
                }
            }
        }
    }
}

//! Products of matrices by AVX2 with half the multiplications (S. Winograd, "A New Algorithm for Inner Product", IEEE
//! Transactions on Computers, 1968).
//!
//! AVX2's product of bytes, `vpmaddubsw`, saturates; its product of 16-bit numbers, `vpmaddwd`, takes two instructions for
//! four products a lane, which most processors issue on two ports only. But
//!
//! ```text
//! x₀ w₀ + x₁ w₁ = (x₀ + w₁) (x₁ + w₀) − x₀ x₁ − w₀ w₁
//! ```
//!
//! and the last two products belong to a pixel and to a channel alone: each is computed once, and taken off the bias. What is
//! left for four products a lane is one `vpmaddwd` and three additions. Sums of an unsigned and a signed byte fit 16 bits,
//! pairs of their products fit 32; sums of these wrap, as the specification's do.
//!
//! Inputs and weights are widened beforehand: of each four, numbers 0 and 2 (the even ones) to one place, 1 and 3 to another.
//! Inputs are for a block of pixels, weights for as many channels as a tile has.

use super::gather::{Order, Source};
use super::multiply::{Destination, MAX_TILE, PairScales, finish_pair, finish_single};
use super::narrow::first_lanes;
use super::pairs_tile::Tile;
use super::product::{Tiles, Walk};
use super::requantize::{ANY, CLAMPED, FLOAT_CLAMPED, FLOAT_SIGNED, Output, SIGNED, Scales};
use super::vector::Vector;
use crate::Band;
use crate::layout::x86::{GROUP, GroupConstants};
use crate::layout::x86_gemm::{CHUNK, DEPTH_STEP, Pairs, panel_weights, panels};
use crate::operator::Linear;
use core::arch::x86_64::*;

/// Bytes of a vector.
pub(super) const BYTES: usize = 32;
/// Steps of the depth whose inputs are one vector of bytes.
pub(super) const STEPS: usize = BYTES / DEPTH_STEP;

/// As [`product`](super::product), for processors that have AVX2 and no product of bytes that does not saturate; `V` is their
/// vector. The arguments have been checked, but not the length of the scratch memory `prepared`.
///
/// # Safety
///
/// The processor has AVX2 and `V`'s instruction set; the output has room for the walk's pixels, `prepared` is at a multiple of
/// 64, and the operator has a packed block for this depth and so many channels.
#[inline(always)]
pub(super) unsafe fn product<V: Vector, S: Source>(
    linear: &Linear,
    depth: usize,
    mut walk: Walk,
    output: &mut Band,
    prepared: &mut [i8],
    source: S,
) -> Option<()> {
    let channels = output.shape.channels as usize;
    let pixels = output.rows * output.shape.width as usize;
    let room = Pairs::of(depth, pixels);
    if prepared.len() < room.len() {
        // Never so in a model: its view has checked it.
        return None;
    }
    let bytes = prepared.as_mut_ptr().cast::<u8>();
    // SAFETY: these lie within the room, one after the other.
    let (weights, inputs, own) = unsafe {
        let weights = bytes.add(room.bytes);
        let inputs = weights.add(room.weights);
        (weights, inputs, inputs.add(room.inputs).cast::<i32>())
    };
    for first_pixel in (0..pixels).step_by(room.block) {
        let pixels = room.block.min(pixels - first_pixel);
        for first in (0..pixels).step_by(Pairs::TOGETHER) {
            let together = Pairs::TOGETHER.min(pixels - first);
            // SAFETY: there is room for so many pixels, and for those widened.
            unsafe {
                walk.fill::<V, S>(&source, bytes, together, Order::by_chunks(together))?;
                for tile in (0..together).step_by(Pairs::TILE) {
                    let from = bytes.add(tile * CHUNK);
                    let to = inputs.add((first + tile) * Pairs::pixel_len(depth));
                    let len = Pairs::TILE.min(together - tile);
                    widen_inputs((from, together), depth, len, to, own.add(first + tile));
                }
            }
        }
        let block = Block {
            inputs,
            own,
            weights,
            tiles: Tiles::full(pixels, Pairs::TILE),
            steps: depth.div_ceil(DEPTH_STEP),
            pixel_len: Pairs::pixel_len(depth),
        };
        // SAFETY: the block is prepared, and the output has room for it from `first_pixel` on.
        unsafe {
            let to = output.data.as_mut_ptr().cast::<u8>().add(first_pixel * channels);
            block.multiply::<V>(linear, depth, channels, to);
        }
    }
    Some(())
}

/// Widens a tile's inputs. For each 32 bytes, for each pixel, two vectors: even and odd ones. Of each pixel, the sum of
/// products of neighbours goes to `own`.
///
/// # Safety
///
/// The processor has AVX2; the pixels, `len` of which are the tile's, are as a [`Source`] prepares so many `together`, and
/// there is room for what is written.
#[inline(always)]
unsafe fn widen_inputs(
    (pixels, together): (*const u8, usize),
    depth: usize,
    len: usize,
    to: *mut u8,
    own: *mut i32,
) {
    // SAFETY: the contract. Beyond the depth's last step, where no weights are, inputs count as zeros.
    unsafe {
        let mut sums = [_mm256_setzero_si256(); Pairs::TILE];
        let depth = depth.next_multiple_of(DEPTH_STEP);
        let mut to = to;
        for start in (0..depth).step_by(BYTES) {
            let from = pixels.add(start / CHUNK * CHUNK * together + start % CHUNK);
            let lanes = first_lanes(STEPS.min((depth - start) / DEPTH_STEP));
            for (pixel, sum) in sums.iter_mut().enumerate().take(len) {
                let bytes = _mm256_maskload_epi32(from.add(pixel * CHUNK).cast(), lanes);
                let even = _mm256_and_si256(bytes, _mm256_set1_epi16(0xff));
                let odd = _mm256_srli_epi16::<8>(bytes);
                _mm256_storeu_si256(to.cast(), even);
                _mm256_storeu_si256(to.add(BYTES).cast(), odd);
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(even, odd));
                to = to.add(2 * BYTES);
            }
        }
        for (pixel, sum) in sums.iter().enumerate().take(len) {
            let half = _mm_add_epi32(_mm256_castsi256_si128(*sum), _mm256_extracti128_si256::<1>(*sum));
            let half = _mm_add_epi32(half, _mm_shuffle_epi32::<0b01_00_11_10>(half));
            let half = _mm_add_epi32(half, _mm_shuffle_epi32::<0b10_11_00_01>(half));
            own.add(pixel).write_unaligned(_mm_cvtsi128_si32(half));
        }
    }
}

/// Widens the weights of one or two vectors of channels. For each step, for each, two vectors: even and odd ones. Returns the sums
/// of products of neighbours.
///
/// # Safety
///
/// The processor has AVX2; `from` is where the first step's first vector lies, the second lies `between` bytes after it, and the
/// next step's `step_len` bytes; there is room for what is written.
#[inline(always)]
unsafe fn widen_weights<const VECTORS: usize>(
    from: *const u8,
    (between, step_len): (usize, usize),
    steps: usize,
    to: *mut u8,
) -> [__m256i; 2] {
    // SAFETY: the contract.
    unsafe {
        let zero = _mm256_setzero_si256();
        let mut sums = [zero; VECTORS];
        let (mut from, mut to) = (from, to);
        for _ in 0..steps {
            for (vector, sum) in sums.iter_mut().enumerate() {
                let bytes = _mm256_loadu_si256(from.add(vector * between).cast());
                let even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(bytes));
                let odd = _mm256_srai_epi16::<8>(bytes);
                _mm256_storeu_si256(to.cast(), even);
                _mm256_storeu_si256(to.add(BYTES).cast(), odd);
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(even, odd));
                to = to.add(2 * BYTES);
            }
            from = from.add(step_len);
        }
        [sums[0], *sums.get(1).unwrap_or(&zero)]
    }
}

/// Prepared pixels.
struct Block {
    inputs: *const u8,
    /// Each pixel's sum of products of neighbouring inputs.
    own: *const i32,
    /// Where widened weights go.
    weights: *mut u8,
    tiles: Tiles,
    steps: usize,
    pixel_len: usize,
}

impl Block {
    /// Multiplies all pixels with all weights.
    ///
    /// # Safety
    ///
    /// As [`product`]; `to` has room for all pixels.
    #[inline(always)]
    unsafe fn multiply<V: Vector>(&self, linear: &Linear, depth: usize, channels: usize, to: *mut u8) {
        let mut panel = linear.weights.as_ptr();
        // SAFETY: the sum over panels of what is read is the block's length, which the caller has checked; outputs stay below
        // `channels` of each pixel.
        unsafe {
            let output = Output::<V>::of(linear);
            let mut sums = [V::splat_32(0); 2 * MAX_TILE];
            for (first_channel, groups) in panels(channels) {
                let weights = panel.add(groups * GroupConstants::SIZE);
                // A vector of each of two groups at a time, or both vectors of one.
                let (turns, constants, between) = if groups == 2 {
                    (2, GroupConstants::SIZE, GROUP * DEPTH_STEP)
                } else {
                    (1, BYTES, BYTES)
                };
                for turn in 0..turns {
                    let channel = first_channel + turn * GROUP;
                    if channel >= channels {
                        break;
                    }
                    let valid = GROUP.min(channels - channel);
                    let vectors = if groups == 1 && valid <= GROUP / 2 { 1 } else { 2 };
                    let (from, step_len) = (weights.add(turn * BYTES), groups * GROUP * DEPTH_STEP);
                    let mut start = if vectors == 1 {
                        widen_weights::<1>(from, (between, step_len), self.steps, self.weights)
                    } else {
                        widen_weights::<2>(from, (between, step_len), self.steps, self.weights)
                    };
                    for (vector, start) in start.iter_mut().enumerate().take(vectors) {
                        let bias = panel.add(turn * BYTES + vector * constants);
                        *start = _mm256_sub_epi32(_mm256_loadu_si256(bias.cast()), *start);
                    }
                    let first_scales = Scales::load(panel, turn);
                    let second_scales = if groups == 2 {
                        Scales::load(panel.add(GroupConstants::SIZE), turn)
                    } else {
                        Scales::load(panel, 1)
                    };
                    let scales = PairScales {
                        output: &output,
                        first: &first_scales,
                        second: &second_scales,
                        one_group: groups == 1,
                    };
                    let task = PanelTask {
                        block: self,
                        start,
                        to: to.add(channel),
                        channels,
                        valid,
                    };
                    let done = if vectors == 2 { task.whole_tiles(scales) } else { 0 };
                    for (first, len) in self.tiles.iter().skip(done) {
                        task.tile(first).multiply(len, vectors, &mut sums);
                        let destination = task.destination(first, len);
                        if vectors == 1 {
                            finish_single(&output, &sums, panel, 0, destination);
                        } else {
                            scales.finish(&sums, destination);
                        }
                    }
                }
                panel = weights.add(panel_weights(depth, groups));
            }
        }
    }
}

/// One or two vectors of channels, for all tiles.
struct PanelTask<'a> {
    block: &'a Block,
    start: [__m256i; 2],
    /// The first of the channels of the first pixel.
    to: *mut u8,
    /// Channels of a pixel.
    channels: usize,
    /// How many channels are written.
    valid: usize,
}

impl PanelTask<'_> {
    /// What is read for the tile that starts at a pixel.
    #[inline(always)]
    fn tile(&self, first: usize) -> Tile {
        Tile {
            inputs: self.block.inputs.wrapping_add(first * self.block.pixel_len),
            own: self.block.own.wrapping_add(first),
            weights: self.block.weights,
            steps: self.block.steps,
            start: self.start,
        }
    }

    /// Where its outputs go.
    #[inline(always)]
    fn destination(&self, first: usize, pixels: usize) -> Destination {
        Destination {
            to: self.to.wrapping_add(first * self.channels),
            pixels,
            channels: self.channels,
            valid: self.valid,
        }
    }

    /// Computes all whole tiles of two vectors of channels, and returns how many.
    ///
    /// # Safety
    ///
    /// As [`Block::multiply`].
    #[inline(always)]
    unsafe fn whole_tiles<V: Vector>(&self, scales: PairScales<V>) -> usize {
        // SAFETY: the contract.
        unsafe {
            match scales.output.formula([scales.first, scales.second]) {
                FLOAT_CLAMPED => self.whole_tiles_by::<V, FLOAT_CLAMPED>(scales),
                FLOAT_SIGNED => self.whole_tiles_by::<V, FLOAT_SIGNED>(scales),
                CLAMPED => self.whole_tiles_by::<V, CLAMPED>(scales),
                SIGNED => self.whole_tiles_by::<V, SIGNED>(scales),
                _ => self.whole_tiles_by::<V, ANY>(scales),
            }
        }
    }

    /// As [`whole_tiles`](Self::whole_tiles), by one formula.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn whole_tiles_by<V: Vector, const FORMULA: u8>(&self, scales: PairScales<V>) -> usize {
        let whole = self.block.tiles.pixels / Pairs::TILE;
        // SAFETY: the contract: so many tiles are prepared, and there is room for their outputs.
        unsafe {
            for tile in 0..whole {
                let first = tile * Pairs::TILE;
                let sums = self
                    .tile(first)
                    .multiply_whole()
                    .map(|sum| V::load((&raw const sum).cast()));
                let destination = self.destination(first, Pairs::TILE);
                finish_pair::<V, FORMULA, _>(scales, &sums, 0, 1, destination);
                finish_pair::<V, FORMULA, _>(scales, &sums, 2, 3, destination);
            }
        }
        whole
    }
}

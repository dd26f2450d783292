//! Prepared inputs times packed weights by vectors, and sums requantized into outputs.

use super::gather::Source;
use super::product::{OVERLAP, Tiles};
use super::requantize::{ANY, CLAMPED, FLOAT_CLAMPED, FLOAT_SIGNED, Output, SIGNED, Scales};
use super::shallow::Shallow;
use super::vector::Vector;
use crate::layout::x86::GroupConstants;
use crate::layout::x86_gemm::{CHUNK, DEPTH_STEP, panel_weights, panels, pixel_len};
use crate::operator::Linear;

/// The largest tile of any instruction set.
pub(super) const MAX_TILE: usize = 14;
/// Steps of the depth in a chunk.
pub(super) const STEPS: usize = CHUNK / DEPTH_STEP;

/// Multiplies prepared pixels with all weights.
///
/// # Safety
///
/// `prepared` holds the tiles, `linear.weights` a block of this layout, and `to` has room for all pixels.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn multiply_block<V: Vector, S: Source>(
    linear: &Linear,
    depth: usize,
    channels: usize,
    prepared: *const u8,
    tiles: Tiles,
    overlap: bool,
    to: *mut u8,
) {
    let steps = depth.div_ceil(DEPTH_STEP);
    let mut panel = linear.weights.as_ptr();
    // SAFETY: the sum over panels of what is read is the block's length, which the caller has checked; a tile's sums fit
    // the largest tile; outputs stay below `channels` of each pixel.
    unsafe {
        let output = Output::<V>::of(linear);
        let half_output = Output::<V::Half>::of(linear);
        let mut sums = [V::splat_32(0); 2 * MAX_TILE];
        let overlap = V::OVERLAPS && S::CONTIGUOUS && overlap;
        let shallow = V::OVERLAPS && steps <= STEPS;
        for (first_channel, groups) in panels(channels) {
            for half in 0..64 / V::BYTES {
                let width = groups * V::BYTES / 4;
                let channel = first_channel + half * width;
                if channel >= channels {
                    break;
                }
                let panel = Panel {
                    prepared,
                    pixel_len: if shallow && S::CONTIGUOUS {
                        depth
                    } else {
                        pixel_len(depth)
                    },
                    steps,
                    constants: panel,
                    groups,
                    half,
                    tiles,
                    to: to.add(channel),
                    channels,
                    valid: width.min(channels - channel),
                };
                if V::Half::BYTES < V::BYTES && groups == 1 && panel.valid <= width / 2 {
                    let mut sums = [V::Half::splat_32(0); 2 * MAX_TILE];
                    panel.multiply(&half_output, &mut sums, overlap);
                } else {
                    panel.multiply(&output, &mut sums, overlap);
                }
            }
            panel = panel.add(groups * GroupConstants::SIZE + panel_weights(depth, groups));
        }
    }
}

/// A panel of one or two groups of channels, and the tiles of pixels that it is multiplied with.
struct Panel {
    prepared: *const u8,
    /// Bytes of a prepared pixel.
    pixel_len: usize,
    steps: usize,
    constants: *const u8,
    groups: usize,
    /// See [`Scales::load`].
    half: usize,
    tiles: Tiles,
    /// The first of the panel's channels of the first pixel.
    to: *mut u8,
    /// Channels of a pixel.
    channels: usize,
    /// How many channels are written.
    valid: usize,
}

impl Panel {
    /// Multiplies, requantizes and writes; `overlap` says that tiles are of [`OVERLAP`] pixels.
    ///
    /// # Safety
    ///
    /// As [`multiply_block`].
    #[inline(always)]
    unsafe fn multiply<V: Vector>(&self, output: &Output<V>, sums: &mut [V; 2 * MAX_TILE], overlap: bool) {
        let Self {
            steps,
            half,
            groups,
            channels,
            valid,
            ..
        } = *self;
        // SAFETY: the contract.
        unsafe {
            if V::OVERLAPS && steps <= STEPS {
                let shallow = Shallow {
                    prepared: self.prepared,
                    pixel_len: self.pixel_len,
                    pixels: self.tiles.pixels,
                    steps,
                    constants: self.constants,
                    groups,
                    half,
                    to: self.to,
                    channels,
                    valid,
                };
                return shallow.multiply(output);
            }
            let done = if V::OVERLAPS && overlap && groups == 2 {
                self.multiply_overlapped(output, sums)
            } else {
                0
            };
            for (first, len) in self.tiles.iter().skip(done) {
                let constants = self.constants.add(half * V::BYTES);
                let tile = Tile {
                    inputs: self.prepared.add(first * self.pixel_len),
                    steps,
                    constants,
                    weights: constants.add(groups * GroupConstants::SIZE),
                };
                tile.multiply(len, groups, sums);
                let destination = Destination {
                    to: self.to.add(first * channels),
                    pixels: len,
                    channels,
                    valid,
                };
                if groups == 2 {
                    finish_pairs(output, sums, self.constants, half, destination);
                } else {
                    finish_single(output, sums, self.constants, half, destination);
                }
            }
        }
    }

    /// Computes the tiles of [`OVERLAP`] pixels, each while the one before it is requantized, and returns how many: none if
    /// the multipliers need the general formula.
    ///
    /// # Safety
    ///
    /// As [`multiply_block`].
    #[inline(always)]
    unsafe fn multiply_overlapped<V: Vector>(
        &self,
        output: &Output<V>,
        sums: &mut [V; 2 * MAX_TILE],
    ) -> usize {
        // SAFETY: the contract.
        unsafe {
            let first = Scales::load(self.constants, self.half);
            let second = Scales::load(self.constants.add(GroupConstants::SIZE), self.half);
            let pair = PairScales {
                output,
                first: &first,
                second: &second,
                one_group: false,
            };
            match output.formula([&first, &second]) {
                FLOAT_CLAMPED => self.multiply_overlapped_by::<V, FLOAT_CLAMPED>(pair, sums),
                FLOAT_SIGNED => self.multiply_overlapped_by::<V, FLOAT_SIGNED>(pair, sums),
                CLAMPED => self.multiply_overlapped_by::<V, CLAMPED>(pair, sums),
                SIGNED => self.multiply_overlapped_by::<V, SIGNED>(pair, sums),
                _ => 0,
            }
        }
    }

    /// As [`multiply_overlapped`](Self::multiply_overlapped), by one formula.
    #[inline(always)]
    unsafe fn multiply_overlapped_by<V: Vector, const FORMULA: u8>(
        &self,
        pair: PairScales<V>,
        sums: &mut [V; 2 * MAX_TILE],
    ) -> usize {
        let mut before: Option<Destination> = None;
        let full = self.tiles.pixels / OVERLAP;
        // SAFETY: the contract.
        unsafe {
            for tile in 0..full {
                let first = tile * OVERLAP;
                let destination = Destination {
                    to: self.to.add(first * self.channels),
                    pixels: OVERLAP,
                    channels: self.channels,
                    valid: self.valid,
                };
                let tile = Tile {
                    inputs: self.prepared.add(first * self.pixel_len),
                    steps: self.steps,
                    constants: self.constants.add(self.half * V::BYTES),
                    weights: self
                        .constants
                        .add(2 * GroupConstants::SIZE + self.half * V::BYTES),
                };
                match before {
                    None => tile.multiply_size::<V, OVERLAP, 2>(sums),
                    Some(before) => tile.multiply_while_finishing::<V, FORMULA>(sums, pair, before),
                }
                before = Some(destination);
            }
            if let Some(before) = before {
                for pixel in (0..OVERLAP).step_by(2) {
                    finish_pair::<V, FORMULA, _>(pair, sums, pixel, pixel + 1, before);
                }
            }
        }
        full
    }
}

/// What the innermost loop reads.
struct Tile {
    inputs: *const u8,
    steps: usize,
    constants: *const u8,
    weights: *const u8,
}

impl Tile {
    /// The sums of `len` pixels and one or two groups of channels: those of each pixel together.
    #[inline(always)]
    unsafe fn multiply<V: Vector>(&self, len: usize, groups: usize, sums: &mut [V; 2 * MAX_TILE]) {
        macro_rules! sizes {
            ($($size:literal)*) => {
                // SAFETY: the caller's; tiles are no longer than V::TILE, so only those sizes are compiled in.
                match (len, groups) {
                    $(($size, 2) if $size <= V::TILE => unsafe { self.multiply_size::<V, $size, 2>(sums) },)*
                    $(($size, 1) if $size <= V::TILE => unsafe { self.multiply_size::<V, $size, 1>(sums) },)*
                    _ => {}
                }
            };
        }
        sizes!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }

    /// Multiplies a tile of [`OVERLAP`] pixels and two groups. In between, requantizes and writes the sums of the tile before
    /// it, which are then replaced: multiplication and requantization mostly wait for different parts of the processor,
    /// which does not look far enough ahead to find the one behind the other by itself.
    ///
    /// # Safety
    ///
    /// As [`multiply_block`]; there is room for the tile before at its destination.
    #[inline(always)]
    unsafe fn multiply_while_finishing<V: Vector, const FORMULA: u8>(
        &self,
        sums: &mut [V; 2 * MAX_TILE],
        pair: PairScales<V>,
        before: Destination,
    ) {
        // SAFETY: the inputs are `steps` steps of four bytes for each pixel, in chunks; the weights likewise.
        unsafe {
            let bias = [
                V::load(self.constants),
                V::load(self.constants.add(GroupConstants::SIZE)),
            ];
            let mut tile = [bias; OVERLAP];
            let mut weights = self.weights;
            let mut step = 0;
            for turn in 0..OVERLAP / 2 {
                let end = self.steps * (turn + 1) / (OVERLAP / 2);
                while step < end {
                    let (chunk, within) = (step / STEPS, step % STEPS);
                    let at = self.inputs.add(chunk * OVERLAP * CHUNK + within * DEPTH_STEP);
                    let columns = [V::load(weights), V::load(weights.add(64))];
                    for (pixel, sums) in tile.iter_mut().enumerate() {
                        let values = V::splat_from(at.add(pixel * CHUNK));
                        for (sum, weights) in sums.iter_mut().zip(columns) {
                            *sum = sum.add_dot(values, weights);
                        }
                    }
                    weights = weights.add(2 * 64);
                    step += 1;
                }
                finish_pair::<V, FORMULA, _>(pair, sums, 2 * turn, 2 * turn + 1, before);
            }
            for (pixel, tile) in tile.iter().enumerate() {
                sums[2 * pixel] = tile[0];
                sums[2 * pixel + 1] = tile[1];
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply_size<V: Vector, const PIXELS: usize, const GROUPS: usize>(
        &self,
        sums: &mut [V; 2 * MAX_TILE],
    ) {
        // SAFETY: the inputs are `steps` steps of four bytes for each pixel, in chunks; the weights likewise.
        unsafe {
            let mut bias = [V::splat_32(0); GROUPS];
            for (group, bias) in bias.iter_mut().enumerate() {
                *bias = V::load(self.constants.add(group * GroupConstants::SIZE));
            }
            let mut tile = [bias; PIXELS];
            let (mut inputs, mut weights, mut left) = (self.inputs, self.weights, self.steps);
            while left > 0 {
                let steps = left.min(STEPS);
                let mut at = inputs;
                for _ in 0..steps {
                    let mut columns = bias;
                    for (group, column) in columns.iter_mut().enumerate() {
                        *column = V::load(weights.add(group * 64));
                    }
                    for (pixel, sums) in tile.iter_mut().enumerate() {
                        let values = V::splat_from(at.add(pixel * CHUNK));
                        for (sum, weights) in sums.iter_mut().zip(columns) {
                            *sum = sum.add_dot(values, weights);
                        }
                    }
                    at = at.add(DEPTH_STEP);
                    weights = weights.add(GROUPS * 64);
                }
                inputs = inputs.add(PIXELS * CHUNK);
                left -= steps;
            }
            for pixel in 0..PIXELS {
                for group in 0..GROUPS {
                    sums[pixel * GROUPS + group] = tile[pixel][group];
                }
            }
        }
    }
}

/// Where a tile's outputs go.
#[derive(Clone, Copy)]
pub(super) struct Destination {
    /// The first channel of the first pixel.
    pub to: *mut u8,
    /// Pixels of the tile.
    pub pixels: usize,
    /// Channels of a pixel.
    pub channels: usize,
    /// How many channels are written.
    pub valid: usize,
}

/// Requantizes and writes a tile's pixels, two groups a pixel.
///
/// # Safety
///
/// `constants` are those of two groups; there is room for `valid` bytes every `channels` bytes.
#[inline(always)]
unsafe fn finish_pairs<V: Vector>(
    output: &Output<V>,
    sums: &[V; 2 * MAX_TILE],
    constants: *const u8,
    half: usize,
    destination: Destination,
) {
    // SAFETY: the contract.
    unsafe {
        // Read once: the compiler cannot know that writing outputs leaves the constants as they are.
        let first = Scales::load(constants, half);
        let second = Scales::load(constants.add(GroupConstants::SIZE), half);
        let pair = PairScales {
            output,
            first: &first,
            second: &second,
            one_group: false,
        };
        pair.finish(sums, destination);
    }
}

/// The multipliers of two vectors of channels.
#[derive(Clone, Copy)]
pub(super) struct PairScales<'a, V: Vector> {
    pub output: &'a Output<V>,
    pub first: &'a Scales<V>,
    pub second: &'a Scales<V>,
    /// Whether they are both halves of one group, rather than of two groups of a panel: channels lie otherwise then.
    pub one_group: bool,
}

impl<V: Vector> PairScales<'_, V> {
    /// As [`finish_pairs`].
    ///
    /// # Safety
    ///
    /// As [`finish_pairs`].
    #[inline(always)]
    pub unsafe fn finish(self, sums: &[V; 2 * MAX_TILE], destination: Destination) {
        // SAFETY: the contract.
        unsafe {
            match self.output.formula([self.first, self.second]) {
                FLOAT_CLAMPED => finish_pairs_by::<V, FLOAT_CLAMPED>(self, sums, destination),
                FLOAT_SIGNED => finish_pairs_by::<V, FLOAT_SIGNED>(self, sums, destination),
                CLAMPED => finish_pairs_by::<V, CLAMPED>(self, sums, destination),
                SIGNED => finish_pairs_by::<V, SIGNED>(self, sums, destination),
                _ => finish_pairs_by::<V, ANY>(self, sums, destination),
            }
        }
    }
}

/// As [`finish_pairs`], by one formula.
#[inline(always)]
unsafe fn finish_pairs_by<V: Vector, const FORMULA: u8>(
    pair: PairScales<V>,
    sums: &[V; 2 * MAX_TILE],
    destination: Destination,
) {
    let pixels = destination.pixels;
    for pixel in (0..pixels).step_by(2) {
        let next = (pixel + 1).min(pixels - 1);
        // SAFETY: the caller's contract.
        unsafe { finish_pair::<V, FORMULA, _>(pair, sums, pixel, next, destination) };
    }
}

/// As [`finish_pairs`], two pixels by one formula.
#[inline(always)]
pub(super) unsafe fn finish_pair<V: Vector, const FORMULA: u8, const LEN: usize>(
    PairScales {
        output,
        first,
        second,
        one_group,
    }: PairScales<V>,
    sums: &[V; LEN],
    pixel: usize,
    next: usize,
    Destination {
        to, channels, valid, ..
    }: Destination,
) {
    // SAFETY: the caller's contract.
    unsafe {
        let packed = output.pack_scaled::<FORMULA>([
            output.scale::<FORMULA>(sums[2 * pixel], first),
            output.scale::<FORMULA>(sums[2 * pixel + 1], second),
            output.scale::<FORMULA>(sums[2 * next], first),
            output.scale::<FORMULA>(sums[2 * next + 1], second),
        ]);
        let both = if one_group {
            packed.unzip_32(output.orders)
        } else {
            packed.unzip_64(output.orders)
        };
        let (first, second) = (to.add(pixel * channels), to.add(next * channels));
        if valid == V::BYTES / 2 {
            both.store_low_half(first);
            both.high_half().store_low_half(second);
        } else {
            both.store_first(first, valid);
            both.high_half().store_first(second, valid);
        }
    }
}

/// As [`finish_pairs`], one group a pixel.
///
/// # Safety
///
/// As [`finish_pairs`].
#[inline(always)]
pub(super) unsafe fn finish_single<V: Vector, const LEN: usize>(
    output: &Output<V>,
    sums: &[V; LEN],
    constants: *const u8,
    half: usize,
    destination: Destination,
) {
    // SAFETY: the contract.
    unsafe {
        let scales = Scales::load(constants, half);
        match output.formula([&scales, &scales]) {
            FLOAT_CLAMPED => finish_single_by::<V, FLOAT_CLAMPED, LEN>(output, sums, scales, destination),
            FLOAT_SIGNED => finish_single_by::<V, FLOAT_SIGNED, LEN>(output, sums, scales, destination),
            CLAMPED => finish_single_by::<V, CLAMPED, LEN>(output, sums, scales, destination),
            SIGNED => finish_single_by::<V, SIGNED, LEN>(output, sums, scales, destination),
            _ => finish_single_by::<V, ANY, LEN>(output, sums, scales, destination),
        }
    }
}

/// As [`finish_single`], by one formula.
#[inline(always)]
pub(super) unsafe fn finish_single_by<V: Vector, const FORMULA: u8, const LEN: usize>(
    output: &Output<V>,
    sums: &[V; LEN],
    scales: Scales<V>,
    Destination {
        to,
        pixels,
        channels,
        valid,
    }: Destination,
) {
    // SAFETY: the caller's contract; `bytes` has room for a vector, of which each pixel has a quarter.
    unsafe {
        let quarter = V::BYTES / 4;
        for first in (0..pixels).step_by(4) {
            let mut scaled = [sums[first]; 4];
            for (i, scaled) in scaled.iter_mut().enumerate() {
                *scaled = output.scale::<FORMULA>(sums[(first + i).min(pixels - 1)], &scales);
            }
            let packed = output.pack_scaled::<FORMULA>(scaled).unzip_32(output.orders);
            if channels == quarter && valid == quarter && pixels - first >= 4 {
                packed.store(to.add(first * channels));
                continue;
            }
            let mut bytes = [0u8; 64];
            packed.store(bytes.as_mut_ptr());
            for i in 0..(pixels - first).min(4) {
                let (from, to) = (bytes.as_ptr().add(i * quarter), to.add((first + i) * channels));
                if valid == quarter {
                    core::ptr::copy_nonoverlapping(from, to, quarter);
                } else {
                    core::ptr::copy_nonoverlapping(from, to, valid);
                }
            }
        }
    }
}

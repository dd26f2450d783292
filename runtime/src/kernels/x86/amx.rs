//! Matrix products by AMX (Intel's Advanced Matrix Extensions; Software Developer's Manual, volume 1, chapter 18).
//!
//! A tile register holds up to 16 rows of 64 bytes. `tdpbusd` adds to 16 × 16 sums of 32 bits the products of 16 pixels'
//! 64 unsigned inputs and 64 signed weights of 16 channels. Prepared inputs and packed weights lie as it takes them: the
//! 64 bytes of each pixel of a tile are its rows, and a row of weights is four weights for each of 16 channels.
//!
//! Two tiles of pixels are multiplied with the two groups of a panel at a time, so that each tile of inputs and of weights is
//! used twice: for each 64 inputs, four loads and four products, of 16 cycles each. Sums start from the biases, and go
//! through memory to the code that requantizes AVX-512's, a few pixels after each step of the next two tiles: it and the
//! products use different parts of the processor. Its 64 vectors for two tiles take about as long as the products of 500
//! inputs. (Counted from the manuals: this has run in an emulator only.)
//!
//! The compiler knows nothing of tile registers and never touches them: what is in them stays from one `asm!` to the next.

use super::multiply::{Destination, PairScales, finish_pair, finish_single};
use super::product::Tiles;
use super::requantize::{ANY, CLAMPED, FLOAT_CLAMPED, FLOAT_SIGNED, Output, SIGNED, Scales};
use super::table::AVX512_VNNI;
use super::vector::Vector;
use crate::layout::x86::{GROUP, GroupConstants};
use crate::layout::x86_gemm::{CHUNK, DEPTH_STEP, panel_weights, panels, pixel_len};
use crate::operator::Linear;
use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicBool, Ordering};

/// The most pixels of a tile.
pub(super) const TILE: usize = 16;
/// Bytes of a row of weights of one group.
const ROW: usize = GROUP * DEPTH_STEP;
/// Below this depth most of a product would be padding, which vectors do not have.
const LEAST_DEPTH: usize = 32;
/// Below this number of pixels, loading weights into tiles takes longer than multiplying vectors with them.
const LEAST_PIXELS: usize = 8;

/// Whether tiles are expected to be faster than vectors.
pub(super) fn is_worthwhile(depth: usize, pixels: usize) -> bool {
    depth >= LEAST_DEPTH && pixels >= LEAST_PIXELS
}

/// Whether this machine has AMX with tiles of bytes, and AVX-512 beside it, and the operating system lets this process use
/// it, which the first call asks for.
pub(super) fn available() -> bool {
    static KNOWN: AtomicBool = AtomicBool::new(false);
    // Nothing but the answer itself is shared between threads.
    if KNOWN.load(Ordering::Relaxed) {
        return true;
    }
    let available = (AVX512_VNNI.available)() && processor_has_tiles() && permitted();
    KNOWN.store(available, Ordering::Relaxed);
    available
}

/// Whether the processor has the instructions, and the operating system keeps the tiles when it switches tasks.
fn processor_has_tiles() -> bool {
    const TILES_OF_BYTES: u32 = 3 << 24;
    const OSXSAVE: u32 = 1 << 27;
    const TILE_STATES: u32 = 3 << 17;
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    let states: u32;
    // SAFETY: OSXSAVE says that there is this instruction; it reads a register.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") states, out("edx") _, options(nomem, nostack, preserves_flags));
    }
    __cpuid_count(7, 0).edx & TILES_OF_BYTES == TILES_OF_BYTES && states & TILE_STATES == TILE_STATES
}

/// Asks Linux to let this process use the tiles; their state is large, and not kept for processes that do not ask.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XFEATURE_XTILEDATA: i64 = 18;
    let result: i64;
    // SAFETY: this system call takes two numbers, and changes no memory of the process. The processor overwrites RCX and
    // R11 on the way.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// How other systems are asked is not known here.
#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// The shape of each tile register, as `ldtilecfg` reads it.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Configuration {
    /// Registers 0 to 3 for sums and 4 and 5 for inputs, of `pixels` rows; 6 and 7 for weights, of 16.
    fn of(pixels: usize) -> Self {
        let (pixels, weights) = (pixels as u8, (CHUNK / DEPTH_STEP) as u8);
        let mut rows = [0; 16];
        rows[..6].fill(pixels);
        rows[6..8].fill(weights);
        let mut row_bytes = [0; 16];
        row_bytes[..8].fill(CHUNK as u16);
        Self {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes,
            rows,
        }
    }
}

/// Loads a tile register with rows that lie so many bytes apart.
macro_rules! load {
    ($tile:literal, $from:expr, $stride:expr) => {
        asm!(
            concat!("tileloadd ", $tile, ", [{from} + {stride}]"),
            from = in(reg) $from,
            stride = in(reg) $stride,
            options(readonly, nostack, preserves_flags),
        )
    };
}

/// Writes a tile register to rows that lie so many bytes apart.
macro_rules! store {
    ($tile:literal, $to:expr, $stride:expr) => {
        asm!(
            concat!("tilestored [{to} + {stride}], ", $tile),
            to = in(reg) $to,
            stride = in(reg) $stride,
            options(nostack, preserves_flags),
        )
    };
}

/// Adds the products of unsigned inputs and signed weights to sums.
#[cfg(not(sepconv_tdpbusd = "software"))]
macro_rules! multiply {
    ($sums:literal, $inputs:literal, $weights:literal) => {
        asm!(
            concat!("tdpbusd ", $sums, ", ", $inputs, ", ", $weights),
            options(nomem, nostack, preserves_flags),
        )
    };
}

/// The same without the instruction, for an emulator that has AMX but takes the weights as unsigned too, as Bochs 3.1 does.
#[cfg(sepconv_tdpbusd = "software")]
macro_rules! multiply {
    ($sums:literal, $inputs:literal, $weights:literal) => {{
        let (mut sums, mut inputs, mut weights) = ([0i32; 256], [0u8; 1024], [0i8; 1024]);
        store!($sums, sums.as_mut_ptr(), 64usize);
        store!($inputs, inputs.as_mut_ptr(), 64usize);
        store!($weights, weights.as_mut_ptr(), 64usize);
        for (number, sum) in sums.iter_mut().enumerate() {
            let (pixel, lane) = (number / GROUP, number % GROUP);
            for i in 0..CHUNK {
                let weight = weights[i / DEPTH_STEP * ROW + lane * DEPTH_STEP + i % DEPTH_STEP];
                *sum = sum.wrapping_add(inputs[pixel * CHUNK + i] as i32 * weight as i32);
            }
        }
        load!($sums, sums.as_ptr(), 64usize);
    }};
}

/// The weights of the last, incomplete chunk of a panel, with zeros to its end.
#[repr(align(64))]
struct LastWeights([u8; CHUNK / DEPTH_STEP * 2 * ROW]);

/// The sums of a tile's pixels, those of each pixel's groups together.
type Sums<V> = [V; 2 * TILE];

/// Multiplies prepared pixels with all weights.
///
/// # Safety
///
/// The processor has AMX and `V`'s instruction set, whose vectors have 64 bytes. `prepared` holds the tiles, none of more than
/// [`TILE`] pixels, `linear.weights` a block of the layout [`x86_gemm`](crate::layout::x86_gemm), and `to` has room for all
/// pixels.
#[inline(always)]
pub(super) unsafe fn multiply_block<V: Vector>(
    linear: &Linear,
    depth: usize,
    channels: usize,
    prepared: *const u8,
    tiles: Tiles,
    to: *mut u8,
) {
    let configuration = Configuration::of(tiles.greatest());
    let whole_chunks = depth / CHUNK;
    let last_rows = depth.div_ceil(DEPTH_STEP) - whole_chunks * (CHUNK / DEPTH_STEP);
    let mut panel = linear.weights.as_ptr();
    // SAFETY: the sum over panels of what is read is the block's length, which the caller has checked; outputs stay below
    // `channels` of each pixel. The configuration is valid, and the tile registers are released at the end.
    unsafe {
        asm!("ldtilecfg [{}]", in(reg) &configuration, options(readonly, nostack, preserves_flags));
        let output = Output::<V>::of(linear);
        for (first_channel, groups) in panels(channels) {
            let weights = panel.add(groups * GroupConstants::SIZE);
            let mut last = LastWeights([0; _]);
            core::ptr::copy_nonoverlapping(
                weights.add(whole_chunks * CHUNK / DEPTH_STEP * groups * ROW),
                last.0.as_mut_ptr(),
                last_rows * groups * ROW,
            );
            let panel_of_tiles = Panel {
                tiles,
                prepared,
                pixel_len: pixel_len(depth),
                constants: panel,
                weights,
                row: groups * ROW,
                whole_chunks,
                last: last.0.as_ptr(),
                to: to.add(first_channel),
                channels,
                valid: (groups * GROUP).min(channels - first_channel),
            };
            if groups == 2 {
                panel_of_tiles.multiply_pairs(&output);
            } else {
                panel_of_tiles.multiply_single(&output);
            }
            panel = weights.add(panel_weights(depth, groups));
        }
        asm!("tilerelease", options(nomem, nostack, preserves_flags));
    }
}

/// A panel of channels, and the tiles of pixels that it is multiplied with.
struct Panel {
    tiles: Tiles,
    prepared: *const u8,
    /// Bytes of a prepared pixel: so many chunks.
    pixel_len: usize,
    /// The constants of the first group.
    constants: *const u8,
    weights: *const u8,
    /// Bytes of weights for [`DEPTH_STEP`] inputs.
    row: usize,
    /// Chunks whose weights are read in their place; those of another one, if there is one, are `last`.
    whole_chunks: usize,
    last: *const u8,
    /// The first of the panel's channels of the first pixel.
    to: *mut u8,
    channels: usize,
    valid: usize,
}

/// One or two tiles of prepared inputs.
#[derive(Clone, Copy)]
struct Inputs {
    from: [*const u8; 2],
    /// Bytes of a chunk of each.
    chunk: [usize; 2],
    two: bool,
}

impl Panel {
    /// Two groups of channels.
    ///
    /// # Safety
    ///
    /// As [`multiply_block`], whose configuration is loaded.
    #[inline(always)]
    unsafe fn multiply_pairs<V: Vector>(&self, output: &Output<V>) {
        // SAFETY: the contract.
        unsafe {
            let first = Scales::load(self.constants, 0);
            let second = Scales::load(self.constants.add(GroupConstants::SIZE), 0);
            let pair = PairScales {
                output,
                first: &first,
                second: &second,
                one_group: false,
            };
            match output.formula([&first, &second]) {
                FLOAT_CLAMPED => self.multiply_pairs_by::<V, FLOAT_CLAMPED>(pair),
                FLOAT_SIGNED => self.multiply_pairs_by::<V, FLOAT_SIGNED>(pair),
                CLAMPED => self.multiply_pairs_by::<V, CLAMPED>(pair),
                SIGNED => self.multiply_pairs_by::<V, SIGNED>(pair),
                _ => self.multiply_pairs_by::<V, ANY>(pair),
            }
        }
    }

    /// As [`multiply_pairs`](Self::multiply_pairs), by one formula.
    #[inline(always)]
    unsafe fn multiply_pairs_by<V: Vector, const FORMULA: u8>(&self, pair: PairScales<V>) {
        const TURNS: usize = TILE;
        let chunks = self.pixel_len / CHUNK;
        // SAFETY: the contract.
        unsafe {
            let mut sums: [Sums<V>; 2] = [[V::splat_32(0); 2 * TILE]; 2];
            let mut before = [None; 2];
            let mut tiles = self.tiles.iter();
            while let Some(first) = tiles.next() {
                let (inputs, destinations) = self.of_tiles(first, tiles.next());
                let bias = self.constants;
                load!("tmm0", bias, 0usize);
                load!("tmm1", bias.add(GroupConstants::SIZE), 0usize);
                load!("tmm2", bias, 0usize);
                load!("tmm3", bias.add(GroupConstants::SIZE), 0usize);
                let mut chunk = 0;
                for turn in 0..TURNS {
                    let end = chunks * (turn + 1) / TURNS;
                    while chunk < end {
                        self.step_pair(chunk, inputs);
                        chunk += 1;
                    }
                    finish_turn::<V, FORMULA>(turn, pair, &sums, before);
                }
                let to = sums.as_mut_ptr().cast::<u8>();
                let second = to.add(size_of::<Sums<V>>());
                store!("tmm0", to, 2 * ROW);
                store!("tmm1", to.add(ROW), 2 * ROW);
                if inputs.two {
                    store!("tmm2", second, 2 * ROW);
                    store!("tmm3", second.add(ROW), 2 * ROW);
                }
                before = destinations;
            }
            for turn in 0..TURNS {
                finish_turn::<V, FORMULA>(turn, pair, &sums, before);
            }
        }
    }

    /// The last group of channels, if it is alone.
    ///
    /// # Safety
    ///
    /// As [`multiply_block`], whose configuration is loaded.
    #[inline(always)]
    unsafe fn multiply_single<V: Vector>(&self, output: &Output<V>) {
        // SAFETY: the contract.
        unsafe {
            let mut sums: [Sums<V>; 2] = [[V::splat_32(0); 2 * TILE]; 2];
            let mut tiles = self.tiles.iter();
            while let Some(first) = tiles.next() {
                let (inputs, destinations) = self.of_tiles(first, tiles.next());
                load!("tmm0", self.constants, 0usize);
                load!("tmm2", self.constants, 0usize);
                for chunk in 0..self.pixel_len / CHUNK {
                    let (weights, [first, second]) = self.chunk(chunk, inputs);
                    load!("tmm6", weights, self.row);
                    load!("tmm4", first, CHUNK);
                    multiply!("tmm0", "tmm4", "tmm6");
                    if inputs.two {
                        load!("tmm5", second, CHUNK);
                        multiply!("tmm2", "tmm5", "tmm6");
                    }
                }
                let to = sums.as_mut_ptr().cast::<u8>();
                store!("tmm0", to, ROW);
                if inputs.two {
                    store!("tmm2", to.add(size_of::<Sums<V>>()), ROW);
                }
                for (sums, destination) in sums.iter().zip(destinations) {
                    if let Some(destination) = destination {
                        finish_single(output, sums, self.constants, 0, destination);
                    }
                }
            }
        }
    }

    /// A chunk of two tiles, or one, times two groups.
    #[inline(always)]
    unsafe fn step_pair(&self, chunk: usize, inputs: Inputs) {
        // SAFETY: the caller's contract.
        unsafe {
            let (weights, [first, second]) = self.chunk(chunk, inputs);
            load!("tmm6", weights, self.row);
            load!("tmm4", first, CHUNK);
            multiply!("tmm0", "tmm4", "tmm6");
            load!("tmm7", weights.add(ROW), self.row);
            multiply!("tmm1", "tmm4", "tmm7");
            if inputs.two {
                load!("tmm5", second, CHUNK);
                multiply!("tmm2", "tmm5", "tmm6");
                multiply!("tmm3", "tmm5", "tmm7");
            }
        }
    }

    /// Where a chunk's weights are, and its inputs.
    #[inline(always)]
    fn chunk(&self, chunk: usize, inputs: Inputs) -> (*const u8, [*const u8; 2]) {
        let weights = if chunk < self.whole_chunks {
            self.weights.wrapping_add(chunk * (CHUNK / DEPTH_STEP) * self.row)
        } else {
            self.last
        };
        let [first, second] = inputs.from;
        let from = [
            first.wrapping_add(chunk * inputs.chunk[0]),
            second.wrapping_add(chunk * inputs.chunk[1]),
        ];
        (weights, from)
    }

    /// Where the inputs of one or two tiles are, and where their outputs go. A tile that is shorter than the longest by a
    /// pixel is loaded with another row: its next chunk's, or the next tile's, for the last tile is never the shorter one.
    #[inline(always)]
    fn of_tiles(
        &self,
        first: (usize, usize),
        second: Option<(usize, usize)>,
    ) -> (Inputs, [Option<Destination>; 2]) {
        let from = |(pixel, _): (usize, usize)| self.prepared.wrapping_add(pixel * self.pixel_len);
        let destination = |(pixel, len): (usize, usize)| Destination {
            to: self.to.wrapping_add(pixel * self.channels),
            pixels: len.min(TILE),
            channels: self.channels,
            valid: self.valid,
        };
        let either = second.unwrap_or(first);
        let inputs = Inputs {
            from: [from(first), from(either)],
            chunk: [first.1 * CHUNK, either.1 * CHUNK],
            two: second.is_some(),
        };
        (inputs, [Some(destination(first)), second.map(destination)])
    }
}

/// Requantizes and writes two of the 32 pixels of two tiles.
#[inline(always)]
unsafe fn finish_turn<V: Vector, const FORMULA: u8>(
    turn: usize,
    pair: PairScales<V>,
    sums: &[Sums<V>; 2],
    destinations: [Option<Destination>; 2],
) {
    let (tile, pixel) = (turn / (TILE / 2), turn % (TILE / 2) * 2);
    let Some(destination) = destinations[tile] else {
        return;
    };
    if pixel < destination.pixels {
        let next = (pixel + 1).min(destination.pixels - 1);
        // SAFETY: the caller's contract: the tile's sums are there, and room for its outputs.
        unsafe { finish_pair::<V, FORMULA, _>(pair, &sums[tile], pixel, next, destination) };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Linux refuses what the processor lacks; the table is not available then.
    #[test]
    fn without_permission_it_is_not_available() {
        if processor_has_tiles() {
            std::println!("left out: Linux's refusal of AMX, on a machine that has it");
            assert_eq!(available(), (AVX512_VNNI.available)() && permitted());
        } else {
            assert!(!permitted());
            assert!(!available());
        }
    }

    #[test]
    fn a_configuration_is_as_the_processor_reads_it() {
        let configuration = Configuration::of(13);
        assert_eq!(
            (size_of::<Configuration>(), align_of::<Configuration>()),
            (64, 64)
        );
        assert_eq!(configuration.rows[..9], [13, 13, 13, 13, 13, 13, 16, 16, 0]);
    }
}

//! Kernels for x86-64: AVX2, AVX-VNNI, AVX-512 VNNI, AMX.
//!
//! | table | instruction set | products |
//! |---|---|---|
//! | [`AVX2`] | 256-bit vectors | pairs of 16-bit numbers |
//! | [`AVX_VNNI`] | 256-bit vectors | four pairs of bytes a lane |
//! | [`AVX512_VNNI`] | 512-bit vectors | four pairs of bytes a lane |
//! | [`AMX`] | tiles of 16 rows of 64 bytes | 16 × 16 × 64 bytes an instruction |
//!
//! One set of algorithms serves all: `product` (of what `gather` prepares, by `multiply` or `shallow`), `depthwise`,
//! `elementwise`, `lookup`, `pool`, `requantize` and `softmax` are generic over a `vector` type that `wide` and `narrow`
//! implement, and all read the same packed layouts. Operators in the plain layout, and operators without a kernel here, are
//! left to the reference kernels, with vectors of `plain`. AMX only multiplies (`amx`). AVX2 multiplies matrices in a way of its own (`pairs`).
//!
//! ```
//! use sepconv::kernels::x86::{AMX, AVX_VNNI, AVX2, AVX512_VNNI};
//! for table in [&AVX2, &AVX_VNNI, &AVX512_VNNI, &AMX] {
//!     println!("{}: {}", table.name, (table.available)());
//! }
//! ```
#![allow(unsafe_code)]

mod amx;
mod depthwise;
mod direct;
mod elementwise;
mod gather;
mod lookup;
mod multiply;
mod narrow;
mod pairs;
mod pairs_tile;
mod plain;
mod pool;
mod product;
mod requantize;
mod shallow;
mod softmax;
mod table;
mod vector;
mod wide;

pub use table::{AMX, AVX_VNNI, AVX2, AVX512_VNNI};

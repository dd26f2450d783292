//! Random models for tests, made from seeds, so that every run makes the same ones.

#![allow(dead_code)] // No test uses everything.

pub mod expected;
pub mod net;
pub mod operators;
pub mod schedule;

use sepconv::{AlignedVec, Model};

/// Random numbers from a seed: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `low..=high`.
    pub fn within(&mut self, low: i64, high: i64) -> i64 {
        low + (self.bits() % (high - low + 1) as u64) as i64
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.within(0, limit as i64 - 1) as usize
    }

    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// Bytes, now and then all extreme.
    pub fn bytes(&mut self, len: usize) -> Vec<i8> {
        match self.below(12) {
            0 => vec![-128; len],
            1 => vec![127; len],
            _ => (0..len).map(|_| self.bits() as i8).collect(),
        }
    }
}

/// One inference of a file in the plain layout on the reference kernels.
pub fn run(file: &[u8], input: &[i8]) -> Vec<i8> {
    let model = Model::with_kernels(file, &sepconv::kernels::reference::KERNELS).expect("a sound model");
    let mut arena = AlignedVec::zeroed(model.arena_len());
    // What is left in the arena from before must not matter.
    arena.fill(0x55);
    let mut output = vec![0; model.output().bytes()];
    model
        .run(input, &mut arena, &mut output)
        .expect("fitting buffers");
    output
}

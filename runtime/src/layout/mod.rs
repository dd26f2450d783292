//! How the constants of linear operators are arranged: plain, or packed for one kernel family.
//!
//! A packed operator keeps everything it needs (weights, biases, multipliers, shifts) in one block of constants, in the
//! order in which its kernel reads. Packing is portable code, so that a workstation packs for any board; each family has a
//! file with its block's length, scratch memory, and packing.

pub mod aarch64;
pub mod cortex_m3;
pub mod cortex_m4;
pub mod cortex_m55;
#[cfg(feature = "alloc")]
mod fold;
#[cfg(feature = "alloc")]
mod pack;
pub(crate) mod x86;
pub(crate) mod x86_depthwise;
pub(crate) mod x86_gemm;

#[cfg(feature = "alloc")]
pub use pack::{pack, pack_operator};

use crate::operator::{Kind, Window};
use crate::{Element, Shape};

/// How an operator's constants are arranged. Every layout but [`Layout::Plain`] belongs to one kernel family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Layout {
    /// As [`Kind`] describes, biases, multipliers and shifts in arrays of their own.
    Plain = 0,
    /// See [`cortex_m4`].
    CortexM4 = 16,
    /// See [`cortex_m3`].
    CortexM3 = 18,
    /// See [`cortex_m55`].
    CortexM55 = 17,
    /// See [`aarch64`]: for dot products.
    Aarch64Dot = 24,
    /// See [`aarch64`]: without dot products.
    Aarch64 = 25,
    /// Matrices for x86-64 vectors.
    X86Product = 64,
    /// Depthwise convolution for x86-64 vectors.
    X86Depthwise = 65,
}

/// What decides the size of a linear operator's constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearShape {
    /// Convolution, depthwise, pointwise or fully connected.
    pub kind: Kind,
    /// The window.
    pub window: Window,
    /// The type of the activations.
    pub element: Element,
    /// Bits of a weight: 8 or 4.
    pub weight_bits: u8,
    /// The input's shape.
    pub input: Shape,
    /// The output's shape.
    pub output: Shape,
}

impl LinearShape {
    /// Weights that contribute to one output value.
    pub fn weights_per_channel(&self) -> usize {
        let taps = self.window.kernel_height * self.window.kernel_width;
        match self.kind {
            Kind::Depthwise => taps,
            Kind::FullyConnected => self.input.values(),
            _ => taps * self.input.channels as usize,
        }
    }
}

impl Layout {
    /// The layout of a code; `None` for codes of no layout.
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Layout::Plain),
            16 => Some(Layout::CortexM4),
            17 => Some(Layout::CortexM55),
            18 => Some(Layout::CortexM3),
            24 => Some(Layout::Aarch64Dot),
            25 => Some(Layout::Aarch64),
            64 => Some(Layout::X86Product),
            65 => Some(Layout::X86Depthwise),
            _ => None,
        }
    }

    /// Bytes of a packed operator's block of constants; `None` if this layout does not hold such an operator, and for
    /// the plain layout, which has no block.
    pub fn packed_len(self, shape: &LinearShape) -> Option<usize> {
        match self {
            Layout::Plain => None,
            Layout::Aarch64Dot => aarch64::holds(shape).then(|| aarch64::packed_len(shape, true)),
            Layout::Aarch64 => aarch64::holds(shape).then(|| aarch64::packed_len(shape, false)),
            Layout::CortexM3 => cortex_m3::holds(shape).then(|| cortex_m3::packed_len(shape)),
            Layout::CortexM4 => cortex_m4::holds(shape).then(|| cortex_m4::packed_len(shape)),
            Layout::CortexM55 => cortex_m55::holds(shape).then(|| cortex_m55::packed_len(shape)),
            Layout::X86Product => x86_gemm::holds(shape).then(|| x86_gemm::packed_len(shape)),
            Layout::X86Depthwise => x86_depthwise::holds(shape).then(|| x86_depthwise::packed_len(shape)),
        }
    }

    /// Bytes of scratch memory that this layout's kernel needs.
    pub fn scratch_len(self, shape: &LinearShape) -> usize {
        match self {
            Layout::Plain => 0,
            Layout::Aarch64Dot => aarch64::scratch_len(shape, true),
            Layout::Aarch64 => aarch64::scratch_len(shape, false),
            Layout::CortexM3 => cortex_m3::scratch_len(shape),
            Layout::CortexM4 => cortex_m4::scratch_len(shape),
            Layout::CortexM55 => cortex_m55::scratch_len(shape),
            Layout::X86Product => x86_gemm::scratch_len(shape),
            Layout::X86Depthwise => x86_depthwise::scratch_len(shape),
        }
    }
}

/// What a model is packed for: it says which layout each operator gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Any processor: all plain.
    Plain,
    /// AArch64 with dot products (Cortex-A76 and others from Armv8.2-A on).
    Aarch64Dot,
    /// Any AArch64 processor.
    Aarch64,
    /// Cortex-M3.
    CortexM3,
    /// Cortex-M4, M7, M33, and other cores with the DSP extension.
    CortexM4,
    /// x86-64 with AVX2 or more.
    X86,
}

impl Target {
    /// The target of a bare-metal processor, by the compiler's names of its target and its processor.
    pub fn of_processor(target: &str, cpu: &str) -> Self {
        match (target.split('-').next().unwrap_or(""), cpu) {
            ("aarch64", "cortex-a76") => Target::Aarch64Dot,
            ("aarch64", _) => Target::Aarch64,
            ("thumbv7m", _) => Target::CortexM3,
            ("thumbv8m.main", "cortex-m52" | "cortex-m55" | "cortex-m85") => Target::CortexM55,
            ("thumbv8m.main", "cortex-m33" | "cortex-m35p") | ("thumbv7em", _) => Target::CortexM4,
            _ => Target::Plain,
        }
    }

    /// The layout of an operator on this target.
    pub fn layout(self, shape: &LinearShape) -> Layout {
        match self {
            Target::Aarch64Dot if aarch64::holds(shape) => Layout::Aarch64Dot,
            Target::Aarch64 if aarch64::holds(shape) => Layout::Aarch64,
            Target::CortexM3 if cortex_m3::holds(shape) => Layout::CortexM3,
            Target::CortexM4 if cortex_m4::holds(shape) => Layout::CortexM4,
            Target::CortexM55 if cortex_m55::holds(shape) => Layout::CortexM55,
            Target::X86 if x86_gemm::holds(shape) => Layout::X86Product,
            Target::X86 if x86_depthwise::holds(shape) => Layout::X86Depthwise,
            _ => Layout::Plain,
        }
    }
}

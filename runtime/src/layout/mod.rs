//! How the constants of linear operators are arranged: plain, or packed for one kernel family.
//!
//! A packed operator keeps everything it needs (weights, biases, multipliers, shifts) in one block of constants, in the
//! order in which its kernel reads. Packing is portable code, so that a workstation packs for any board; each family has a
//! file with its block's length, scratch memory, and packing.

// A build that neither packs for a family nor runs its kernels leaves parts of its file unused.
#[allow(dead_code)]
pub(crate) mod aarch64;
#[allow(dead_code)]
pub(crate) mod cortex_m3;
#[allow(dead_code)]
pub(crate) mod cortex_m4;
#[allow(dead_code)]
pub(crate) mod cortex_m55;
#[cfg(feature = "alloc")]
mod fold;
#[cfg(feature = "alloc")]
mod pack;
pub(crate) mod padded;
pub(crate) mod x86;
#[cfg(feature = "alloc")]
mod x86_channel;
pub(crate) mod x86_depthwise;
#[cfg(feature = "alloc")]
mod x86_float;
pub(crate) mod x86_gemm;
#[allow(dead_code)]
pub(crate) mod x86_sum;

#[cfg(feature = "alloc")]
pub use pack::{pack, pack_operator};

use crate::operator::{Kind, Window};
use crate::{Element, Shape};

/// How an operator's constants are arranged. Every layout but [`Layout::Plain`] belongs to one kernel family.
///
/// ```
/// use sepconv::layout::Layout;
/// assert_eq!(Layout::Plain as u8, 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Layout {
    /// As [`Kind`] describes, biases, multipliers and shifts in arrays of their own.
    Plain = 0,
    /// See `layout/cortex_m4.rs`.
    CortexM4 = 16,
    /// See `layout/cortex_m55.rs`.
    CortexM55 = 17,
    /// See `layout/cortex_m3.rs`.
    CortexM3 = 18,
    /// See `layout/aarch64.rs`: any such processor.
    Aarch64Neon = 32,
    /// See `layout/aarch64.rs`: dot products.
    Aarch64Dot = 33,
    /// See `layout/aarch64.rs`: matrix products.
    Aarch64Matrix = 34,
    /// Depthwise convolution for x86-64 vectors.
    X86Depthwise = 65,
    /// Matrices for x86-64 vectors. (Number 64 was another order of channels, which is no longer read.)
    X86Product = 66,
}

/// What decides the size of a linear operator's constants.
///
/// ```
/// use sepconv::layout::{Layout, LinearShape, Target};
/// use sepconv::operator::{Kind, Window};
/// use sepconv::{Element, Shape};
/// let shape = LinearShape {
///     kind: Kind::Pointwise,
///     window: Window::UNIT,
///     element: Element::Int8,
///     weight_bits: 8,
///     input: Shape::new(8, 8, 16),
///     output: Shape::new(8, 8, 24),
/// };
/// assert_eq!(Target::Plain.layout(&shape), Layout::Plain);
/// ```
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
    ///
    /// ```
    /// # use sepconv::layout::{Layout, LinearShape, Target};
    /// # use sepconv::operator::{Kind, Window};
    /// # use sepconv::{Element, Shape};
    /// # let shape = LinearShape {
    /// #     kind: Kind::Pointwise,
    /// #     window: Window::UNIT,
    /// #     element: Element::Int8,
    /// #     weight_bits: 8,
    /// #     input: Shape::new(8, 8, 16),
    /// #     output: Shape::new(8, 8, 24),
    /// # };
    /// assert_eq!(shape.weights_per_channel(), 16); // one for each input channel
    /// ```
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
    ///
    /// ```
    /// use sepconv::layout::Layout;
    /// assert_eq!(Layout::from_code(16), Some(Layout::CortexM4));
    /// assert_eq!(Layout::from_code(200), None);
    /// ```
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Layout::Plain),
            16 => Some(Layout::CortexM4),
            17 => Some(Layout::CortexM55),
            18 => Some(Layout::CortexM3),
            32 => Some(Layout::Aarch64Neon),
            33 => Some(Layout::Aarch64Dot),
            34 => Some(Layout::Aarch64Matrix),
            65 => Some(Layout::X86Depthwise),
            66 => Some(Layout::X86Product),
            _ => None,
        }
    }

    /// How the kernels of an AArch64 layout multiply.
    pub(crate) fn product(self) -> aarch64::Product {
        match self {
            Layout::Aarch64Dot => aarch64::Product::Dot,
            Layout::Aarch64Matrix => aarch64::Product::Matrix,
            _ => aarch64::Product::Neon,
        }
    }

    /// Bytes of a packed operator's block of constants; `None` if this layout does not hold such an operator, and for
    /// the plain layout, which has no block.
    ///
    /// ```
    /// # use sepconv::layout::{Layout, LinearShape, Target};
    /// # use sepconv::operator::{Kind, Window};
    /// # use sepconv::{Element, Shape};
    /// # let shape = LinearShape {
    /// #     kind: Kind::Pointwise,
    /// #     window: Window::UNIT,
    /// #     element: Element::Int8,
    /// #     weight_bits: 8,
    /// #     input: Shape::new(8, 8, 16),
    /// #     output: Shape::new(8, 8, 24),
    /// # };
    /// assert_eq!(Layout::Plain.packed_len(&shape), None);
    /// assert!(Layout::CortexM4.packed_len(&shape) > Some(16 * 24)); // weights, biases and multipliers
    /// ```
    pub fn packed_len(self, shape: &LinearShape) -> Option<usize> {
        if !self.is_packed_or_run_here() {
            return None;
        }
        match self {
            Layout::Plain => None,
            Layout::CortexM4 => cortex_m4::holds(shape).then(|| cortex_m4::packed_len(shape)),
            Layout::CortexM55 => cortex_m55::holds(shape).then(|| cortex_m55::packed_len(shape)),
            Layout::CortexM3 => cortex_m3::holds(shape).then(|| cortex_m3::packed_len(shape)),
            Layout::Aarch64Neon | Layout::Aarch64Dot | Layout::Aarch64Matrix => {
                aarch64::holds(shape).then(|| aarch64::packed_len(shape, self.product()))
            }
            Layout::X86Product => x86_gemm::holds(shape).then(|| x86_gemm::packed_len(shape)),
            Layout::X86Depthwise => x86_depthwise::holds(shape).then(|| x86_depthwise::packed_len(shape)),
        }
    }

    /// Whether this build packs operators (feature `alloc`) or is for a processor that runs this layout. What neither
    /// packs nor runs a layout refuses it, and needs none of its formulas in flash.
    const fn is_packed_or_run_here(self) -> bool {
        cfg!(feature = "alloc")
            || match self {
                Layout::Plain => true,
                Layout::CortexM3 | Layout::CortexM4 | Layout::CortexM55 => cfg!(target_arch = "arm"),
                Layout::Aarch64Neon | Layout::Aarch64Dot | Layout::Aarch64Matrix => {
                    cfg!(target_arch = "aarch64")
                }
                Layout::X86Product | Layout::X86Depthwise => cfg!(target_arch = "x86_64"),
            }
    }

    /// Bytes of scratch memory that this layout's kernel needs to compute as many rows at a time as the shape's output has:
    /// the whole output, or a band of it.
    ///
    /// ```
    /// # use sepconv::layout::{Layout, LinearShape, Target};
    /// # use sepconv::operator::{Kind, Window};
    /// # use sepconv::{Element, Shape};
    /// # let shape = LinearShape {
    /// #     kind: Kind::Pointwise,
    /// #     window: Window::UNIT,
    /// #     element: Element::Int8,
    /// #     weight_bits: 8,
    /// #     input: Shape::new(8, 8, 16),
    /// #     output: Shape::new(8, 8, 24),
    /// # };
    /// assert_eq!(Layout::Plain.scratch_len(&shape), 0);
    /// assert!(Layout::CortexM4.scratch_len(&shape) > 0);
    /// ```
    pub fn scratch_len(self, shape: &LinearShape) -> usize {
        if !self.is_packed_or_run_here() {
            return 0;
        }
        match self {
            Layout::Plain => 0,
            Layout::CortexM4 => cortex_m4::scratch_len(shape),
            Layout::CortexM55 => cortex_m55::scratch_len(shape),
            Layout::CortexM3 => cortex_m3::scratch_len(shape),
            Layout::Aarch64Neon | Layout::Aarch64Dot | Layout::Aarch64Matrix => {
                aarch64::scratch_len(shape, self.product())
            }
            Layout::X86Product => x86_gemm::scratch_len(shape),
            Layout::X86Depthwise => x86_depthwise::scratch_len(shape),
        }
    }
}

/// What a model is packed for: it says which layout each operator gets.
///
/// ```
/// use sepconv::layout::Target;
/// assert_eq!(sepconv::kernels::reference::KERNELS.target, Target::Plain);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Any processor: all plain.
    Plain,
    /// Cortex-M0, M0+, M3, and other cores without the DSP extension.
    CortexM3,
    /// Cortex-M4, M7, M33, and other cores with the DSP extension.
    CortexM4,
    /// Cortex-M55, M85, and other cores with Helium.
    CortexM55,
    /// Any AArch64 processor, such as Cortex-A53.
    Aarch64Neon,
    /// AArch64 with dot products, such as Cortex-A76.
    Aarch64Dot,
    /// AArch64 with matrix products of int8.
    Aarch64Matrix,
    /// x86-64 with AVX2 or more.
    X86,
}

impl Target {
    /// The target of a bare-metal processor, by the compiler's names of its target and its processor.
    ///
    /// ```
    /// use sepconv::layout::Target;
    /// assert_eq!(Target::of_processor("thumbv7em-none-eabihf", "cortex-m4"), Target::CortexM4);
    /// ```
    pub fn of_processor(target: &str, cpu: &str) -> Self {
        match (target.split('-').next().unwrap_or(""), cpu) {
            ("aarch64", "cortex-a55" | "cortex-a75" | "cortex-a76" | "cortex-a77" | "cortex-a78") => {
                Target::Aarch64Dot
            }
            ("aarch64", _) => Target::Aarch64Neon,
            ("thumbv8m.main", "cortex-m52" | "cortex-m55" | "cortex-m85") => Target::CortexM55,
            ("thumbv8m.main", "cortex-m33" | "cortex-m35p") | ("thumbv7em", _) => Target::CortexM4,
            ("thumbv6m" | "thumbv7m", _) => Target::CortexM3,
            _ => Target::Plain,
        }
    }

    /// The layout of an operator on this target.
    ///
    /// ```
    /// # use sepconv::layout::{Layout, LinearShape, Target};
    /// # use sepconv::operator::{Kind, Window};
    /// # use sepconv::{Element, Shape};
    /// # let shape = LinearShape {
    /// #     kind: Kind::Pointwise,
    /// #     window: Window::UNIT,
    /// #     element: Element::Int8,
    /// #     weight_bits: 8,
    /// #     input: Shape::new(8, 8, 16),
    /// #     output: Shape::new(8, 8, 24),
    /// # };
    /// assert_eq!(Target::CortexM4.layout(&shape), Layout::CortexM4);
    /// ```
    pub fn layout(self, shape: &LinearShape) -> Layout {
        match self {
            Target::CortexM3 if cortex_m3::holds(shape) => Layout::CortexM3,
            Target::CortexM4 if cortex_m4::holds(shape) => Layout::CortexM4,
            Target::CortexM55 if cortex_m55::holds(shape) => Layout::CortexM55,
            Target::Aarch64Neon if aarch64::holds(shape) => Layout::Aarch64Neon,
            Target::Aarch64Dot if aarch64::holds(shape) => Layout::Aarch64Dot,
            Target::Aarch64Matrix if aarch64::holds(shape) => Layout::Aarch64Matrix,
            Target::X86 if x86_gemm::holds(shape) => Layout::X86Product,
            Target::X86 if x86_depthwise::holds(shape) => Layout::X86Depthwise,
            _ => Layout::Plain,
        }
    }
}

//! Kernels: the functions that compute bands of output rows, in one table per instruction set.
//!
//! [`mod@reference`] is plain scalar Rust and is the specification; every other table is tested for equality with it, bit
//! for bit. A table may leave out kernels (`None`): a model that needs one is refused when its view is made, and what no
//! table names is not linked.

#[cfg(target_arch = "aarch64")]
pub mod aarch64;
#[cfg(target_arch = "arm")]
pub mod arm;
#[cfg(feature = "alloc")]
pub mod equality;
#[cfg(any(target_arch = "aarch64", sepconv_arm = "helium"))]
mod padded;
pub mod reference;
mod selection;
#[cfg(target_arch = "x86_64")]
pub mod x86;

pub use selection::{KernelUse, OF_TARGET};

use crate::layout::{Layout, Target};
use crate::operator::{
    Binary, Concatenation, Linear, Lookup, Mean, Pad, Pool, Requantize, ResizeNearest, Softmax, Transpose,
};
use crate::{Band, Element, Rows};

/// Computes rows of a convolution, depthwise, pointwise or fully connected operator. The last argument is scratch memory.
pub type LinearKernel = fn(&Linear, &Rows, &mut Band, &mut [i8]);
/// Computes rows of an elementwise operator of two tensors.
pub type BinaryKernel = fn(&Binary, &Rows, &Rows, &mut Band);
/// Computes rows of an operator of one tensor with parameters `P`.
pub type UnaryKernel<P> = fn(&P, &Rows, &mut Band);

/// Kernels of a linear operator, by the types of activations and weights.
///
/// ```
/// use sepconv::kernels::reference;
/// assert!(reference::KERNELS.convolution.int4.is_some());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LinearKernels {
    /// int8 activations, int8 weights.
    pub int8: Option<LinearKernel>,
    /// As `int8`, but into int16, in the plain layout.
    pub widening: Option<LinearKernel>,
    /// int8 activations, int4 weights.
    pub int4: Option<LinearKernel>,
    /// int16 activations, int8 weights, into int16.
    pub int16: Option<LinearKernel>,
}

impl LinearKernels {
    /// No kernels.
    pub const NONE: Self = Self {
        int8: None,
        widening: None,
        int4: None,
        int16: None,
    };

    /// The kernel for weights of so many bits between values of these types. (int16 into int8 and int4 weights with int16
    /// values, for which there are none, are refused when a model's view is made.)
    ///
    /// ```
    /// use sepconv::Element::{Int8, Int16};
    /// use sepconv::kernels::{LinearKernels, reference};
    /// assert!(reference::KERNELS.pointwise.of(Int8, Int16, 8).is_some());
    /// assert!(LinearKernels::NONE.of(Int8, Int8, 8).is_none());
    /// ```
    // Not inlined, so that flash holds the choice once.
    #[inline(never)]
    pub fn of(&self, input: Element, output: Element, weight_bits: u8) -> Option<LinearKernel> {
        match (input, output, weight_bits) {
            (Element::Int16, _, _) => self.int16,
            (_, Element::Int16, _) => self.widening,
            (_, _, 4) => self.int4,
            (_, _, _) => self.int8,
        }
    }
}

/// Kernels of an operator, by the type of activations.
///
/// ```
/// use sepconv::kernels::reference;
/// assert!(reference::KERNELS.add.int16.is_some());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ElementKernels<K> {
    /// int8 activations.
    pub int8: Option<K>,
    /// int16 activations.
    pub int16: Option<K>,
}

impl<K: Copy> ElementKernels<K> {
    /// No kernels.
    pub const NONE: Self = Self {
        int8: None,
        int16: None,
    };

    /// The kernel for int16 (`wide`) or int8 activations.
    ///
    /// ```
    /// use sepconv::kernels::{BinaryKernel, ElementKernels, reference};
    /// assert!(reference::KERNELS.add.of(false).is_some());
    /// assert!(ElementKernels::<BinaryKernel>::NONE.of(false).is_none());
    /// ```
    #[inline]
    pub fn of(&self, wide: bool) -> Option<K> {
        if wide { self.int16 } else { self.int8 }
    }
}

/// One instruction set's kernels.
///
/// ```
/// use sepconv::kernels::Kernels;
/// // A table that can do nothing but reshape.
/// static KERNELS: Kernels = Kernels { reshape: sepconv::kernels::reference::KERNELS.reshape, ..Kernels::NONE };
/// assert!(sepconv::Model::with_kernels(&sepconv::tiny::WHOLE.0, &KERNELS).is_err());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Kernels {
    /// The name that `--isa` and reports use.
    pub name: &'static str,
    /// Whether this machine has the instruction set. Without the feature `std`, what the crate was compiled for decides.
    pub available: fn() -> bool,
    /// The layouts of constants that these kernels read.
    pub layouts: &'static [Layout],
    /// What a model is packed for to run fastest on these kernels.
    pub target: Target,
    /// Convolution with any window.
    pub convolution: LinearKernels,
    /// Depthwise convolution.
    pub depthwise: LinearKernels,
    /// Pointwise convolution.
    pub pointwise: LinearKernels,
    /// Fully connected.
    pub fully_connected: LinearKernels,
    /// Elementwise sum.
    pub add: ElementKernels<BinaryKernel>,
    /// Elementwise product.
    pub mul: ElementKernels<BinaryKernel>,
    /// Average pooling.
    pub average_pool: ElementKernels<UnaryKernel<Pool>>,
    /// Max pooling.
    pub max_pool: ElementKernels<UnaryKernel<Pool>>,
    /// Mean over height and width.
    pub mean: ElementKernels<UnaryKernel<Mean>>,
    /// Padding, of any element.
    pub pad: Option<UnaryKernel<Pad>>,
    /// Concatenation, of any element.
    pub concatenation: Option<fn(&Concatenation, &[Rows], &mut Band)>,
    /// Reshape, of any element.
    pub reshape: Option<UnaryKernel<()>>,
    /// Softmax, into int8 or int16.
    pub softmax: ElementKernels<UnaryKernel<Softmax>>,
    /// Table lookup.
    pub lookup: Option<fn(&Lookup, &Rows, &mut Band)>,
    /// Requantization between any elements.
    pub requantize: Option<UnaryKernel<Requantize>>,
    /// Nearest-neighbour resizing, of any element.
    pub resize_nearest: Option<fn(&ResizeNearest, &Rows, &mut Band)>,
    /// Transposition, of any element.
    pub transpose: Option<UnaryKernel<Transpose>>,
    /// Argmax of int8 into int16.
    pub arg_max: Option<UnaryKernel<()>>,
}

impl Kernels {
    /// No kernels, to build tables on.
    pub const NONE: Self = Self {
        name: "none",
        available: || true,
        layouts: &[],
        target: Target::Plain,
        convolution: LinearKernels::NONE,
        depthwise: LinearKernels::NONE,
        pointwise: LinearKernels::NONE,
        fully_connected: LinearKernels::NONE,
        add: ElementKernels::NONE,
        mul: ElementKernels::NONE,
        average_pool: ElementKernels::NONE,
        max_pool: ElementKernels::NONE,
        mean: ElementKernels::NONE,
        pad: None,
        concatenation: None,
        reshape: None,
        softmax: ElementKernels::NONE,
        lookup: None,
        requantize: None,
        resize_nearest: None,
        transpose: None,
        arg_max: None,
    };
}

/// All tables compiled in for this processor family, the most capable last. The machine may not have all of them.
///
/// ```
/// use sepconv::kernels::ALL;
/// assert_eq!(ALL[0].name, "reference");
/// let names: Vec<&str> = ALL.iter().filter(|table| (table.available)()).map(|table| table.name).collect();
/// println!("this machine runs {names:?}");
/// ```
pub static ALL: &[&Kernels] = &[
    &reference::KERNELS,
    #[cfg(any(sepconv_arm = "armv6m", sepconv_arm = "armv7m"))]
    &arm::scalar::KERNELS,
    #[cfg(target_arch = "aarch64")]
    &aarch64::NEON,
    #[cfg(all(target_arch = "aarch64", any(feature = "std", target_feature = "dotprod")))]
    &aarch64::DOT,
    #[cfg(all(target_arch = "aarch64", any(feature = "std", target_feature = "i8mm")))]
    &aarch64::MATRIX,
    #[cfg(sepconv_arm = "neon")]
    &arm::neon::KERNELS,
    #[cfg(sepconv_arm = "dsp")]
    &arm::dsp::KERNELS,
    #[cfg(sepconv_arm = "helium")]
    &arm::helium::KERNELS,
    #[cfg(target_arch = "x86_64")]
    &x86::AVX2,
    #[cfg(target_arch = "x86_64")]
    &x86::AVX_VNNI,
    #[cfg(target_arch = "x86_64")]
    &x86::AVX512_VNNI,
    #[cfg(target_arch = "x86_64")]
    #[cfg(target_arch = "x86_64")]
    &x86::AMX,
];

/// The best table that this machine can run.
///
/// ```
/// let best = sepconv::kernels::best();
/// assert!((best.available)());
/// ```
pub fn best() -> &'static Kernels {
    let available = ALL.iter().rev().find(|kernels| (kernels.available)());
    available.copied().unwrap_or(&reference::KERNELS)
}

/// The table of a name, whether this machine can run it or not.
///
/// ```
/// use sepconv::kernels::by_name;
/// assert_eq!(by_name("reference").map(|table| table.name), Some("reference"));
/// assert!(by_name("abacus").is_none());
/// ```
pub fn by_name(name: &str) -> Option<&'static Kernels> {
    ALL.iter().find(|kernels| kernels.name == name).copied()
}

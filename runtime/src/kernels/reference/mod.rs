//! The specification: plain scalar kernels, one file per operator or family of operators. They index without panicking:
//! what would lie outside a slice reads as zero, which the checks of the model view have ruled out.

pub(crate) mod arithmetic;
pub(crate) mod convolution;
pub(crate) mod depthwise;
pub(crate) mod elementwise;
pub(crate) mod fully_connected;
mod mean;
mod pixelwise;
pub(crate) mod pointwise;
mod pool;
mod shape;
pub(crate) mod softmax;

use super::{ElementKernels, Kernels, LinearKernels};
use crate::layout::{Layout, Target};
use arithmetic::{Int4, Int8, Int16};

/// Kernels for every operator, in the plain layout.
///
/// ```
/// use sepconv::{Model, kernels::reference, tiny};
/// let model = Model::with_kernels(&tiny::WHOLE.0, &reference::KERNELS)?;
/// assert_eq!(model.kernels().name, "reference");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub static KERNELS: Kernels = Kernels {
    name: "reference",
    available: || true,
    layouts: &[Layout::Plain],
    target: Target::Plain,
    convolution: LinearKernels {
        int8: Some(convolution::run::<Int8>),
        widening: Some(convolution::run::<Int8<2>>),
        int4: Some(convolution::run::<Int4>),
        int16: Some(convolution::run::<Int16>),
    },
    depthwise: LinearKernels {
        int8: Some(depthwise::run::<Int8>),
        widening: Some(depthwise::run::<Int8<2>>),
        int4: Some(depthwise::run::<Int4>),
        int16: Some(depthwise::run::<Int16>),
    },
    pointwise: LinearKernels {
        int8: Some(pointwise::run::<Int8>),
        widening: Some(pointwise::run::<Int8<2>>),
        int4: Some(pointwise::run::<Int4>),
        int16: Some(pointwise::run::<Int16>),
    },
    fully_connected: LinearKernels {
        int8: Some(fully_connected::run::<Int8>),
        widening: Some(fully_connected::run::<Int8<2>>),
        int4: Some(fully_connected::run::<Int4>),
        int16: Some(fully_connected::run::<Int16>),
    },
    add: ElementKernels {
        int8: Some(elementwise::add::<1>),
        int16: Some(elementwise::add::<2>),
    },
    mul: ElementKernels {
        int8: Some(elementwise::mul::<1>),
        int16: Some(elementwise::mul::<2>),
    },
    average_pool: ElementKernels {
        int8: Some(pool::average::<1>),
        int16: Some(pool::average::<2>),
    },
    max_pool: ElementKernels {
        int8: Some(pool::max::<1>),
        int16: Some(pool::max::<2>),
    },
    mean: ElementKernels {
        int8: Some(mean::run::<1>),
        int16: Some(mean::run::<2>),
    },
    pad: Some(shape::pad),
    concatenation: Some(shape::concatenation),
    reshape: Some(shape::reshape),
    softmax: ElementKernels {
        int8: Some(softmax::run::<1>),
        int16: Some(softmax::run::<2>),
    },
    lookup: Some(pixelwise::lookup),
    requantize: Some(pixelwise::requantize),
    resize_nearest: Some(shape::resize_nearest),
    transpose: Some(shape::transpose),
    arg_max: Some(pixelwise::arg_max),
};

/// `Σ (input − zero_point) × weight` over two slices, up to the end of the shorter.
#[inline(always)]
pub(crate) fn dot(input: &[i8], weights: &[u8], zero_point: i32) -> i32 {
    input.iter().zip(weights).fold(0i32, |sum, (value, weight)| {
        sum.wrapping_add((*value as i32 - zero_point).wrapping_mul(*weight as i8 as i32))
    })
}

/// Each sum plus the value of the same number. (A function of its own, so that flash holds it once.)
#[inline(never)]
fn add_values<const N: usize>(sums: &mut [i32], values: &[i8]) {
    for (sum, raw) in sums.iter_mut().zip(values.chunks_exact(N)) {
        *sum = sum.wrapping_add(value(raw));
    }
}

/// Stores values, each held within `least..=greatest`.
#[inline(never)]
fn set_values<const N: usize>(to: &mut [i8], values: &[i32], least: i32, greatest: i32) {
    for (to, value) in to.chunks_exact_mut(N).zip(values) {
        set_value(to, (*value).max(least).min(greatest));
    }
}

/// A byte of a tensor (i8) or of a constant (u8).
pub(crate) trait Byte: Copy {
    fn bits(self) -> u8;
}

impl Byte for i8 {
    #[inline(always)]
    fn bits(self) -> u8 {
        self as u8
    }
}

impl Byte for u8 {
    #[inline(always)]
    fn bits(self) -> u8 {
        self
    }
}

/// The value that some bytes hold: an int8 in one, an int16 in two, little-endian.
#[inline(always)]
pub(crate) fn value<B: Byte>(bytes: &[B]) -> i32 {
    match bytes {
        [low, high, ..] => i16::from_le_bytes([low.bits(), high.bits()]) as i32,
        [only] => only.bits() as i8 as i32,
        [] => 0,
    }
}

/// Stores a value in one byte or, little-endian, in two.
#[inline(always)]
fn set_value(bytes: &mut [i8], value: i32) {
    for (byte, bits) in bytes.iter_mut().zip(value.to_le_bytes()) {
        *byte = bits as i8;
    }
}

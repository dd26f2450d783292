//! The specification: plain scalar kernels, one file per operator. They index without panicking: what would lie outside
//! a slice reads as zero, which the checks of the model view have ruled out.

mod convolution;
mod depthwise;
mod fully_connected;
mod pointwise;

use super::{Kernels, LinearKernels};
use crate::layout::{Layout, Target};

/// Kernels for every operator, in the plain layout.
pub static KERNELS: Kernels = Kernels {
    name: "reference",
    layouts: &[Layout::Plain],
    target: Target::Plain,
    convolution: LinearKernels {
        int8: Some(convolution::int8),
        ..LinearKernels::NONE
    },
    depthwise: LinearKernels {
        int8: Some(depthwise::int8),
        ..LinearKernels::NONE
    },
    pointwise: LinearKernels {
        int8: Some(pointwise::int8),
        ..LinearKernels::NONE
    },
    fully_connected: LinearKernels {
        int8: Some(fully_connected::int8),
        ..LinearKernels::NONE
    },
    ..Kernels::NONE
};

/// `Σ (input − zero_point) × weight` over two slices of the same length.
#[inline(always)]
pub(crate) fn dot(input: &[i8], weights: &[u8], zero_point: i32) -> i32 {
    input.iter().zip(weights).fold(0i32, |sum, (value, weight)| {
        sum.wrapping_add((*value as i32 - zero_point).wrapping_mul(*weight as i8 as i32))
    })
}

//! Armv7E-M, and Armv8-M with the DSP extension: Cortex-M4, M7, M33.
#![allow(unsafe_code)]

mod depthwise;
mod depthwise_asm;
mod matrix;
mod matrix_asm;
mod widen;

pub(super) use matrix::Matrix;

use super::linear;
use crate::kernels::{Kernels, LinearKernels, reference};
use crate::layout::{Layout, Target};

/// The kernels; what they leave out is the specification's.
pub static KERNELS: Kernels = Kernels {
    name: "dsp",
    available: || true,
    layouts: &[Layout::Plain, Layout::CortexM4],
    target: Target::CortexM4,
    convolution: LinearKernels {
        int8: Some(linear::convolution),
        ..reference::KERNELS.convolution
    },
    depthwise: LinearKernels {
        int8: Some(depthwise::int8),
        ..reference::KERNELS.depthwise
    },
    pointwise: LinearKernels {
        int8: Some(linear::pointwise),
        ..reference::KERNELS.pointwise
    },
    fully_connected: LinearKernels {
        int8: Some(linear::fully_connected),
        ..reference::KERNELS.fully_connected
    },
    ..reference::KERNELS
};

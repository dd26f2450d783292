//! Armv7-M without the DSP extension: Cortex-M3.
#![allow(unsafe_code)]

mod matrix;
mod matrix_asm;

pub(super) use matrix::Matrix;

use super::{depthwise, linear};
use crate::kernels::{Kernels, LinearKernels, reference};
use crate::layout::{Layout, Target};

/// The kernels; what they leave out is the specification's.
pub static KERNELS: Kernels = Kernels {
    name: "armv7m",
    available: || true,
    layouts: &[Layout::Plain, Layout::CortexM3],
    target: Target::CortexM3,
    convolution: LinearKernels {
        int8: Some(linear::convolution),
        ..reference::KERNELS.convolution
    },
    depthwise: LinearKernels {
        int8: Some(depthwise::plain),
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

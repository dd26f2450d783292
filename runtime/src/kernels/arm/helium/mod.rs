//! Armv8.1-M with Helium, the M-profile vector extension: Cortex-M55, M85.
#![allow(unsafe_code)]

mod copy_asm;
mod depthwise;
mod depthwise_asm;
mod linear;
mod matrix;
mod matrix_asm;

use crate::kernels::{Kernels, LinearKernels, reference};
use crate::layout::{Layout, Target};

/// The kernels; what they leave out is the specification's.
pub static KERNELS: Kernels = Kernels {
    name: "helium",
    available: || true,
    layouts: &[Layout::Plain, Layout::CortexM55],
    target: Target::CortexM55,
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

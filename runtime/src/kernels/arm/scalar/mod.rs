//! Armv6-M and Armv7-M, without the DSP extension: Cortex-M0, M0+, M3.
#![allow(unsafe_code)]

#[cfg(sepconv_arm = "armv6m")]
#[macro_use]
mod armv6m_requantize;
#[cfg(sepconv_arm = "armv6m")]
#[path = "armv6m.rs"]
mod assembly;
#[cfg(sepconv_arm = "armv7m")]
#[path = "armv7m.rs"]
mod assembly;
mod depthwise;
mod depthwise_planes;
mod linear;
mod matrix;
mod requantize;

use crate::kernels::{Kernels, LinearKernels, reference};
use crate::layout::{Layout, Target};

/// The kernels; what they leave out is the specification's.
pub static KERNELS: Kernels = Kernels {
    name: if cfg!(sepconv_arm = "armv6m") {
        "armv6m"
    } else {
        "armv7m"
    },
    available: || true,
    layouts: &[Layout::Plain, Layout::CortexM3],
    target: Target::CortexM3,
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

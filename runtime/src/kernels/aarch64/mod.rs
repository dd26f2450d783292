//! Kernels for AArch64: NEON, which every such processor has, dot products (optional in Armv8.2-A) and matrix products of
//! int8 (optional in Armv8.6-A).
#![allow(unsafe_code)]

mod depthwise;
mod dot;
mod elementwise;
mod linear;
mod matrix;
mod neon;
mod requantize;

use super::{ElementKernels, Kernels, LinearKernels, reference};
use crate::layout::{Layout, Target};

/// Kernels for every AArch64 processor; what they leave out is the specification's.
pub static NEON: Kernels = Kernels {
    name: "neon",
    available: || true,
    layouts: &[Layout::Plain, Layout::Aarch64Neon],
    target: Target::Aarch64Neon,
    convolution: LinearKernels {
        int8: Some(linear::convolution::<neon::Neon>),
        ..reference::KERNELS.convolution
    },
    depthwise: LinearKernels {
        int8: Some(depthwise::int8),
        ..reference::KERNELS.depthwise
    },
    pointwise: LinearKernels {
        int8: Some(linear::pointwise::<neon::Neon>),
        ..reference::KERNELS.pointwise
    },
    fully_connected: LinearKernels {
        int8: Some(linear::fully_connected::<neon::Neon>),
        ..reference::KERNELS.fully_connected
    },
    add: ElementKernels {
        int8: Some(elementwise::add),
        ..reference::KERNELS.add
    },
    ..reference::KERNELS
};

/// Kernels for processors with dot products.
pub static DOT: Kernels = Kernels {
    name: "neon-dot",
    available: has_dot_products,
    layouts: &[Layout::Plain, Layout::Aarch64Dot],
    target: Target::Aarch64Dot,
    convolution: LinearKernels {
        int8: Some(linear::convolution::<dot::Dot>),
        ..reference::KERNELS.convolution
    },
    pointwise: LinearKernels {
        int8: Some(linear::pointwise::<dot::Dot>),
        ..reference::KERNELS.pointwise
    },
    fully_connected: LinearKernels {
        int8: Some(linear::fully_connected::<dot::Dot>),
        ..reference::KERNELS.fully_connected
    },
    ..NEON
};

/// Kernels for processors with matrix products of int8.
pub static MATRIX: Kernels = Kernels {
    name: "neon-i8mm",
    available: has_matrix_products,
    layouts: &[Layout::Plain, Layout::Aarch64Matrix],
    target: Target::Aarch64Matrix,
    convolution: LinearKernels {
        int8: Some(linear::convolution::<matrix::Matrix>),
        ..reference::KERNELS.convolution
    },
    pointwise: LinearKernels {
        int8: Some(linear::pointwise::<matrix::Matrix>),
        ..reference::KERNELS.pointwise
    },
    fully_connected: LinearKernels {
        int8: Some(linear::fully_connected::<matrix::Matrix>),
        ..reference::KERNELS.fully_connected
    },
    ..NEON
};

fn has_dot_products() -> bool {
    #[cfg(feature = "std")]
    return std::arch::is_aarch64_feature_detected!("dotprod");
    #[cfg(not(feature = "std"))]
    cfg!(target_feature = "dotprod")
}

fn has_matrix_products() -> bool {
    #[cfg(feature = "std")]
    return std::arch::is_aarch64_feature_detected!("i8mm");
    #[cfg(not(feature = "std"))]
    cfg!(target_feature = "i8mm")
}

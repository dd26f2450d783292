//! Kernels for AArch64: NEON, which every such processor has, and the dot product extension (Armv8.2-A, optional there).
#![allow(unsafe_code)]

mod depthwise;
mod dot;
mod linear;
mod neon;
mod requantize;

use super::{Kernels, LinearKernels, reference};
use crate::layout::{Layout, Target};

/// Kernels for every AArch64 processor; what they leave out is the specification's.
pub static NEON: Kernels = Kernels {
    name: "neon",
    available: || true,
    layouts: &[Layout::Plain, Layout::Aarch64],
    target: Target::Aarch64,
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
    ..reference::KERNELS
};

/// Kernels for processors with dot products.
pub static DOT: Kernels = Kernels {
    name: "neon-dot",
    available: has_dot_product,
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

fn has_dot_product() -> bool {
    #[cfg(feature = "std")]
    return std::arch::is_aarch64_feature_detected!("dotprod");
    #[cfg(not(feature = "std"))]
    cfg!(target_feature = "dotprod")
}

/// How four pixels are multiplied by 16 channels.
trait Product {
    /// Whether constants are in the layout for dot products.
    const DOT: bool;

    /// The sums of four pixels, `depth` values each, times the weights of a group of 16 channels, added to `sums`.
    ///
    /// # Safety
    ///
    /// The processor has the instructions; each pixel has `depth` values, padded; the weights are those of a group.
    unsafe fn multiply(
        pixels: [*const i8; 4],
        weights: *const u8,
        depth: usize,
        sums: &mut [[core::arch::aarch64::int32x4_t; 4]; 4],
    );
}

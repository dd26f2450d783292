//! Armv7-A with NEON, under Linux: a Raspberry Pi 2, or a 3 in 32-bit mode. Constants are in the plain layout.
//!
//! The compiler's intrinsics for 32-bit NEON are not stable: inner loops are functions in assembly, which it does not look
//! into, so that nothing else uses NEON and the choice is made at run time.
#![allow(unsafe_code)]

mod depthwise;
mod product;

use crate::kernels::{Kernels, LinearKernels, reference};

/// The kernels; what they leave out is the specification's.
pub static KERNELS: Kernels = Kernels {
    name: "armv7-neon",
    available: has_neon,
    convolution: LinearKernels {
        int8: Some(product::convolution),
        ..reference::KERNELS.convolution
    },
    depthwise: LinearKernels {
        int8: Some(depthwise::int8),
        ..reference::KERNELS.depthwise
    },
    pointwise: LinearKernels {
        int8: Some(product::pointwise),
        ..reference::KERNELS.pointwise
    },
    fully_connected: LinearKernels {
        int8: Some(product::fully_connected),
        ..reference::KERNELS.fully_connected
    },
    ..reference::KERNELS
};

/// Whether the kernel says that there is NEON: bit 12 of the entry 16 (`AT_HWCAP`) of the auxiliary vector. Without the
/// standard library nobody can be asked.
fn has_neon() -> bool {
    #[cfg(feature = "std")]
    {
        let vector = std::fs::read("/proc/self/auxv").unwrap_or_default();
        let entries = vector.as_chunks::<8>().0.iter();
        entries
            .map(|[a, b, c, d, e, f, g, h]| {
                (
                    u32::from_ne_bytes([*a, *b, *c, *d]),
                    u32::from_ne_bytes([*e, *f, *g, *h]),
                )
            })
            .any(|(kind, value)| kind == 16 && value & (1 << 12) != 0)
    }
    #[cfg(not(feature = "std"))]
    false
}

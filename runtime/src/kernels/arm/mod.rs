//! Kernels for Arm processors.

#[cfg(any(sepconv_arm = "armv6m", sepconv_arm = "armv7m"))]
mod depthwise;
#[cfg(sepconv_arm = "dsp")]
pub mod dsp;
#[cfg(sepconv_arm = "helium")]
pub mod helium;
#[cfg(sepconv_arm = "neon")]
pub mod neon;
#[cfg(any(sepconv_arm = "armv6m", sepconv_arm = "armv7m"))]
pub mod scalar;
#[cfg(any(
    sepconv_arm = "armv6m",
    sepconv_arm = "armv7m",
    sepconv_arm = "dsp",
    sepconv_arm = "neon"
))]
mod window;

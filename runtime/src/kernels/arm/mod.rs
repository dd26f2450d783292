//! Kernels for Arm processors.

#[cfg(sepconv_arm = "armv7m")]
pub mod armv7m;
#[cfg(any(sepconv_arm = "armv7m", sepconv_arm = "dsp", sepconv_arm = "helium"))]
mod depthwise;
#[cfg(sepconv_arm = "dsp")]
pub mod dsp;
#[cfg(sepconv_arm = "helium")]
pub mod helium;
#[cfg(any(sepconv_arm = "armv7m", sepconv_arm = "dsp", sepconv_arm = "helium"))]
mod linear;

//! Kernels for Arm processors.

#[cfg(sepconv_arm = "dsp")]
pub mod dsp;
#[cfg(sepconv_arm = "helium")]
pub mod helium;

//! Kernels for Arm processors.

#[cfg(sepconv_arm = "dsp")]
pub mod dsp;

//! Compiles a loop for wider vectors than the baseline instruction set has, and picks at run time.

/// Calls `f`, compiled for AVX2 with fused multiply-add where this processor has them. `f` must be an
/// `#[inline(always)]` closure to gain anything.
#[inline]
pub fn vectorized(f: impl FnOnce()) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: the features that `with_avx2` is compiled for were detected on this processor.
        #[expect(unsafe_code, reason = "calling a function compiled for detected features")]
        return unsafe { with_avx2(f) };
    }
    f();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2(f: impl FnOnce()) {
    f();
}

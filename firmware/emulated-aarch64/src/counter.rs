//! Counting instructions with the generic timer.
//!
//! Under `-icount shift=6` each instruction takes 2⁶ ns of the emulated time. The timer's tick is shorter than that (16 ns at
//! the 62.5 MHz that QEMU gives it), so that every single instruction is seen.

use core::arch::asm;

use embedded_hal::delay::DelayNs;
use sepconv_firmware::Counter;

/// The emulated duration of an instruction, in ns: 2^shift. `cargo xtask` starts the emulator with this shift.
const INSTRUCTION_NS: u64 = 1 << 6;

/// Counts the instructions executed since the start.
#[derive(Clone, Copy)]
pub struct InstructionCounter {
    frequency_hz: u64,
}

impl InstructionCounter {
    /// A counter at the timer's frequency.
    pub fn new() -> Self {
        let frequency_hz: u64;
        // SAFETY: reads a register that has no side effect.
        unsafe {
            asm!("mrs {}, cntfrq_el0", out(reg) frequency_hz, options(nomem, nostack, preserves_flags))
        };
        Self { frequency_hz }
    }

    /// Counts a loop of known length: the instructions expected and the instructions measured.
    pub fn calibrate(&mut self) -> (u64, u64) {
        const PASSES: u64 = 10_000;
        let start = self.ticks();
        spin(PASSES);
        let middle = self.ticks();
        // Measures all that is not the loop.
        spin(1);
        let end = self.ticks();
        (
            2 * PASSES,
            self.instructions((middle - start).saturating_sub(end - middle)) + 2,
        )
    }
}

/// A loop of two instructions a pass.
#[inline(never)]
fn spin(passes: u64) {
    // SAFETY: an instruction on a register.
    unsafe { asm!("2: subs {0}, {0}, #1", "b.ne 2b", inout(reg) passes => _, options(nomem, nostack)) };
}

impl Counter for InstructionCounter {
    fn ticks(&mut self) -> u64 {
        let ticks;
        // SAFETY: reads a register that has no side effect.
        unsafe {
            asm!("isb", "mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags))
        };
        ticks
    }

    fn instructions(&self, ticks: u64) -> u64 {
        let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(self.frequency_hz.max(1));
        nanoseconds as u64 / INSTRUCTION_NS
    }
}

/// Waits by watching an [`InstructionCounter`].
pub struct Delay(pub InstructionCounter);

impl DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        let ticks = (u64::from(ns) * self.0.frequency_hz).div_ceil(1_000_000_000);
        let end = self.0.ticks() + ticks;
        while self.0.ticks() < end {}
    }
}

//! Counting instructions with SysTick.
//!
//! Under `-icount shift=6` each instruction takes 2⁶ ns of the emulated time. SysTick counts the processor's clock
//! down from 2²⁴ − 1; at 16 MHz and above a tick is at most 62.5 ns, so that every single instruction is seen. The
//! SysTick exception extends the count; its handler's instructions (about 20 in 2.5 million or more) are counted too.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use cortex_m_rt::exception;
use embedded_hal::delay::DelayNs;
use sepconv_firmware::Counter;

/// The emulated duration of an instruction, in ns: 2^shift. `cargo xtask` starts the emulator with this shift.
const INSTRUCTION_NS: u64 = 1 << 6;
const RELOAD: u32 = 0x00ff_ffff;

static WRAPS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    // No other writer: the main program only reads. (Armv6-M has no atomic addition.)
    WRAPS.store(WRAPS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// Counts the instructions executed since its making.
#[derive(Clone, Copy)]
pub struct InstructionCounter {
    clock_hz: u32,
}

impl InstructionCounter {
    /// Starts SysTick at the processor's clock of `clock_hz`.
    pub fn new(timer: &mut SYST, clock_hz: u32) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(RELOAD);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
        Self { clock_hz }
    }

    /// Counts a loop of known length: the instructions expected and the instructions measured.
    pub fn calibrate(&mut self) -> (u64, u64) {
        const PASSES: u32 = 10_000;
        let start = self.ticks();
        // A pass of this loop is two instructions; the second call measures all that is not the loop.
        cortex_m::asm::delay(PASSES);
        let middle = self.ticks();
        cortex_m::asm::delay(0);
        let end = self.ticks();
        (
            2 * u64::from(PASSES),
            self.instructions((middle - start).saturating_sub(end - middle)),
        )
    }

    /// A delay that waits in the emulated time.
    pub fn delay(&self) -> Delay {
        Delay(*self)
    }
}

impl Counter for InstructionCounter {
    /// Ticks of the processor's clock since the start.
    fn ticks(&mut self) -> u64 {
        loop {
            let before = WRAPS.load(Ordering::Relaxed);
            let current = SYST::get_current();
            // A wrap between the two reads, or one whose exception is still to come, would give a time in the past.
            if !SCB::is_pendst_pending() && before == WRAPS.load(Ordering::Relaxed) {
                return u64::from(before) * (u64::from(RELOAD) + 1) + u64::from(RELOAD - current);
            }
        }
    }

    fn instructions(&self, ticks: u64) -> u64 {
        let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(self.clock_hz);
        nanoseconds as u64 / INSTRUCTION_NS
    }
}

/// Waits by watching an [`InstructionCounter`].
pub struct Delay(InstructionCounter);

impl DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        let ticks = (u64::from(ns) * u64::from(self.0.clock_hz)).div_ceil(1_000_000_000);
        let end = self.0.ticks() + ticks;
        while self.0.ticks() < end {}
    }
}

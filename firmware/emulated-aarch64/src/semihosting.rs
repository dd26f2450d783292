//! Calls to the emulator (Arm's semihosting, document IHI 0113): the end of the program, and defmt's log on standard output.

use core::arch::asm;
use core::sync::atomic::{AtomicUsize, Ordering};

const SYS_OPEN: u64 = 0x01;
const SYS_WRITE: u64 = 0x05;
const SYS_EXIT: u64 = 0x18;

/// # Safety
///
/// `block` is what the operation reads.
unsafe fn call(operation: u64, block: *const [u64; 3]) -> u64 {
    let result;
    // SAFETY: the caller's promise; the emulator changes x0 only.
    unsafe { asm!("hlt #0xf000", inout("x0") operation => result, in("x1") block, options(nostack)) };
    result
}

/// Ends the emulator with an exit code.
pub fn exit(code: u64) -> ! {
    const APPLICATION_EXIT: u64 = 0x20026;
    loop {
        // SAFETY: the operation reads two words.
        unsafe { call(SYS_EXIT, &[APPLICATION_EXIT, code, 0]) };
    }
}

/// The emulator's handle of standard output, plus 1; 0 as long as there is none.
static OUTPUT: AtomicUsize = AtomicUsize::new(0);

fn write(bytes: &[u8]) {
    if OUTPUT.load(Ordering::Relaxed) == 0 {
        const WRITE: u64 = 4;
        let name = b":tt\0";
        // SAFETY: the operation reads a name, a mode, and the name's length without its end.
        let handle = unsafe { call(SYS_OPEN, &[name.as_ptr() as u64, WRITE, 3]) };
        OUTPUT.store((handle as usize).wrapping_add(1), Ordering::Relaxed);
    }
    let handle = OUTPUT.load(Ordering::Relaxed).wrapping_sub(1) as u64;
    // SAFETY: the operation reads a handle, and so many bytes from an address on.
    unsafe { call(SYS_WRITE, &[handle, bytes.as_ptr() as u64, bytes.len() as u64]) };
}

#[defmt::global_logger]
struct Logger;

static mut ENCODER: defmt::Encoder = defmt::Encoder::new();

// SAFETY: there is one core and no interrupt, so that frames do not mix.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        let encoder = &raw mut ENCODER;
        // SAFETY: as above; nothing else holds a reference to the encoder.
        unsafe { (*encoder).start_frame(write) };
    }

    unsafe fn flush() {}

    unsafe fn release() {
        let encoder = &raw mut ENCODER;
        // SAFETY: as above.
        unsafe { (*encoder).end_frame(write) };
    }

    unsafe fn write(bytes: &[u8]) {
        let encoder = &raw mut ENCODER;
        // SAFETY: as above.
        unsafe { (*encoder).write(bytes, write) };
    }
}

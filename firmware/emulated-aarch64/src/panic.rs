//! The end of a program that went wrong: a message on the serial port and in the log, and the emulator's exit code 1.

use core::fmt::Display;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};

use embedded_io::Write;

use crate::semihosting;
use crate::serial::Pl011;

static PORT: AtomicUsize = AtomicUsize::new(0);

/// Says where a panic or an exception is to be reported besides the log.
pub(crate) fn report_to(uart: usize) {
    PORT.store(uart, Ordering::Relaxed);
}

fn fail(what: &str, message: impl Display) -> ! {
    let port = PORT.load(Ordering::Relaxed);
    if port != 0 {
        let _ = writeln!(Pl011(port), "error {what}: {message}");
    }
    defmt::error!("{=str}: {}", what, defmt::Display2Format(&message));
    semihosting::exit(1)
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    fail("panic", info)
}

// defmt's own assertions have printed their message already.
#[defmt::panic_handler]
fn defmt_panic() -> ! {
    fail("panic", "see the log")
}

/// Every exception comes here, with its syndrome, where it happened, and the address that it is about.
pub(crate) extern "C" fn exception(syndrome: u64, at: u64, address: u64) -> ! {
    fail(
        "exception",
        format_args!("syndrome {syndrome:#x} at {at:#x}, address {address:#x}"),
    )
}

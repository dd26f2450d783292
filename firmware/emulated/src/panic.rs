//! The end of a program that went wrong: a message on the serial port and in the log, and the emulator's exit code 1.

use core::{cell::Cell, fmt::Display, panic::PanicInfo};

use cortex_m::interrupt::{self, Mutex};
use cortex_m_rt::{ExceptionFrame, exception};
use cortex_m_semihosting::debug;
use embedded_io::Write;

use crate::serial::{Serial, Uart};

static PORT: Mutex<Cell<Option<Uart>>> = Mutex::new(Cell::new(None));

/// Says where a panic or a hard fault is to be reported besides the log.
pub(crate) fn report_to(uart: Uart) {
    interrupt::free(|section| PORT.borrow(section).set(Some(uart)));
}

fn fail(what: &str, message: impl Display) -> ! {
    if let Some(uart) = interrupt::free(|section| PORT.borrow(section).get()) {
        let _ = writeln!(Serial::new(uart), "error {what}: {message}");
    }
    defmt::error!("{=str}: {}", what, defmt::Display2Format(&message));
    debug::exit(debug::EXIT_FAILURE);
    loop {
        cortex_m::asm::nop();
    }
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

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    fail("hard fault", format_args!("at {:#010x}", frame.pc()))
}

//! What the emulated AArch64 boards share. A board says where its serial port is ([`Board`]) and calls [`start`] from
//! `sepconv_main`, which the start-up code calls with caches and vector instructions on, on one core only.
//!
//! The emulator is QEMU, run with `-icount shift=6`; see `counter`. defmt's frames leave through semihosting, results in plain
//! text through the serial port, and the program's end sets the emulator's exit code.

#![no_std]

mod counter;
mod panic;
mod semihosting;
mod serial;
mod stack;
mod startup;

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};
use embedded_io::Write;

use counter::{Delay, InstructionCounter};
use sepconv_firmware::report::Failure;
use serial::Pl011;

/// How many instructions of the 20,000 the calibration may be off: the code around its loop differs a little.
const CALIBRATION_TOLERANCE: u64 = 16;

/// The board's peripherals, as its reference manual gives them.
pub struct Board {
    /// The address of the registers of an Arm PL011 serial port, which has been switched on.
    pub uart: usize,
}

/// Runs the application and ends the emulator: exit code 0 when all went well, 1 otherwise.
///
/// Called once, first thing in `sepconv_main`, by a board whose description is true.
pub fn start(board: &Board) -> ! {
    stack::paint();
    panic::report_to(board.uart);
    let mut serial = Pl011(board.uart);
    match run(&mut serial) {
        Ok(()) => semihosting::exit(0),
        Err(Failure(reason)) => {
            defmt::error!("{=str}", reason);
            let _ = writeln!(serial, "error {reason}");
            semihosting::exit(1)
        }
    }
}

fn run(serial: &mut Pl011) -> Result<(), Failure> {
    let mut counter = InstructionCounter::new();
    let (expected, measured) = counter.calibrate();
    let _ = writeln!(serial, "calibration expected {expected} measured {measured}");
    if measured.abs_diff(expected) > CALIBRATION_TOLERANCE {
        return Err(Failure(
            "the counter does not count instructions: run the emulator with -icount shift=6",
        ));
    }
    let mut delay = Delay(counter);
    sepconv_firmware::run(&mut NoLed, serial, &mut delay, &mut counter)?;
    let _ = writeln!(serial, "stack {}", stack::worst_case_bytes());
    let _ = writeln!(serial, "done");
    Ok(())
}

/// The LED of a board that has none.
struct NoLed;

impl ErrorType for NoLed {
    type Error = Infallible;
}

impl OutputPin for NoLed {
    fn set_low(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

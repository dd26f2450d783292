//! What the emulated Cortex-M boards share. A board says where its peripherals are ([`Board`]) and calls [`start`].
//!
//! The emulator is QEMU, run with `-icount shift=6`: every instruction takes 64 ns of the emulated time, so that the
//! board's timers count instructions (see [`counter`]). defmt's frames leave through semihosting, results in plain
//! text through the serial port, and the program's end sets the emulator's exit code.

#![no_std]

pub mod counter;
pub mod led;
pub mod panic;
pub mod serial;
pub mod stack;

pub use cortex_m_rt::entry;
use cortex_m_semihosting::debug;
use defmt_semihosting as _;
use embedded_io::Write;

use counter::InstructionCounter;
use led::RegisterLed;
use sepconv_firmware::report::Failure;
use serial::{Serial, Uart};

/// How many instructions of the 20,000 the calibration may be off: the code around its loop differs a little.
const CALIBRATION_TOLERANCE: u64 = 16;

/// The board's peripherals, as its reference manual gives them.
pub struct Board {
    /// The processor's clock, which SysTick counts, in Hz.
    pub clock_hz: u32,
    /// The serial port for the results.
    pub uart: Uart,
    /// The address of a register whose lowest bit is a LED.
    pub led_register: usize,
}

/// Runs the application and ends the emulator: exit code 0 when all went well, 1 otherwise.
///
/// Called once, first thing in `main`, by a board whose description is true.
pub fn start(board: Board) -> ! {
    let mut serial = Serial::new(board.uart);
    panic::report_to(board.uart);
    let outcome = match cortex_m::Peripherals::take() {
        Some(mut peripherals) => {
            let counter = InstructionCounter::new(&mut peripherals.SYST, board.clock_hz);
            run(counter, &mut serial, board.led_register)
        }
        None => Err(Failure("the peripherals were taken before the start")),
    };
    match outcome {
        Ok(()) => debug::exit(debug::EXIT_SUCCESS),
        Err(Failure(reason)) => {
            defmt::error!("{=str}", reason);
            let _ = writeln!(serial, "error {reason}");
            debug::exit(debug::EXIT_FAILURE);
        }
    }
    loop {
        cortex_m::asm::nop();
    }
}

fn run(mut counter: InstructionCounter, serial: &mut Serial, led_register: usize) -> Result<(), Failure> {
    let (expected, measured) = counter.calibrate();
    let _ = writeln!(serial, "calibration expected {expected} measured {measured}");
    if measured.abs_diff(expected) > CALIBRATION_TOLERANCE {
        return Err(Failure(
            "the counter does not count instructions: run the emulator with -icount shift=6",
        ));
    }
    let mut delay = counter.delay();
    sepconv_firmware::run(
        &mut RegisterLed::new(led_register),
        serial,
        &mut delay,
        &mut counter,
    )?;
    let _ = writeln!(serial, "stack {}", stack::worst_case_bytes());
    let _ = writeln!(serial, "done");
    Ok(())
}

//! Compares every table of kernels that an emulated PC has with the specification, on random operators.
//!
//! The program is the PC's ROM and runs without an operating system (the emulator that knows AMX lacks what Linux needs to
//! hand it out). It reports on the first serial port, and ends with a line `ended well` or `ended badly`.
#![no_std]
#![no_main]

extern crate alloc;

use core::arch::{asm, global_asm};
use core::fmt::{self, Write};
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicI64, Ordering};

use embedded_alloc::LlffHeap;
use sepconv::kernels::equality::{self, Difference, Weights};
use sepconv::kernels::{self, Kernels};

global_asm!(include_str!("start.s"), options(att_syntax));

unsafe extern "C" {
    /// What a request for AMX's tiles is answered, as Linux does: 0, or the negative number of an error, as at the start.
    static permission_for_tiles: AtomicI64;
}

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

const HEAP_LEN: usize = 32 << 20;
static mut HEAP_MEMORY: [MaybeUninit<u8>; HEAP_LEN] = [MaybeUninit::uninit(); HEAP_LEN];

/// Operators of each kind that are compared.
const COUNT: u32 = 150;

/// Called by the start-up code.
#[unsafe(no_mangle)]
extern "C" fn main() -> ! {
    // SAFETY: this runs once, before anything is allocated, and nothing else uses the memory.
    unsafe { HEAP.init(&raw mut HEAP_MEMORY as usize, HEAP_LEN) };
    // SAFETY: the serial port's line control; memory is not touched.
    unsafe { write_port(SERIAL + 3, EIGHT_BITS) };
    if (kernels::x86::AMX.available)() {
        report(format_args!("amx is available without permission\n"));
        end("badly");
    }
    // SAFETY: a number in memory, aligned.
    unsafe { &permission_for_tiles }.store(0, Ordering::Relaxed);
    for table in kernels::ALL.iter().filter(|table| is_of_interest(table)) {
        if !(table.available)() {
            report(format_args!(
                "{}: this processor has not its instructions\n",
                table.name
            ));
            continue;
        }
        // Bochs takes AMX's weights as unsigned, whatever the instruction.
        let weights = match table.name {
            "amx" if !cfg!(sepconv_tdpbusd = "software") => Weights::NotNegative,
            _ => Weights::All,
        };
        match check(table, weights) {
            Ok(packed) => report(format_args!(
                "{}: {packed} packed operators are equal, weights {weights:?}\n",
                table.name
            )),
            Err(difference) => {
                report(format_args!("{} differs: {difference:?}\n", table.name));
                end("badly");
            }
        }
    }
    end("well")
}

/// Whether this program is for a table: with products in software, only for the one that has them.
fn is_of_interest(table: &Kernels) -> bool {
    table.name == "amx" || cfg!(not(sepconv_tdpbusd = "software"))
}

fn check(table: &Kernels, weights: Weights) -> Result<usize, Difference> {
    let remainders = equality::check_remainders(table, 1, weights)?;
    let random = match weights {
        Weights::All => equality::check(table, 1, COUNT)?,
        Weights::NotNegative => 0,
    };
    Ok(remainders + random)
}

fn end(how: &str) -> ! {
    report(format_args!("ended {how}\n"));
    // SAFETY: the serial port's status; memory is not touched.
    while unsafe { read_port(SERIAL + 5) } & ALL_SENT == 0 {}
    for byte in *b"Shutdown" {
        // SAFETY: the emulator's port for switching it off; memory is not touched.
        unsafe { write_port(0x8900, byte) };
    }
    loop {
        core::hint::spin_loop();
    }
}

fn report(arguments: fmt::Arguments) {
    // Writing cannot fail; what is formatted does not either.
    let _ = Serial.write_fmt(arguments);
}

/// The first serial port's first address.
const SERIAL: u16 = 0x3f8;
/// A byte has eight bits, no parity, one stop bit.
const EIGHT_BITS: u8 = 3;

/// In the port's status: the next byte may be written.
const READY: u8 = 1 << 5;
/// In the port's status: all bytes have left it.
const ALL_SENT: u8 = 1 << 6;

/// The first serial port.
struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: the ports of the serial interface; memory is not touched.
            unsafe {
                while read_port(SERIAL + 5) & READY == 0 {}
                write_port(SERIAL, byte);
            }
        }
        Ok(())
    }
}

/// # Safety
///
/// What the device behind the port does with the byte is the caller's concern.
unsafe fn write_port(port: u16, byte: u8) {
    // SAFETY: the program has all privileges.
    unsafe { asm!("out dx, al", in("dx") port, in("al") byte, options(nomem, nostack, preserves_flags)) };
}

/// # Safety
///
/// As [`write_port`].
unsafe fn read_port(port: u16) -> u8 {
    let byte;
    // SAFETY: the program has all privileges.
    unsafe { asm!("in al, dx", in("dx") port, out("al") byte, options(nomem, nostack, preserves_flags)) };
    byte
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    report(format_args!("{info}\n"));
    end("badly")
}

/// One processor, and no interrupts: nothing can come between.
struct Alone;
critical_section::set_impl!(Alone);

// SAFETY: as the type says.
unsafe impl critical_section::Impl for Alone {
    unsafe fn acquire() {}
    unsafe fn release((): ()) {}
}

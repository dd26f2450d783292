//! Compares every table of kernels that this processor has with the specification, on random operators, and counts the
//! instructions of typical operators. Ends the emulator with exit code 0 if all are equal.
#![no_std]
#![no_main]

extern crate alloc;

use core::mem::MaybeUninit;
use core::panic::PanicInfo;

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use embedded_alloc::LlffHeap;
use sepconv::kernels::{self, equality};

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

const HEAP_LEN: usize = 512 * 1024;
static mut HEAP_MEMORY: [MaybeUninit<u8>; HEAP_LEN] = [MaybeUninit::uninit(); HEAP_LEN];

/// Operators of each kind that are compared.
const COUNT: u32 = 60;

#[entry]
fn main() -> ! {
    // SAFETY: this runs once, before anything is allocated, and nothing else uses the memory.
    unsafe { HEAP.init(&raw mut HEAP_MEMORY as usize, HEAP_LEN) };
    for table in kernels::ALL {
        match equality::check(table, 1, COUNT) {
            Ok(packed) => hprintln!(
                "{}: {} operators are equal, {} of them packed",
                table.name,
                4 * COUNT,
                packed
            ),
            Err(difference) => {
                hprintln!("{} differs: {:?}", table.name, difference);
                end(debug::EXIT_FAILURE);
            }
        }
    }
    end(debug::EXIT_SUCCESS)
}

fn end(status: debug::ExitStatus) -> ! {
    debug::exit(status);
    loop {
        cortex_m::asm::nop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    hprintln!("{}", info);
    end(debug::EXIT_FAILURE)
}

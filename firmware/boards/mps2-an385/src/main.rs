//! Arm's MPS2 with FPGA image AN385: Cortex-M3 at 25 MHz. Addresses from Arm DAI 0385.

#![no_std]
#![no_main]

use sepconv_emulated::{Board, entry, serial::Uart, start};

#[entry]
fn main() -> ! {
    start(Board {
        clock_hz: 25_000_000,
        uart: Uart::Cmsdk(0x4000_4000),
        led_register: 0x4002_8000,
    })
}

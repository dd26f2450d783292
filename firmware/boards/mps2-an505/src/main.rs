//! Arm's MPS2 with FPGA image AN505: Cortex-M33 at 20 MHz, in secure state. Addresses from Arm DAI 0505.

#![no_std]
#![no_main]

use sepconv_emulated::{Board, entry, serial::Uart, start};

#[entry]
fn main() -> ! {
    start(Board {
        clock_hz: 20_000_000,
        uart: Uart::Cmsdk(0x5020_0000),
        led_register: 0x5030_2000,
    })
}

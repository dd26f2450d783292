//! Arm's MPS3 with FPGA image AN547: Cortex-M55 at 32 MHz, in secure state. Addresses from Arm DAI 0547.

#![no_std]
#![no_main]

use sepconv_emulated::{Board, entry, serial::Uart, start};

#[entry]
fn main() -> ! {
    start(Board {
        clock_hz: 32_000_000,
        uart: Uart::Cmsdk(0x5930_3000),
        led_register: 0x5930_2000,
    })
}

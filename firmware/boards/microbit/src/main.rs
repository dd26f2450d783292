//! The BBC micro:bit: nRF51822, Cortex-M0 at 16 MHz. Addresses from the nRF51 Series Reference Manual.

#![no_std]
#![no_main]

use sepconv_emulated::{Board, entry, serial::Uart, start};

#[entry]
fn main() -> ! {
    start(Board {
        clock_hz: 16_000_000,
        uart: Uart::Nrf51(0x4000_2000),
        led_register: 0x5000_0504,
    })
}

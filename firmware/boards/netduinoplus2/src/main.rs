//! The Netduino Plus 2: STM32F405, Cortex-M4F at 168 MHz. Addresses from ST RM0090.

#![no_std]
#![no_main]

use sepconv_emulated::{Board, entry, serial::Uart, start};

#[entry]
fn main() -> ! {
    start(Board {
        clock_hz: 168_000_000,
        uart: Uart::Stm32(0x4001_1000),
        led_register: 0x4002_0014,
    })
}

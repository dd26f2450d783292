//! A Raspberry Pi 3B: Cortex-A53. The address is from Broadcom's "BCM2835 ARM Peripherals", section 13, moved as the BCM2837
//! moves all peripherals.

#![no_std]
#![no_main]

use sepconv_emulated_aarch64::{Board, start};

/// Called by the start-up code.
#[unsafe(no_mangle)]
extern "C" fn sepconv_main() -> ! {
    start(&Board { uart: 0x3f20_1000 })
}

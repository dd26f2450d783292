//! QEMU's `virt` machine with a Cortex-A76. The address is from QEMU's `hw/arm/virt.c`.

#![no_std]
#![no_main]

use sepconv_emulated_aarch64::{Board, start};

/// Called by the start-up code.
#[unsafe(no_mangle)]
extern "C" fn sepconv_main() -> ! {
    start(&Board { uart: 0x0900_0000 })
}

//! The runtime as firmware has it: one model, the kernels that it uses, and one inference; nothing else. What it takes of
//! flash, the model's own bytes apart, is the runtime's size. The program is measured, never run.
#![no_std]
#![no_main]

use core::hint::black_box;

#[allow(dead_code)] // The arena comes from outside here.
mod network {
    include!(concat!(env!("OUT_DIR"), "/network.rs"));
}

/// The program's entry, for the linker alone.
#[unsafe(no_mangle)]
extern "C" fn _start() {
    let Ok(model) = network::model() else { return };
    let (input, arena, output): (&[i8], &mut [i8], &mut [i8]) = black_box((&[], &mut [], &mut []));
    black_box(model.run(input, arena, output).is_ok());
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

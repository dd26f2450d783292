//! A program that links only if the runtime cannot panic.
//!
//! It uses all of the runtime's interface, all reference kernels and all kernels that the processor has of its own, on a model,
//! an arena and buffers of which the compiler knows nothing. Its panic handler calls a function that no library has. Where the compiler can prove that
//! nothing panics, it drops the handler, and the program links; a single panicking path that survives leaves the
//! undefined symbol `sepconv_can_panic`, and the linker refuses. The program is never run.
//!
//! `runtime/panic-free/check.sh` builds it both ways: as it is, which has to link, and with a deliberate panic, which has
//! to fail.
#![no_std]
#![no_main]

use core::hint::black_box;
use sepconv::kernels::{OF_TARGET, reference};
use sepconv::{Model, ModelError, Observer, RunError};

/// Prevents the compiler from knowing what an observer is told.
struct Opaque;

impl Observer for Opaque {
    fn before(&mut self, operator: usize) {
        black_box(operator);
    }
    fn after(&mut self, operator: usize, first_row: usize, rows: &[i8]) {
        black_box((operator, first_row, rows));
    }
}

/// Everything that a user can call once a model is there.
fn use_model(model: &Model, input: &[i8], arena: &mut [i8], output: &mut [i8]) -> Result<(), RunError> {
    model.run(input, arena, output)?;
    model.run_observed(input, arena, output, &mut Opaque)?;
    black_box(model.input_mut(arena)?);
    black_box(model.invoke(arena)?);
    let mut session = model.start(arena)?;
    while let Some(rows) = session.next_rows_observed(&mut Opaque) {
        black_box(rows);
    }
    black_box(session.output());
    black_box((model.metadata(), model.operator(input.len()), model.tensor(3)));
    for step in model.steps() {
        black_box(step);
    }
    Ok(())
}

fn start(file: &[u8], input: &[i8], arena: &mut [i8], output: &mut [i8]) -> Result<(), ModelError> {
    for kernels in [&reference::KERNELS, OF_TARGET] {
        let model = Model::with_kernels(file, kernels)?;
        black_box(use_model(&model, input, arena, output).is_ok());
    }
    #[cfg(feature = "deliberate-panic")]
    black_box(input[black_box(7)]);
    Ok(())
}

/// The program's entry, for the linker alone.
#[unsafe(no_mangle)]
extern "C" fn _start() {
    let (file, input): (&[u8], &[i8]) = black_box((&[], &[]));
    let (arena, output): (&mut [i8], &mut [i8]) = black_box((&mut [], &mut []));
    black_box(start(file, input, arena, output).is_ok());
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unsafe extern "C" {
        fn sepconv_can_panic() -> !;
    }
    // SAFETY: there is no such function. A program that could get here is not linked.
    unsafe { sepconv_can_panic() }
}

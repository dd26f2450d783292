//! The application: runs the embedded model on the embedded test images and reports, for each, the class, the
//! instructions that it took and a hash of the output.
//!
//! It touches hardware through `embedded-hal` traits only, so that it runs on any board. People read its log (defmt);
//! programs read its report on the serial port, see [`report`].

#![no_std]

mod assets;
mod hash;
mod per_operator;
pub mod report;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::OutputPin;
use embedded_io::Write;
use static_cell::ConstStaticCell;

use assets::network;
use per_operator::PerOperator;
use report::{Failure, Report};
use sepconv::Element;

/// Counts what the work costs: executed instructions on an emulated board, cycles on a real one.
pub trait Counter {
    /// The count now, in ticks of the counter's own.
    fn ticks(&mut self) -> u64;
    /// So many ticks, in instructions (or cycles).
    fn instructions(&self, ticks: u64) -> u64;
}

static ARENA: ConstStaticCell<network::Arena> = ConstStaticCell::new(network::ARENA);
static OUTPUT: ConstStaticCell<[i8; network::OUTPUT_LEN]> = ConstStaticCell::new([0; network::OUTPUT_LEN]);

/// Runs the model on every image. The LED is on while it computes. Called once.
///
/// # Errors
///
/// [`Failure`], in words, if the model or the serial port does not work.
pub fn run(
    led: &mut impl OutputPin,
    serial: &mut impl Write,
    delay: &mut impl DelayNs,
    counter: &mut impl Counter,
) -> Result<(), Failure> {
    let mut report = Report::new(serial);
    let arena = &mut ARENA.try_take().ok_or(Failure("run was called twice"))?.0[..];
    let output = &mut OUTPUT.try_take().ok_or(Failure("run was called twice"))?[..];
    let model = network::model().map_err(|error| {
        defmt::error!("the embedded model: {}", defmt::Display2Format(&error));
        Failure("the embedded model is not valid for this board's kernels")
    })?;
    defmt::info!(
        "model of {=usize} bytes, {=usize} operators, arena of {=usize} bytes, kernels {=str}",
        network::MODEL_LEN,
        assets::OPERATOR_COUNT,
        network::ARENA_LEN,
        model.kernels().name
    );
    report.kernels(model.kernels().name)?;

    for (number, image) in assets::images().enumerate() {
        led.set_high().map_err(|_| Failure("the LED does not work"))?;
        begin_inference();
        let start = counter.ticks();
        let outcome = model.run(image, arena, output);
        let ticks = counter.ticks() - start;
        end_inference();
        led.set_low().map_err(|_| Failure("the LED does not work"))?;
        outcome.map_err(|_| Failure("the sizes of the embedded model and images do not agree"))?;

        let (class, instructions, hash) = (
            largest(output, model.output().element),
            counter.instructions(ticks),
            hash::fnv1a_64(output),
        );
        defmt::info!(
            "image {=usize}: class {=usize}, {=u64} instructions, output {=u64:016x}",
            number,
            class,
            instructions,
            hash
        );
        report.image(number, class, instructions, hash, output)?;
        // So that one sees the LED go off between two images.
        delay.delay_ms(1);
    }

    // What the operators take is measured apart: the measuring itself takes instructions.
    let mut per_operator = PerOperator::new(counter);
    if let Some(image) = assets::images().next() {
        let outcome = model.run_observed(image, arena, output, &mut per_operator);
        outcome.map_err(|_| Failure("the sizes of the embedded model and images do not agree"))?;
    }
    let ticks = per_operator.into_ticks();
    for (number, ticks) in ticks.iter().enumerate() {
        report.operator(number, counter.instructions(*ticks))?;
    }
    Ok(())
}

/// Does nothing but show an emulator's log where an inference begins.
#[inline(never)]
fn begin_inference() {
    core::hint::black_box(0);
}

/// Does nothing but show an emulator's log where an inference ends. (Not the same nothing, or the linker would make one
/// function of the two.)
#[inline(never)]
fn end_inference() {
    core::hint::black_box(1);
}

/// The position of the largest value, the first of several.
fn largest(bytes: &[i8], element: Element) -> usize {
    let mut best = (0, i16::MIN);
    for (place, raw) in bytes.chunks_exact(element.bytes()).enumerate() {
        let value = match raw {
            [low, high] => i16::from_le_bytes([*low as u8, *high as u8]),
            [only] => i16::from(*only),
            _ => 0,
        };
        if value > best.1 {
            best = (place, value);
        }
    }
    best.0
}

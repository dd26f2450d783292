//! x
#![no_std]
use embedded_hal::{delay::DelayNs, digital::OutputPin};
/// x
pub fn run(
    led: &mut impl OutputPin,
    serial: &mut impl embedded_io::Write,
    delay: &mut impl DelayNs,
    counter: &mut dyn FnMut() -> u64,
) -> Result<(), &'static str> {
    let _ = led.set_high();
    defmt::info!("hello {=u64}", counter());
    let a = counter(); delay.delay_ms(1000); let b = counter();
    let _ = writeln!(serial, "image {a} {b}");
    Ok(())
}

//! The report on the serial port: a line a fact, words and numbers apart by spaces.
//!
//! ```text
//! kernels NAME
//! image 0 class 7 instructions 123456 hash 0123456789abcdef output 80ff7f...
//! operator 0 instructions 1234
//! ```
//!
//! `image` lines come from whole inferences, `operator` lines from one more inference of the first image. Outputs are
//! bytes in hexadecimal. The board adds lines of its own: `calibration expected N measured N` first, `stack BYTES` and
//! `done` last; or `error TEXT`.

use embedded_io::Write;

/// Why the application stopped.
pub struct Failure(pub &'static str);

/// Writes the report.
pub struct Report<'a, W> {
    serial: &'a mut W,
}

impl<'a, W: Write> Report<'a, W> {
    /// A report on this port.
    pub fn new(serial: &'a mut W) -> Self {
        Self { serial }
    }

    /// Names the kernels in use.
    pub fn kernels(&mut self, name: &str) -> Result<(), Failure> {
        writeln!(self.serial, "kernels {name}").map_err(|_| BROKEN)
    }

    /// Reports an image.
    pub fn image(
        &mut self,
        number: usize,
        class: usize,
        instructions: u64,
        hash: u64,
        output: &[i8],
    ) -> Result<(), Failure> {
        write!(
            self.serial,
            "image {number} class {class} instructions {instructions} hash {hash:016x} output "
        )
        .map_err(|_| BROKEN)?;
        for value in output {
            write!(self.serial, "{value:02x}").map_err(|_| BROKEN)?;
        }
        writeln!(self.serial).map_err(|_| BROKEN)
    }

    /// Reports an operator.
    pub fn operator(&mut self, number: usize, instructions: u64) -> Result<(), Failure> {
        writeln!(self.serial, "operator {number} instructions {instructions}").map_err(|_| BROKEN)
    }
}

const BROKEN: Failure = Failure("the serial port does not work");

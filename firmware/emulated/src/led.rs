//! A LED that is the lowest bit of a register.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};

use crate::serial::{read_register, write_register};

/// A LED at the lowest bit of the register at an address.
pub struct RegisterLed(usize);

impl RegisterLed {
    /// The LED whose register is at `address`.
    pub fn new(address: usize) -> Self {
        Self(address)
    }
}

impl ErrorType for RegisterLed {
    type Error = Infallible;
}

impl OutputPin for RegisterLed {
    fn set_low(&mut self) -> Result<(), Infallible> {
        write_register(self.0, read_register(self.0) & !1);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        write_register(self.0, read_register(self.0) | 1);
        Ok(())
    }
}

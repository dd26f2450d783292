//! Serial ports, for output.

use core::convert::Infallible;

use embedded_io::{ErrorType, Write};

/// A serial port by its kind, with the address of its registers.
#[derive(Clone, Copy)]
pub enum Uart {
    /// The CMSDK port of Arm's MPS2 and MPS3 boards (Arm DDI 0479, section 4.3).
    Cmsdk(usize),
    /// The USART of STM32F4 microcontrollers (ST RM0090, section 30.6).
    Stm32(usize),
    /// The UART of Nordic's nRF51 (nRF51 Series Reference Manual, section 29).
    Nrf51(usize),
}

/// A serial port that is switched on.
pub struct Serial(Uart);

impl Serial {
    /// Switches the transmitter on. The emulator ignores the speed, so the fastest is set.
    pub fn new(uart: Uart) -> Self {
        match uart {
            Uart::Cmsdk(base) => {
                write_register(base + 0x10, 16); // BAUDDIV: the least divider
                write_register(base + 0x08, 1); // CTRL: transmit
            }
            Uart::Stm32(base) => write_register(base + 0x0c, 1 << 13 | 1 << 3), // CR1: UE, TE
            Uart::Nrf51(base) => {
                write_register(base + 0x500, 4); // ENABLE
                write_register(base + 0x008, 1); // STARTTX
            }
        }
        Self(uart)
    }

    fn send(&mut self, byte: u8) {
        let byte = u32::from(byte);
        match self.0 {
            Uart::Cmsdk(base) => {
                while read_register(base + 0x04) & 1 != 0 {} // STATE: TXFULL
                write_register(base, byte); // DATA
            }
            Uart::Stm32(base) => {
                while read_register(base) & 1 << 7 == 0 {} // SR: TXE
                write_register(base + 0x04, byte); // DR
            }
            Uart::Nrf51(base) => {
                write_register(base + 0x11c, 0); // TXDRDY
                write_register(base + 0x51c, byte); // TXD
                while read_register(base + 0x11c) == 0 {} // TXDRDY
            }
        }
    }
}

impl ErrorType for Serial {
    type Error = Infallible;
}

impl Write for Serial {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        bytes.iter().for_each(|byte| self.send(*byte));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Reads a peripheral's register.
pub(crate) fn read_register(address: usize) -> u32 {
    // SAFETY: boards give addresses of peripheral registers only, which are aligned to 4 and always readable.
    unsafe { (address as *const u32).read_volatile() }
}

/// Writes a peripheral's register.
pub(crate) fn write_register(address: usize, value: u32) {
    // SAFETY: boards give addresses of peripheral registers only: aligned to 4, writable, and no memory of the program.
    unsafe { (address as *mut u32).write_volatile(value) }
}

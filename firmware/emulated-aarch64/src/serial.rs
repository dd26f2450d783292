//! Arm's PL011 serial port, for output (Arm DDI 0183, section 3.3). The emulator ignores the speed.

use core::convert::Infallible;

use embedded_io::{ErrorType, Write};

/// A port by the address of its registers.
pub struct Pl011(pub usize);

impl ErrorType for Pl011 {
    type Error = Infallible;
}

impl Write for Pl011 {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let (data, flags, control) = (
            self.0 as *mut u32,
            (self.0 + 0x18) as *const u32,
            (self.0 + 0x30) as *mut u32,
        );
        // SAFETY: the board gives the address of the port's registers, which are no memory of the program.
        unsafe { control.write_volatile(1 << 8 | 1) }; // TXE, UARTEN
        for byte in bytes {
            // SAFETY: as above.
            unsafe {
                while flags.read_volatile() & 1 << 5 != 0 {} // TXFF
                data.write_volatile(u32::from(*byte));
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

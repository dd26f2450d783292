//! Boards that a report sets a model against.

/// A board, as far as a model's fit goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Board {
    /// The name that `--board` takes; `cargo xtask flash --board` knows the same.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Bytes of flash.
    pub flash: u64,
    /// Bytes of RAM.
    pub ram: u64,
    /// Hertz of the processor's clock.
    pub clock: f64,
    /// Cycles of a multiply-accumulate, loads and loops included: a rule of thumb for good int8 kernels on the core.
    /// Counted on emulated cores, one instruction for one cycle, CMSIS-NN runs the two MLPerf Tiny convolution networks
    /// (VWW, KWS) with 4.1 on a Cortex-M3, 3.1 on M4 and M7, and 0.8 on an M55 with Helium.
    pub cycles_per_mac: f64,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// All boards.
pub const BOARDS: &[Board] = &[
    Board {
        name: "mps2-an385",
        about: "Arm MPS2, Cortex-M3",
        flash: 4 * MIB,
        ram: 4 * MIB,
        clock: 25e6,
        cycles_per_mac: 4.1,
    },
    Board {
        name: "mps2-an386",
        about: "Arm MPS2, Cortex-M4F",
        flash: 4 * MIB,
        ram: 4 * MIB,
        clock: 25e6,
        cycles_per_mac: 3.1,
    },
    Board {
        name: "mps2-an500",
        about: "Arm MPS2, Cortex-M7F",
        flash: 4 * MIB,
        ram: 4 * MIB,
        clock: 25e6,
        cycles_per_mac: 3.1,
    },
    Board {
        name: "mps2-an505",
        about: "Arm MPS2, Cortex-M33",
        flash: 4 * MIB,
        ram: 2 * MIB,
        clock: 20e6,
        cycles_per_mac: 3.1,
    },
    Board {
        name: "mps3-an547",
        about: "Arm MPS3, Cortex-M55 with Helium",
        flash: 512 * KIB,
        ram: 4 * MIB,
        clock: 32e6,
        cycles_per_mac: 0.8,
    },
    Board {
        name: "netduinoplus2",
        about: "Netduino Plus 2, STM32F405, Cortex-M4F",
        flash: MIB,
        ram: 128 * KIB,
        clock: 168e6,
        cycles_per_mac: 3.1,
    },
    Board {
        name: "microbit",
        about: "BBC micro:bit, nRF51822, Cortex-M0",
        flash: 256 * KIB,
        ram: 16 * KIB,
        clock: 16e6,
        // No multiply-accumulate of 16-bit pairs and a short register file: about twice a Cortex-M3.
        cycles_per_mac: 8.0,
    },
];

/// The board of a name.
pub fn find(name: &str) -> Option<&'static Board> {
    BOARDS.iter().find(|board| board.name == name)
}

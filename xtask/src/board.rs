//! The boards: what they are, and how much memory they have.

use std::path::PathBuf;

use crate::error::Error;
use crate::workspace::root;

/// A board that firmware can be built for. Its crate is `firmware/boards/NAME`.
#[derive(Debug, PartialEq)]
pub struct Board {
    /// The board's name: that of its crate and, unless [`Board::machine`] knows better, of QEMU's machine.
    pub name: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// The compiler's target.
    pub target: &'static str,
    /// The processor, as LLVM calls it.
    pub cpu: &'static str,
}

/// All boards. All of them are emulated.
pub const BOARDS: &[Board] = &[
    Board {
        name: "mps2-an385",
        about: "Arm MPS2, Cortex-M3",
        target: "thumbv7m-none-eabi",
        cpu: "cortex-m3",
    },
    Board {
        name: "mps2-an386",
        about: "Arm MPS2, Cortex-M4F",
        target: "thumbv7em-none-eabihf",
        cpu: "cortex-m4",
    },
    Board {
        name: "mps2-an500",
        about: "Arm MPS2, Cortex-M7F",
        target: "thumbv7em-none-eabihf",
        cpu: "cortex-m7",
    },
    Board {
        name: "mps2-an505",
        about: "Arm MPS2, Cortex-M33",
        target: "thumbv8m.main-none-eabihf",
        cpu: "cortex-m33",
    },
    Board {
        name: "mps3-an547",
        about: "Arm MPS3, Cortex-M55 with Helium",
        target: "thumbv8m.main-none-eabihf",
        cpu: "cortex-m55",
    },
    Board {
        name: "netduinoplus2",
        about: "Netduino Plus 2, STM32F405, Cortex-M4F",
        target: "thumbv7em-none-eabihf",
        cpu: "cortex-m4",
    },
    Board {
        name: "microbit",
        about: "BBC micro:bit, nRF51822, Cortex-M0",
        target: "thumbv6m-none-eabi",
        cpu: "cortex-m0",
    },
    Board {
        name: "raspi3b",
        about: "Raspberry Pi 3B without an operating system, Cortex-A53",
        target: AARCH64,
        cpu: "cortex-a53",
    },
    Board {
        name: "virt-a76",
        about: "QEMU's virt with a Cortex-A76, as in a Raspberry Pi 5",
        target: AARCH64,
        cpu: "cortex-a76",
    },
];

/// The compiler's target for AArch64 without an operating system.
pub const AARCH64: &str = "aarch64-unknown-none";

/// A processor core for instruction counts, and the board that it is counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Core {
    /// Cortex-M0: its instructions, executed by a Cortex-M3, which has them all, with memory for larger models.
    M0,
    /// Cortex-M3.
    M3,
    /// Cortex-M4F.
    M4,
    /// Cortex-M7F.
    M7,
    /// Cortex-M33.
    M33,
    /// Cortex-M55 with Helium.
    M55,
    /// Cortex-A53.
    A53,
    /// Cortex-A76, with dot products.
    A76,
}

impl Core {
    /// The core's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::M0 => "m0",
            Self::M3 => "m3",
            Self::M4 => "m4",
            Self::M7 => "m7",
            Self::M33 => "m33",
            Self::M55 => "m55",
            Self::A53 => "a53",
            Self::A76 => "a76",
        }
    }

    /// The board to count on.
    pub fn board(self) -> Board {
        let (name, target, cpu) = match self {
            Self::M0 => ("mps2-an385", "thumbv6m-none-eabi", "cortex-m0"),
            Self::M3 => ("mps2-an385", "thumbv7m-none-eabi", "cortex-m3"),
            Self::M4 => ("mps2-an386", "thumbv7em-none-eabihf", "cortex-m4"),
            Self::M7 => ("mps2-an500", "thumbv7em-none-eabihf", "cortex-m7"),
            Self::M33 => ("mps2-an505", "thumbv8m.main-none-eabihf", "cortex-m33"),
            Self::M55 => ("mps3-an547", "thumbv8m.main-none-eabihf", "cortex-m55"),
            Self::A53 => ("raspi3b", AARCH64, "cortex-a53"),
            Self::A76 => ("virt-a76", AARCH64, "cortex-a76"),
        };
        Board {
            name,
            about: "for instruction counts",
            target,
            cpu,
        }
    }
}

/// Finds a board by its name.
///
/// # Errors
///
/// [`Error::Input`] with the names that there are.
pub fn find(name: &str) -> Result<&'static Board, Error> {
    BOARDS.iter().find(|board| board.name == name).ok_or_else(|| {
        let list: Vec<String> = BOARDS
            .iter()
            .map(|board| format!("  {} ({})", board.name, board.about))
            .collect();
        Error::Input(format!(
            "there is no board {name}; the boards are\n{}",
            list.join("\n")
        ))
    })
}

/// A region of a board's memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// The first address.
    pub origin: u64,
    /// Bytes.
    pub length: u64,
}

/// A board's memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// Where the program and the model are.
    pub flash: Region,
    /// Where activations, other variables and the stack are.
    pub ram: Region,
}

impl Board {
    /// The emulator, and its arguments for the board's machine.
    pub fn machine(&self) -> (&'static str, Vec<&'static str>) {
        let program = if self.target == AARCH64 {
            "qemu-system-aarch64"
        } else {
            "qemu-system-arm"
        };
        let machine = match self.name {
            "virt-a76" => vec!["-M", "virt", "-cpu", self.cpu, "-m", "1G", "-nic", "none"],
            name => vec!["-M", name],
        };
        (program, machine)
    }

    /// The folder of the board's crate.
    pub fn folder(&self) -> PathBuf {
        root().join("firmware/boards").join(self.name)
    }

    /// The board's memory, out of its linker script.
    ///
    /// # Errors
    ///
    /// [`Error::Environment`] if `memory.x` is not there or not understood.
    pub fn memory(&self) -> Result<Memory, Error> {
        let path = self.folder().join("memory.x");
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Error::Environment(format!("cannot read {}: {error}", path.display())))?;
        let region = |name: &str| {
            region(&text, name).ok_or_else(|| Error::Environment(format!("{} has no {name}", path.display())))
        };
        Ok(Memory {
            flash: region("FLASH")?,
            ram: region("RAM")?,
        })
    }
}

/// A region in a linker script's MEMORY command: `NAME : ORIGIN = 0x0, LENGTH = 4M`.
fn region(script: &str, name: &str) -> Option<Region> {
    let line = script
        .lines()
        .find(|line| line.split(':').next().is_some_and(|first| first.trim() == name))?;
    let value = |key: &str| {
        let (_, after) = line.split_once(key)?;
        number(after.trim_start().strip_prefix('=')?.split(',').next()?.trim())
    };
    Some(Region {
        origin: value("ORIGIN")?,
        length: value("LENGTH")?,
    })
}

fn number(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    match text.strip_suffix(['K', 'M']) {
        Some(digits) if text.ends_with('K') => Some(digits.parse::<u64>().ok()? << 10),
        Some(digits) => Some(digits.parse::<u64>().ok()? << 20),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_board_has_a_crate_with_its_memory_and_every_crate_is_a_board() {
        for board in BOARDS {
            let memory = board.memory().unwrap();
            assert!(
                memory.flash.length >= 256 << 10 && memory.ram.length >= 16 << 10,
                "{}",
                board.name
            );
        }
        let folders = std::fs::read_dir(root().join("firmware/boards")).unwrap();
        for folder in folders {
            find(folder.unwrap().file_name().to_str().unwrap()).unwrap();
        }
    }

    #[test]
    fn every_core_is_counted_on_a_board() {
        for core in Core::value_variants() {
            find(core.board().name).unwrap();
            assert_eq!(core.to_possible_value().unwrap().get_name(), core.name());
        }
    }

    #[test]
    fn an_unknown_board_is_answered_with_the_known_ones() {
        let error = find("arduino").unwrap_err();
        assert!(error.to_string().contains("microbit"), "{error}");
        assert_eq!(error.exit_code(), 1);
    }

    #[test]
    fn regions_are_read_in_all_spellings() {
        let script =
            "MEMORY\n{\n  FLASH : ORIGIN = 0x08000000, LENGTH = 1M\n RAM:ORIGIN=0x20000000,LENGTH=96K\n}";
        assert_eq!(
            region(script, "FLASH"),
            Some(Region {
                origin: 0x0800_0000,
                length: 1 << 20
            })
        );
        assert_eq!(
            region(script, "RAM"),
            Some(Region {
                origin: 0x2000_0000,
                length: 96 << 10
            })
        );
        assert_eq!(region(script, "CCRAM"), None);
    }
}

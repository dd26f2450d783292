//! How much memory a linked program takes, and what a ROM that holds it holds.

use object::read::elf::{ElfFile32, ElfFile64, FileHeader, ProgramHeader};

use crate::board::{Memory, Region};

/// Bytes of a program in a board's memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Code, constants, model, and the initial values of variables.
    pub flash: u64,
    /// Variables, the arena among them, without the stack.
    pub ram: u64,
}

/// The memory that an ELF program takes: in each region, what lies between its start and the program's last byte.
///
/// # Errors
///
/// What is wrong with the file.
pub fn usage(file: &[u8], memory: &Memory) -> Result<Usage, String> {
    // The fifth byte says how wide addresses are.
    if file.get(4) == Some(&2) {
        let elf = ElfFile64::<object::Endianness>::parse(file).map_err(|error| error.to_string())?;
        Ok(of_segments::<object::elf::FileHeader64<_>>(
            elf.endian(),
            elf.elf_program_headers(),
            memory,
        ))
    } else {
        let elf = ElfFile32::<object::Endianness>::parse(file).map_err(|error| error.to_string())?;
        Ok(of_segments::<object::elf::FileHeader32<_>>(
            elf.endian(),
            elf.elf_program_headers(),
            memory,
        ))
    }
}

fn of_segments<Elf: FileHeader>(
    endian: Elf::Endian,
    headers: &[Elf::ProgramHeader],
    memory: &Memory,
) -> Usage {
    let (mut flash, mut ram) = (0, 0);
    for header in headers {
        if header.p_type(endian) != object::elf::PT_LOAD {
            continue;
        }
        let (stored_at, stored): (u64, u64) = (header.p_paddr(endian).into(), header.p_filesz(endian).into());
        let (lives_at, lives): (u64, u64) = (header.p_vaddr(endian).into(), header.p_memsz(endian).into());
        if stored > 0 {
            flash = flash.max(end_in(memory.flash, stored_at, stored));
        }
        ram = ram.max(end_in(memory.ram, lives_at, lives));
    }
    Usage { flash, ram }
}

/// The content of a ROM of so many bytes that ends at 4 GiB, with a 64-bit ELF program in it; all else is 0.
///
/// # Errors
///
/// What is wrong with the file.
pub fn rom(file: &[u8], len: usize) -> Result<Vec<u8>, String> {
    let elf = ElfFile64::<object::Endianness>::parse(file).map_err(|error| error.to_string())?;
    let mut rom = vec![0; len];
    let start = (1 << 32) - len as u64;
    for header in elf.elf_program_headers() {
        let data = header
            .data(elf.endian(), file)
            .map_err(|()| "a segment that is not in the file")?;
        if header.p_type(elf.endian()) != object::elf::PT_LOAD || data.is_empty() {
            continue;
        }
        let at = header.p_paddr(elf.endian()).wrapping_sub(start) as usize;
        let place = at.checked_add(data.len()).and_then(|end| rom.get_mut(at..end));
        place
            .ok_or("a segment that is not in the ROM")?
            .copy_from_slice(data);
    }
    Ok(rom)
}

/// How far into a region a block reaches; 0 if it is elsewhere.
fn end_in(region: Region, start: u64, length: u64) -> u64 {
    let inside = (region.origin..region.origin + region.length).contains(&start);
    if inside { start + length - region.origin } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Memory = Memory {
        flash: Region {
            origin: 0x800_0000,
            length: 1 << 20,
        },
        ram: Region {
            origin: 0x2000_0000,
            length: 1 << 17,
        },
    };

    /// An ELF file of program headers only: (address in memory, address in flash, bytes in the file, bytes in memory).
    fn elf(segments: &[[u32; 4]]) -> Vec<u8> {
        let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
        let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
        [2, 40].into_iter().for_each(|value| half(&mut file, value));
        [1, 0x800_0001, 52, 0, 0]
            .into_iter()
            .for_each(|value| word(&mut file, value));
        [52, 32, segments.len() as u16, 40, 0, 0]
            .into_iter()
            .for_each(|value| half(&mut file, value));
        for [memory, flash, stored, lives] in segments {
            [1, 0, *memory, *flash, *stored, *lives, 6, 4]
                .into_iter()
                .for_each(|value| word(&mut file, value));
        }
        file
    }

    #[test]
    fn initial_values_take_flash_and_memory_and_zeros_take_memory_only() {
        let file = elf(&[
            [0x800_0000, 0x800_0000, 0x400, 0x400],
            [0x2000_0000, 0x800_0400, 0x10, 0x10],
            [0x2000_0010, 0x2000_0010, 0, 0x1000],
        ]);
        assert_eq!(
            usage(&file, &MEMORY).unwrap(),
            Usage {
                flash: 0x410,
                ram: 0x1010
            }
        );
    }

    #[test]
    fn other_files_are_refused() {
        assert!(usage(b"#!/bin/sh\n", &MEMORY).is_err());
        assert!(rom(b"#!/bin/sh\n", 16).is_err());
    }
}

//! Estimated cycles of an inference: every block of instructions that the emulator executes, priced by a [`model`].
//!
//! QEMU logs each block that it translates, disassembled, and each that it executes. The firmware calls a function
//! before and one after an inference, so that the log shows where it lies.

mod model;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::board::Core;
use crate::command::display;
use crate::emulator;
use crate::error::Error;
use model::Model;

/// The firmware's functions around an inference, as their names appear in mangled symbols.
const BEGIN: &str = "begin_inference";
const END: &str = "end_inference";

/// An estimate.
pub struct Estimate {
    /// Cycles of one inference.
    pub cycles: u64,
    /// What the estimate rests on.
    pub model: &'static str,
}

/// Instructions that are executed together.
struct Block {
    start: u64,
    /// The address after the last instruction.
    end: u64,
    instructions: u64,
    cycles: u64,
}

/// Estimates the first inference of a firmware, of which `instructions` were counted; `None` for cores without a model.
///
/// # Errors
///
/// [`Error::Failed`] if the log does not show the inference whole, [`Error::Environment`] without QEMU.
pub fn estimate(core: Core, elf: &Path, instructions: u64) -> Result<Option<Estimate>, Error> {
    let Some(model) = Model::of(core) else {
        return Ok(None);
    };
    let mut command = emulator::counting(&core.board(), elf);
    command
        .args([
            "-serial",
            "null",
            "-d",
            "in_asm,exec,nochain",
            "-D",
            "/dev/stderr",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let spawned = command.spawn();
    let mut child =
        spawned.map_err(|error| Error::Environment(format!("`{}`: {error}", display(&command))))?;
    let log = child.stderr.take().map(BufReader::new);
    let summed = log.map_or(Ok((0, 0)), |log| sum(log, &model));
    // What comes after the inference is of no interest.
    let _ = child.kill();
    let _ = child.wait();
    let (seen, cycles) = summed.map_err(|error| Error::Failed(format!("the emulator's log: {error}")))?;
    if seen.abs_diff(instructions) > instructions / 100 {
        return Err(Error::Failed(format!(
            "the emulator's log shows {seen} instructions of an inference, but {instructions} were counted"
        )));
    }
    let model = model.about;
    Ok(Some(Estimate { cycles, model }))
}

/// Instructions and cycles between the two functions.
fn sum(mut log: impl BufRead, model: &Model) -> std::io::Result<(u64, u64)> {
    // By the address of the translation, which every line of an execution begins with.
    let mut blocks: HashMap<String, Block> = HashMap::new();
    let mut translated: Vec<String> = Vec::new();
    let (mut within, mut expected) = (false, 0);
    let (mut instructions, mut cycles) = (0, 0);
    let mut line = String::new();
    loop {
        line.clear();
        if log.read_line(&mut line)? == 0 {
            return Ok((instructions, cycles));
        }
        if line.starts_with("IN:") {
            translated.clear();
        } else if line.starts_with("0x") {
            translated.push(line.trim_end().to_string());
        } else if let Some(executed) = line.strip_prefix("Trace ") {
            let translation = executed.split(' ').nth(1).unwrap_or_default();
            if !translated.is_empty() {
                blocks.insert(translation.to_string(), Block::new(&translated, model));
                translated.clear();
            }
            if line.contains(END) && within {
                return Ok((instructions, cycles));
            }
            within |= line.contains(BEGIN);
            let Some(block) = blocks.get(translation).filter(|_| within) else {
                continue;
            };
            instructions += block.instructions;
            cycles += block.cycles;
            if block.start != expected {
                cycles += model.taken_branch;
            }
            expected = block.end;
        }
    }
}

impl Block {
    /// From lines such as `0x00000404:  4812       ldr      r0, [pc, #0x48]`.
    fn new(lines: &[String], model: &Model) -> Self {
        let parts = |line: &str| {
            let (address, rest) = line.split_once(':')?;
            let address = u64::from_str_radix(address.trim_start_matches("0x"), 16).ok()?;
            let mut rest = rest.trim_start();
            let mut bytes = 0;
            while let Some((halfword, after)) = rest.split_once(' ')
                && halfword.len() == 4
                && u16::from_str_radix(halfword, 16).is_ok()
            {
                bytes += 2;
                rest = after.trim_start();
            }
            Some((address, bytes, rest.to_string()))
        };
        let parsed: Vec<_> = lines.iter().filter_map(|line| parts(line)).collect();
        let text = parsed.iter().map(|(_, _, text)| text.as_str());
        Self {
            start: parsed.first().map_or(0, |(address, _, _)| *address),
            end: parsed.last().map_or(0, |(address, bytes, _)| address + bytes),
            instructions: parsed.len() as u64,
            cycles: model.cycles(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_the_functions_is_summed() {
        let log = "\
IN: Reset
0x00000400:  2200       movs     r2, #0

Trace 0: 0x7f00 [0/0000000000000400/0/0] Reset
IN: _ZN15begin_inferenceE
0x00000100:  4770       bx       lr

Trace 0: 0x7f10 [0/0000000000000100/0/0] _ZN15begin_inferenceE
IN: work
0x00000200:  6801       ldr      r1, [r0]
0x00000202:  fb01 2203  mla      r2, r1, r3, r2
0x00000206:  d1fb       bne      #0x200

Trace 0: 0x7f20 [0/0000000000000200/0/0] work
Trace 0: 0x7f20 [0/0000000000000200/0/0] work
IN: after
0x00000208:  4770       bx       lr

Trace 0: 0x7f30 [0/0000000000000208/0/0] after
IN: _ZN13end_inferenceE
0x00000110:  4770       bx       lr

Trace 0: 0x7f40 [0/0000000000000110/0/0] _ZN13end_inferenceE
Trace 0: 0x7f20 [0/0000000000000200/0/0] work
";
        let model = Model::of(Core::M4).unwrap();
        // Three branches are taken: to the first function, to the loop, and back to its start.
        let of_loop = 2 * (2 + 1 + 1);
        let expected = 1 + of_loop + 1 + 3 * model.taken_branch;
        assert_eq!(sum(log.as_bytes(), &model).unwrap(), (8, expected));
    }
}

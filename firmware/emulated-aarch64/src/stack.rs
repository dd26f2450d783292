//! How much stack the program used: it is painted at the start, and what lost its paint was used.

use core::ptr::{addr_of, addr_of_mut};

const PAINT: u64 = 0xcccc_cccc_cccc_cccc;
/// The most that is painted and measured, in words of 8 bytes.
const WORDS: usize = 32 * 1024;
/// Words at the top that are in use when the paint is put on.
const IN_USE: usize = 64;

unsafe extern "C" {
    // From the linker script: one past the highest address of the stack.
    static mut _stack_start: u64;
}

/// Paints the stack below what is in use.
pub fn paint() {
    let top = addr_of_mut!(_stack_start);
    for word in IN_USE..WORDS {
        // SAFETY: memory of the stack, which is far larger, below the part that this function's callers use.
        unsafe { top.wrapping_sub(word).write_volatile(PAINT) };
    }
}

/// The most bytes of stack that were in use at once since the start.
pub fn worst_case_bytes() -> usize {
    let top = addr_of!(_stack_start);
    // SAFETY: memory of the stack, all of which was written. The volatile read sees what is there, whoever wrote it.
    let unused = |word: &usize| unsafe { top.wrapping_sub(*word).read_volatile() } == PAINT;
    let untouched = (IN_USE..WORDS).rev().take_while(unused).count();
    (WORDS - 1 - untouched) * 8
}

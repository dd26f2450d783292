//! How much stack the program used: the start-up code paints it, and what lost its paint was used.

use core::ptr::addr_of;

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    // From cortex-m-rt's linker script: the lowest and one past the highest address of the stack.
    static _stack_end: u32;
    static _stack_start: u32;
}

/// The most bytes of stack that were in use at once since the start, interrupts included.
pub fn worst_case_bytes() -> usize {
    let mut lowest = addr_of!(_stack_end);
    let top = addr_of!(_stack_start);
    // SAFETY: all addresses from `_stack_end` up to `_stack_start` are memory that the start-up code wrote, aligned
    // to 4. The volatile read sees what is there, whoever wrote it.
    while lowest < top && unsafe { lowest.read_volatile() } == STACK_PAINT_VALUE {
        lowest = lowest.wrapping_add(1);
    }
    top as usize - lowest as usize
}

//! From reset to Rust: one core, vector instructions, and memory that caches keep and that need not be aligned.
//!
//! Without translation all memory counts as a device's, where unaligned accesses fault (Arm ARM, D8.2.12). So addresses are
//! mapped to themselves (Arm ARM, D8.3), as normal memory, but for those of the boards' peripherals.

use core::arch::global_asm;

use crate::panic::exception;

#[repr(C, align(4096))]
struct Table([u64; 512]);

/// The first GiB in blocks of 2 MiB.
static FIRST_GIB: Table = first_gib();

const BLOCK: u64 = 1;
/// Accessed, inner shareable.
const ACCESSED: u64 = 1 << 10 | 3 << 8;
/// Memory attributes number 0 are normal memory, number 1 a device's.
const DEVICE: u64 = 1 << 2;

const fn first_gib() -> Table {
    let mut table = [0; 512];
    let mut block = 0;
    while block < table.len() {
        let start = (block as u64) << 21;
        // QEMU's virt: PL011 at 0x0900_0000. Raspberry Pi 3: peripherals from 0x3f00_0000 on.
        let device = start == 0x0900_0000 || start >= 0x3f00_0000;
        table[block] = start | ACCESSED | BLOCK | if device { DEVICE } else { 0 };
        block += 1;
    }
    Table(table)
}

global_asm!(
    r#"
    .section .text.start, "ax"
    .global _start
_start:
    msr daifset, #15
    mrs x0, mpidr_el1
    and x0, x0, #0xff
    cbz x0, 2f
1:  wfi
    b 1b
2:
    // The table of the first level: one of 2 MiB blocks, then three blocks of 1 GiB.
    adrp x0, {top}
    add x0, x0, :lo12:{top}
    adrp x1, {first}
    add x1, x1, :lo12:{first}
    orr x1, x1, #3
    str x1, [x0]
    mov x2, #0x701
    movk x2, #0x4000, lsl #16
    str x2, [x0, #8]
    mov x3, #0x40000000
    add x2, x2, x3
    str x2, [x0, #16]
    add x2, x2, x3
    str x2, [x0, #24]
    adr x4, 9f
    // Attributes 0: normal, write-back. Attributes 1: device. Addresses of 32 bits, pages of 4 KiB, tables in cached memory.
    mov x1, #0x00ff
    mov x2, #0x3520
    mrs x3, CurrentEL
    cmp x3, #8
    b.eq 4f
    b.hi 5f
    movk x2, #0x0080, lsl #16
    msr mair_el1, x1
    msr tcr_el1, x2
    msr ttbr0_el1, x0
    msr vbar_el1, x4
    mov x1, #3 << 20
    msr cpacr_el1, x1
    isb
    mrs x1, sctlr_el1
    mov x2, #0x1005
    orr x1, x1, x2
    bic x1, x1, #2
    msr sctlr_el1, x1
    b 6f
4:
    movk x2, #0x8080, lsl #16
    msr mair_el2, x1
    msr tcr_el2, x2
    msr ttbr0_el2, x0
    msr vbar_el2, x4
    mov x1, #0x33ff
    msr cptr_el2, x1
    isb
    mrs x1, sctlr_el2
    mov x2, #0x1005
    orr x1, x1, x2
    bic x1, x1, #2
    msr sctlr_el2, x1
    b 6f
5:
    movk x2, #0x8080, lsl #16
    msr mair_el3, x1
    msr tcr_el3, x2
    msr ttbr0_el3, x0
    msr vbar_el3, x4
    msr cptr_el3, xzr
    isb
    mrs x1, sctlr_el3
    mov x2, #0x1005
    orr x1, x1, x2
    bic x1, x1, #2
    msr sctlr_el3, x1
6:
    isb
    adrp x0, _bss_start
    add x0, x0, :lo12:_bss_start
    adrp x1, _bss_end
    add x1, x1, :lo12:_bss_end
7:  cmp x0, x1
    b.hs 8f
    stp xzr, xzr, [x0], #16
    b 7b
8:
    adrp x0, _stack_start
    add x0, x0, :lo12:_stack_start
    mov sp, x0
    bl sepconv_main
    b .

    // Exceptions, of any kind and from anywhere, are the end.
    .balign 2048
9:
    .rept 16
    .balign 128
    mrs x3, CurrentEL
    cmp x3, #8
    b.eq 10f
    b.hi 11f
    mrs x0, esr_el1
    mrs x1, elr_el1
    mrs x2, far_el1
    b {exception}
10: mrs x0, esr_el2
    mrs x1, elr_el2
    mrs x2, far_el2
    b {exception}
11: mrs x0, esr_el3
    mrs x1, elr_el3
    mrs x2, far_el3
    b {exception}
    .endr
    "#,
    top = sym TOP,
    first = sym FIRST_GIB,
    exception = sym exception,
);

/// The table of the first level. In `.data`, since the start-up code fills it before it clears `.bss`.
#[unsafe(link_section = ".data")]
static mut TOP: Table = Table([0; 512]);

//! Copies of a few bytes at a time, tail-predicated.

use core::arch::naked_asm;

/// Copies `count` pieces of `len` bytes each, which lie `from_step` and `to_step` bytes apart.
///
/// # Safety
///
/// There are as many pieces at both ends; `count` and `len` are not 0. The two do not overlap.
#[unsafe(naked)]
pub unsafe extern "C" fn copy_pieces(
    from: *const i8,
    to: *mut i8,
    len: usize,
    count: usize,
    from_step: usize,
    to_step: usize,
) {
    naked_asm!(
        ".cpu cortex-m55
         push {{r4-r9, lr}}
         ldrd r4, r5, [sp, #28]
         cmp r2, #16
         bhi 2f
         vctp.8 r2
         dls lr, r3
         1:
         vpstt
         vldrbt.u8 q0, [r0]
         vstrbt.8 q0, [r1]
         add r0, r4
         add r1, r5
         le lr, 1b
         pop {{r4-r9, pc}}
         2:
         mov r6, r0
         mov r7, r1
         dlstp.8 lr, r2
         3:
         vldrb.u8 q0, [r6], #16
         vstrb.8 q0, [r7], #16
         letp lr, 3b
         add r0, r4
         add r1, r5
         subs r3, #1
         bne 2b
         pop {{r4-r9, pc}}
        "
    )
}

/// See [`CopyPadded`](crate::kernels::padded::CopyPadded).
pub fn padded_row(from: &[i8], to: &mut [i8], left: usize, value: i8) {
    if let Some(right) = to.len().checked_sub(left + from.len()) {
        // SAFETY: the row is as long as its three parts together; a slice that is written overlaps no other.
        unsafe {
            copy_padded(
                from.as_ptr(),
                to.as_mut_ptr(),
                from.len(),
                left,
                right,
                value as i32,
            )
        };
    }
}

/// Writes `left` times `value`, `len` bytes, and `right` times `value`.
///
/// # Safety
///
/// There are `len` bytes to read, and room for all three; the two do not overlap.
#[unsafe(naked)]
unsafe extern "C" fn copy_padded(
    from: *const i8,
    to: *mut i8,
    len: usize,
    left: usize,
    right: usize,
    value: i32,
) {
    naked_asm!(
        ".cpu cortex-m55
         push {{r4, lr}}
         ldrd r4, r12, [sp, #8]
         vdup.8 q1, r12
         add r12, r1, r3
         wlstp.8 lr, r3, 2f
         1:
         vstrb.8 q1, [r1], #16
         letp lr, 1b
         2:
         add r3, r12, r2
         wlstp.8 lr, r2, 4f
         3:
         vldrb.u8 q0, [r0], #16
         vstrb.8 q0, [r12], #16
         letp lr, 3b
         4:
         wlstp.8 lr, r4, 6f
         5:
         vstrb.8 q1, [r3], #16
         letp lr, 5b
         6:
         pop {{r4, pc}}
        "
    )
}

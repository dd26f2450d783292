//! Elementwise addition of tensors of the same shape.

use super::requantize::{Output, Scale};
use super::vector::Vector;
use crate::kernels::reference;
use crate::operator::Binary;
use crate::{Band, Rows};

/// Rows of a sum. Broadcast operands and multipliers above 1 are left to the reference.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
pub(super) unsafe fn add<V: Vector>(binary: &Binary, a: &Rows, b: &Rows, output: &mut Band) {
    // SAFETY: the contract.
    let scales = unsafe {
        (
            Scale::<V>::of(binary.a_multiplier, true),
            Scale::<V>::of(binary.b_multiplier, true),
            Scale::<V>::of(binary.output_multiplier, false),
        )
    };
    let (true, (Some(a_scale), Some(b_scale), Some(sum_scale))) = (
        binary.constant.is_empty() && a.shape == b.shape && binary.left_shift == LEFT_SHIFT,
        scales,
    ) else {
        if let Some(reference) = reference::KERNELS.add.int8 {
            reference(binary, a, b, output);
        }
        return;
    };
    // SAFETY: the contract; reads and writes stay below `len` of rows that are at least as long.
    unsafe {
        let finish = Output::<V>::new(
            binary.output_zero_point,
            binary.activation_min,
            binary.activation_max,
        );
        let a_zero = V::splat_32(-(binary.a_zero_point << (LEFT_SHIFT + 1)));
        let b_zero = V::splat_32(-(binary.b_zero_point << (LEFT_SHIFT + 1)));
        for (y, row) in output.rows_mut() {
            let (a, b) = (a.row(y), b.row(y));
            let len = row.len().min(a.len()).min(b.len());
            for start in (0..len).step_by(V::BYTES) {
                let left = len - start;
                let a = widen(load::<V>(a.as_ptr().cast::<u8>().add(start), left));
                let b = widen(load::<V>(b.as_ptr().cast::<u8>().add(start), left));
                let mut sums = a;
                for (sum, b) in sums.iter_mut().zip(b) {
                    let scaled_a = a_scale.apply(sum.add_32(a_zero));
                    let both = scaled_a.add_32(b_scale.apply(b.add_32(b_zero)));
                    *sum = sum_scale.apply(both.add_32(both)).add_32(finish.zero_point);
                }
                let to = row.as_mut_ptr().cast::<u8>().add(start);
                let packed = finish.pack(sums);
                if left >= V::BYTES {
                    packed.store(to);
                } else {
                    packed.store_first(to, left);
                }
            }
        }
    }
}

/// Bits that int8 operands gain before they are scaled.
const LEFT_SHIFT: u8 = 20;

#[inline(always)]
unsafe fn load<V: Vector>(from: *const u8, left: usize) -> V {
    // SAFETY: the caller has `left` bytes.
    unsafe {
        if left >= V::BYTES {
            V::load(from)
        } else {
            V::load_first(from, left)
        }
    }
}

/// Signed bytes times 2^21 as 32-bit lanes, in the order that [`Output::pack`] undoes.
#[inline(always)]
unsafe fn widen<V: Vector>(bytes: V) -> [V; 4] {
    // SAFETY: the caller's contract. Bytes go to the top of their lanes, and are then shifted down.
    unsafe {
        let zero = V::splat_8(0);
        let (low, high) = (zero.interleave_low_8(bytes), zero.interleave_high_8(bytes));
        let down = V::splat_32(24 - (LEFT_SHIFT as i32 + 1));
        [
            zero.interleave_low_16(low).shift_right_32(down),
            zero.interleave_high_16(low).shift_right_32(down),
            zero.interleave_low_16(high).shift_right_32(down),
            zero.interleave_high_16(high).shift_right_32(down),
        ]
    }
}

//! Elementwise addition of tensors of the same shape.

use super::requantize::{Output, Scale};
use super::vector::Vector;
use crate::kernels::reference;
use crate::layout::x86_sum::{DIGIT, SumConstants};
use crate::operator::Binary;
use crate::{Band, Rows};

/// Rows of a sum.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
pub(super) unsafe fn add<V: Vector>(binary: &Binary, a: &Rows, b: &Rows, output: &mut Band) {
    // SAFETY: the contract.
    unsafe {
        if binary.packed.len() == SumConstants::SIZE && a.shape == b.shape {
            add_packed::<V>(binary, a, b, output);
        } else {
            add_plain::<V>(binary, a, b, output);
        }
    }
}

/// Rows of a sum with [packed constants](crate::layout::x86_sum).
///
/// # Safety
///
/// The processor has `V`'s instruction set; the block of constants has its length.
#[inline(always)]
unsafe fn add_packed<V: Vector>(binary: &Binary, a: &Rows, b: &Rows, output: &mut Band) {
    // SAFETY: the contract.
    unsafe {
        let finish = Output::<V>::new(0, binary.activation_min, binary.activation_max);
        let constants = binary.packed.as_ptr().cast::<SumConstants>().read_unaligned();
        let digits = |[a, b]: [i16; 2]| V::splat_32((b as i32) << 16 | a as u16 as i32);
        let (high, low) = (digits(constants.high), digits(constants.low));
        let offset_high = V::splat_32(constants.offset_high);
        let offset_low = V::splat_32(constants.offset_low);
        let (digit, shift) = (V::splat_32(DIGIT as i32), V::splat_32(constants.shift));
        let (sign, zero) = (V::splat_8(i8::MIN), V::splat_8(0));
        combine::<V>(a, b, output, |a, b| {
            let (a, b) = (a.xor(sign), b.xor(sign));
            // Pairs of bytes, then pairs of 16-bit numbers.
            let (first, second) = (a.interleave_low_8(b), a.interleave_high_8(b));
            let pairs = [
                first.interleave_low_8(zero),
                first.interleave_high_8(zero),
                second.interleave_low_8(zero),
                second.interleave_high_8(zero),
            ];
            finish.pack(pairs.map(|pairs| {
                let carry = offset_low.add_dot_16(pairs, low).shift_right_32(digit);
                offset_high
                    .add_dot_16(pairs, high)
                    .add_32(carry)
                    .shift_right_32(shift)
            }))
        });
    }
}

/// Rows of a sum with plain constants. Broadcast operands and multipliers above 1 are left to the reference.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
unsafe fn add_plain<V: Vector>(binary: &Binary, a: &Rows, b: &Rows, output: &mut Band) {
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
    // SAFETY: the contract.
    unsafe {
        let finish = Output::<V>::new(
            binary.output_zero_point,
            binary.activation_min,
            binary.activation_max,
        );
        let a_zero = V::splat_32(-(binary.a_zero_point << (LEFT_SHIFT + 1)));
        let b_zero = V::splat_32(-(binary.b_zero_point << (LEFT_SHIFT + 1)));
        combine::<V>(a, b, output, |a, b| {
            let mut sums = widen(a);
            for (sum, b) in sums.iter_mut().zip(widen(b)) {
                let scaled_a = a_scale.apply(sum.add_32(a_zero));
                let both = scaled_a.add_32(b_scale.apply(b.add_32(b_zero)));
                *sum = sum_scale.apply(both.add_32(both)).add_32(finish.zero_point);
            }
            finish.pack(sums)
        });
    }
}

/// Combines two tensors of the output's shape, vector by vector.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
unsafe fn combine<V: Vector>(a: &Rows, b: &Rows, output: &mut Band, vectors: impl Fn(V, V) -> V) {
    for (y, row) in output.rows_mut() {
        let (a, b) = (a.row(y), b.row(y));
        let len = row.len().min(a.len()).min(b.len());
        for start in (0..len).step_by(V::BYTES) {
            let left = len - start;
            // SAFETY: the contract; reads and writes stay below `len` of rows that are at least as long.
            unsafe {
                let a = load::<V>(a.as_ptr().cast::<u8>().add(start), left);
                let b = load::<V>(b.as_ptr().cast::<u8>().add(start), left);
                let to = row.as_mut_ptr().cast::<u8>().add(start);
                let combined = vectors(a, b);
                if left >= V::BYTES {
                    combined.store(to);
                } else {
                    combined.store_first(to, left);
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

//! Functions of one int8 value: table lookup and requantization.

use super::vector::Vector;
use crate::kernels::reference;
use crate::operator::{Lookup, Requantize};
use crate::{Band, Element, Rows};

/// Rows of a table lookup.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
pub(super) unsafe fn lookup<V: Vector>(lookup: &Lookup, input: &Rows, output: &mut Band) {
    if let Some(table) = lookup.table.first_chunk() {
        // SAFETY: the contract.
        unsafe { look_up::<V>(table, input, output) };
    }
}

/// Rows of a requantization. Between int8 values it is a table, which the reference fills; all else is left to it.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
pub(super) unsafe fn requantize<V: Vector>(requantize: &Requantize, input: &Rows, output: &mut Band) {
    let Some(reference) = reference::KERNELS.requantize else {
        return;
    };
    let int8 = input.element == Element::Int8 && output.element == Element::Int8;
    if !int8 || output.data.len() <= 256 {
        return reference(requantize, input, output);
    }
    let mut values = [0i8; 256];
    for (value, number) in values.iter_mut().zip(i8::MIN..=i8::MAX) {
        *value = number;
    }
    let mut entries = [0i8; 256];
    let shape = crate::Shape::vector(256);
    let mut band = Band {
        data: &mut entries,
        first_row: 0,
        rows: 1,
        shape,
        element: Element::Int8,
    };
    reference(requantize, &Rows::whole(&values, shape, Element::Int8), &mut band);
    // SAFETY: the contract.
    unsafe { look_up::<V>(&entries.map(|entry| entry as u8), input, output) };
}

#[inline(always)]
unsafe fn look_up<V: Vector>(table: &[u8; 256], input: &Rows, output: &mut Band) {
    for (y, row) in output.rows_mut() {
        // SAFETY: the caller's contract.
        unsafe { look_up_row::<V>(table, input.row(y), row) };
    }
}

/// Each value's entry of a table; the entry of the value q is number q + 128.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
pub(super) unsafe fn look_up_row<V: Vector>(table: &[u8; 256], from: &[i8], row: &mut [i8]) {
    let len = row.len().min(from.len());
    for start in (0..len).step_by(V::BYTES) {
        let left = (len - start).min(V::BYTES);
        // SAFETY: `left` bytes from `start` on are read and written, which both rows have.
        unsafe {
            let from = from.as_ptr().cast::<u8>().add(start);
            let to = row.as_mut_ptr().cast::<u8>().add(start);
            if left == V::BYTES {
                V::load(from).lookup(table.as_ptr()).store(to);
            } else {
                V::load_first(from, left)
                    .lookup(table.as_ptr())
                    .store_first(to, left);
            }
        }
    }
}

//! Softmax over many channels.

use super::lookup::look_up_row;
use super::vector::Vector;
use crate::kernels::reference::{self, softmax as specification};
use crate::operator::Softmax;
use crate::{Band, Element, Rows};
use fixed::types::I13F19;

/// The values of an int8.
const VALUES: usize = 256;

/// Rows of a softmax of int8. A pixel of more channels than an int8 has values takes the exponential and the quotient of each value
/// once; all else is left to the reference.
///
/// # Safety
///
/// The processor has `V`'s instruction set.
#[inline(always)]
pub(super) unsafe fn softmax<V: Vector>(softmax: &Softmax, input: &Rows, output: &mut Band) {
    let channels = input.shape.channels as usize;
    if channels <= VALUES || output.element != Element::Int8 {
        if let Some(reference) = reference::KERNELS.softmax.int8 {
            reference(softmax, input, output);
        }
        return;
    }
    for (y, row) in output.rows_mut() {
        let pixels = input.row(y).chunks_exact(channels);
        for (to, from) in row.chunks_exact_mut(channels).zip(pixels) {
            let table = table(softmax, from);
            // SAFETY: the contract.
            unsafe { look_up_row::<V>(&table, from, to) };
        }
    }
}

/// The output for each value: the entry of the value q is number q + 128.
fn table(softmax: &Softmax, pixel: &[i8]) -> [u8; VALUES] {
    let greatest = pixel.iter().copied().max().unwrap_or(0).into();
    let mut terms = [None; VALUES];
    let mut summands = [I13F19::ZERO; VALUES];
    for ((term, summand), value) in terms.iter_mut().zip(&mut summands).zip(i8::MIN.into()..=greatest) {
        *term = specification::exponential(softmax, value, greatest);
        *summand = term.map_or(I13F19::ZERO, specification::summand);
    }
    let mut sum = I13F19::ZERO;
    for value in pixel {
        sum = sum.saturating_add(summands[(*value as u8 ^ 0x80) as usize]);
    }
    let share = specification::Share::of(sum, 1);
    terms.map(|term| share.quantized(term) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shape;
    use crate::kernels::ALL;
    use alloc::vec;
    use alloc::vec::Vec;

    /// Pixels of all values, of few, of one, and of more equal ones than the sum can hold.
    #[test]
    fn many_channels_give_the_specifications_bytes() {
        let mut compared = 0;
        let scales = [1e-4, 0.02, 0.3, 20.0];
        let pixels: [fn(usize) -> i8; 4] = [
            |i| (i * 37 % 256) as u8 as i8,
            |i| (i % 7) as i8 * 18,
            |_| -128,
            |i| if i == 0 { 127 } else { -128 },
        ];
        for channels in [257u32, 320, 1001, 5000] {
            let values: Vec<i8> = pixels
                .iter()
                .flat_map(|value| (0..channels as usize).map(value))
                .collect();
            let shape = Shape::new(2, 2, channels);
            for softmax in scales.map(|scale| Softmax::from_real(scale).expect("a usual scale")) {
                let run = |kernels: &crate::kernels::Kernels| {
                    let mut data = vec![0; values.len()];
                    let mut band = Band {
                        data: &mut data,
                        first_row: 0,
                        rows: 2,
                        shape,
                        element: Element::Int8,
                    };
                    let rows = Rows::whole(&values, shape, Element::Int8);
                    kernels.softmax.int8.expect("every table has it")(&softmax, &rows, &mut band);
                    data
                };
                let expected = run(&reference::KERNELS);
                for kernels in ALL.iter().filter(|kernels| (kernels.available)()) {
                    assert!(
                        run(kernels) == expected,
                        "{}, {channels} channels, {softmax:?}",
                        kernels.name
                    );
                    compared += 1;
                }
            }
        }
        assert!(compared >= 16);
    }
}

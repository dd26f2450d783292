//! From int8 to pairs of int16.

use core::arch::asm;

/// Bytes 0 and 2 of a word as two int16.
#[inline(always)]
pub fn even(bytes: u32) -> u32 {
    let pair;
    // SAFETY: an instruction on registers.
    unsafe {
        asm!("sxtb16 {}, {}", out(reg) pair, in(reg) bytes, options(pure, nomem, nostack, preserves_flags))
    };
    pair
}

/// Bytes 1 and 3 of a word as two int16.
#[inline(always)]
pub fn odd(bytes: u32) -> u32 {
    let pair;
    // SAFETY: an instruction on registers.
    unsafe {
        asm!("sxtb16 {}, {}, ror #8", out(reg) pair, in(reg) bytes, options(pure, nomem, nostack, preserves_flags))
    };
    pair
}

/// Four values as a word.
#[inline(always)]
pub fn word(values: &[i8; 4]) -> u32 {
    u32::from_le_bytes(values.map(|value| value as u8))
}

/// The last values, fewer than four, followed by zeros.
#[inline]
fn last_word(values: &[i8]) -> u32 {
    let mut bytes = [0; 4];
    for (to, from) in bytes.iter_mut().zip(values) {
        *to = *from;
    }
    word(&bytes)
}

/// One pixel: for every four values the words (0, 2) and (1, 3).
pub fn widen_one(values: &[i8], to: &mut [u32]) {
    let (words, rest) = values.as_chunks::<4>();
    let (to, _) = to.as_chunks_mut::<2>();
    let mut to = to.iter_mut();
    for (values, to) in words.iter().zip(&mut to) {
        let values = word(values);
        *to = [even(values), odd(values)];
    }
    if let (false, Some(to)) = (rest.is_empty(), to.next()) {
        let values = last_word(rest);
        *to = [even(values), odd(values)];
    }
}

/// Two pixels of as many values: for every four values the words (0, 2) of both, then (1, 3) of both.
pub fn widen_two(first: &[i8], second: &[i8], to: &mut [u32]) {
    let ((words, rest), (second_words, second_rest)) = (first.as_chunks::<4>(), second.as_chunks::<4>());
    let (to, _) = to.as_chunks_mut::<4>();
    let mut to = to.iter_mut();
    for ((a, b), to) in words.iter().zip(second_words).zip(&mut to) {
        let (a, b) = (word(a), word(b));
        *to = [even(a), even(b), odd(a), odd(b)];
    }
    if let (false, Some(to)) = (rest.is_empty(), to.next()) {
        let (a, b) = (last_word(rest), last_word(second_rest));
        *to = [even(a), even(b), odd(a), odd(b)];
    }
}

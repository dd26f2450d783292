//! Multipliers against their definitions.

mod support;

use sepconv::fixed_point::{Multiplier, doubling_high_multiply, rounding_right_shift};
use support::{Random, expected};

/// A real number spread over the exponents that multipliers have.
fn real(random: &mut Random) -> f64 {
    let fraction = 0.5 + random.bits() as f64 / u64::MAX as f64 / 2.0;
    fraction * 2f64.powi(random.within(-40, 32) as i32)
}

/// TensorFlow Lite's `QuantizeMultiplier`, as its text defines it, with `log2` in place of `frexp`.
fn defined(real: f64) -> Option<(i64, i32)> {
    let mut exponent = real.log2().floor() as i32 + 1;
    let mut fraction = real / 2f64.powi(exponent);
    // The logarithm may be off by a bit next to powers of two.
    if fraction >= 1.0 {
        (fraction, exponent) = (fraction / 2.0, exponent + 1);
    } else if fraction < 0.5 {
        (fraction, exponent) = (fraction * 2.0, exponent - 1);
    }
    let mut mantissa = (fraction * (1u64 << 31) as f64).round() as i64;
    if mantissa == 1 << 31 {
        (mantissa, exponent) = (mantissa / 2, exponent + 1);
    }
    match exponent {
        ..-31 => Some((0, 0)),
        31.. => None,
        _ => Some((mantissa, exponent)),
    }
}

#[test]
fn a_real_number_gets_the_defined_multiplier() {
    let mut random = Random::new(1);
    for case in 0..200_000 {
        let mut real = real(&mut random);
        if case % 7 == 0 {
            // Just below a power of two, where the mantissa rounds up to it.
            real = 2f64.powi(random.within(-33, 31) as i32) * (1.0 - random.below(5) as f64 * 1e-10);
        }
        let got = Multiplier::from_real(real).map(|m| (m.mantissa.to_bits() as i64, m.shift as i32));
        assert_eq!(got, defined(real), "{real:e}");
    }
}

#[test]
fn applying_a_multiplier_rounds_twice_exactly() {
    let mut random = Random::new(2);
    for _ in 0..500_000 {
        let shift = random.within(-31, 30) as i8;
        let mantissa = random.within(1 << 30, (1 << 31) - 1) as i32;
        let multiplier = Multiplier::from_bits(mantissa, shift);
        // All that does not overflow when it is shifted to the left.
        let limit = i32::MAX as i64 >> shift.max(0);
        let value = match random.below(4) {
            0 => random.pick(&[limit, -limit, 0, 1, -1]),
            1 => random.within(-300, 300).clamp(-limit, limit),
            _ => random.within(-limit, limit),
        };
        assert_eq!(
            multiplier.apply(value as i32) as i64,
            expected::exact(multiplier, value),
            "{value} x {mantissa} x 2^{shift}"
        );
    }
}

#[test]
fn high_multiply_and_right_shift_are_exact_on_all_values() {
    let mut random = Random::new(3);
    for _ in 0..500_000 {
        let (a, b) = (random.bits() as i32, random.bits() as i32);
        let product = a as i128 * b as i128;
        let high = (product + (1 << 30)).div_euclid(1 << 31).min(i32::MAX as i128);
        assert_eq!(
            doubling_high_multiply(a, fixed::types::I1F31::from_bits(b)) as i128,
            high
        );
        let shift = random.below(32) as u32;
        let magnitude = ((a as i128).abs() + ((1i128 << shift) / 2)) >> shift;
        let rounded = if a < 0 { -magnitude } else { magnitude };
        assert_eq!(rounding_right_shift(a, shift) as i128, rounded, "{a} >> {shift}");
    }
}

#[test]
fn wide_multiply_rounds_once_and_halves_up() {
    let mut random = Random::new(4);
    for _ in 0..300_000 {
        let shift = random.within(-31, 7) as i8;
        let mantissa = random.within(1 << 30, (1 << 31) - 1);
        // Sums of 48 bits whose result fits 32.
        let most = (1i64 << (46 - shift.max(0) as i64 * 2).min(46)) - 1;
        let value = random.within(-most, most);
        let reduced = ((mantissa + (1 << 15)) >> 16).min(0x7fff) as i128;
        let places = 15 - shift as i32;
        let wanted = (value as i128 * reduced + (1i128 << (places - 1))).div_euclid(1i128 << places);
        let got = Multiplier::from_bits(mantissa as i32, shift).apply_wide(value);
        assert_eq!(got, wanted as i32, "{value} x {mantissa} x 2^{shift}");
    }
}

#[test]
fn a_mean_divides() {
    let mut random = Random::new(5);
    for _ in 0..100_000 {
        let count = random.within(1, 100_000) as u32;
        let real = random.within(1, 4000) as f64 / 1000.0;
        let multiplier = Multiplier::from_real(real).unwrap().divided_by(count);
        let relative = multiplier.to_real() / (real / count as f64);
        // The mantissa, of 30 bits or more, is rounded down.
        assert!((1.0 - 1e-8..=1.0 + 1e-9).contains(&relative), "{real} / {count}");
        assert!((-31..=30).contains(&multiplier.shift));
    }
}

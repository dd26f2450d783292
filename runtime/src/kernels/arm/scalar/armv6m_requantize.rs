//! Parts of requantization on Armv6-M, which multiplies 32 bits only: twice a sum and the multiplier are taken in halves.
//!
//! Twice a sum is below 2^30 and the multiplier below 2^31, so that no sum of products of halves overflows: those of a lower
//! half with an upper half stay below 2^30 each where sums are signed, and below 2^31 each, taken as unsigned, where they are
//! not. "Rectified" sums below zero give the least output, and skip everything.

/// Takes `$sum`, whose flags are set, apart: its upper half stays in it, `$low` becomes its lower half.
macro_rules! halves {
    (signed, $sum:literal, $low:literal) => {
        concat!(
            "sxth ", $low, ", ", $sum, "\n", "subs ", $sum, ", ", $sum, ", ", $low, "\n", "asrs ", $sum,
            ", ", $sum, ", #16\n",
        )
    };
    (rectified, $sum:literal, $low:literal) => {
        concat!(
            "ble 2f\n", "uxth ", $low, ", ", $sum, "\n", "lsrs ", $sum, ", ", $sum, ", #16\n",
        )
    };
}

/// Takes the upper half of a product, or of a sum of them.
macro_rules! upper_half {
    (signed, $product:literal) => {
        concat!("asrs ", $product, ", ", $product, ", #16\n")
    };
    (rectified, $product:literal) => {
        concat!("lsrs ", $product, ", ", $product, ", #16\n")
    };
}

/// Rounds ties of negative values away from zero.
macro_rules! ties {
    (signed, $value:literal, $free:literal) => {
        concat!(
            "asrs ", $free, ", ", $value, ", #31\n", "adds ", $value, ", ", $value, ", ", $free, "\n",
        )
    };
    (rectified, $value:literal, $free:literal) => {
        ""
    };
}

/// Brings `$value` into the range of int8.
macro_rules! saturate {
    (signed, $value:literal, $free:literal) => {
        concat!(
            "movs ", $free, ", #127\n", "cmp ", $value, ", ", $free, "\n", "bgt 2f\n", "mvns ", $free, ", ",
            $free, "\n", "cmp ", $value, ", ", $free, "\n", "bge 3f\n", "2:\n", "mov ", $value, ", ", $free,
            "\n", "3:\n",
        )
    };
    (rectified, $value:literal, $free:literal) => {
        concat!(
            "cmp ", $value, ", #127\n", "ble 3f\n", "movs ", $value, ", #127\n", "b 3f\n", "2:\n", "movs ",
            $value, ", #127\n", "mvns ", $value, ", ", $value, "\n", "3:\n",
        )
    };
}

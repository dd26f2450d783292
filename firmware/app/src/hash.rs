//! A hash by which the outputs of board and host are compared.

/// FNV-1a with 64 bits of the values as bytes (Fowler, Noll, Vo; IETF draft-eastlake-fnv).
pub fn fnv1a_64(values: &[i8]) -> u64 {
    values.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, value| {
        (hash ^ u64::from(value.cast_unsigned())).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

//! NumPy's `.npy` files (NEP 1) of int8 values, which is what models take and give.

use std::path::Path;

use crate::error::Error;

/// Writes int8 values as an array of the given shape.
///
/// # Errors
///
/// [`Error::Environment`] if the file cannot be written.
pub fn write(path: &Path, shape: &[usize], values: &[i8]) -> Result<(), Error> {
    let shape: String = shape.iter().map(|length| format!("{length}, ")).collect();
    let mut header = format!(
        "{{'descr': '|i1', 'fortran_order': False, 'shape': ({}), }}",
        shape.trim_end()
    );
    // The data starts at a multiple of 64.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header += &" ".repeat(length - header.len() - 1);
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values.iter().map(|value| value.to_le_bytes()[0]));
    std::fs::write(path, bytes)
        .map_err(|error| Error::Environment(format!("cannot write {}: {error}", path.display())))
}

/// Reads int8 values and their shape.
///
/// # Errors
///
/// [`Error::Input`] if the file cannot be read or is no C-ordered int8 array.
pub fn read(path: &Path) -> Result<(Vec<usize>, Vec<i8>), Error> {
    let wrong = |what: &str| Error::Input(format!("{}: {what}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| wrong(&error.to_string()))?;
    parse(&bytes).map_err(wrong)
}

fn parse(bytes: &[u8]) -> Result<(Vec<usize>, Vec<i8>), &'static str> {
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("no .npy file")?;
    let (length, rest) = match rest {
        [1, _, low, high, rest @ ..] => (usize::from(u16::from_le_bytes([*low, *high])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Err("an unknown version of .npy"),
    };
    let (header, data) = rest.split_at_checked(length).ok_or("the header is cut off")?;
    let header = std::str::from_utf8(header).map_err(|_| "the header is no text")?;
    if !(header.contains("'|i1'") || header.contains("'<i1'")) {
        return Err("not an int8 array");
    }
    if !header.contains("'fortran_order': False") {
        return Err("not in C order");
    }
    let shape = header
        .split_once("'shape': (")
        .and_then(|(_, rest)| rest.split_once(')'));
    let (shape, _) = shape.ok_or("the header has no shape")?;
    let lengths = shape
        .split(',')
        .map(str::trim)
        .filter(|length| !length.is_empty());
    let shape: Vec<usize> = lengths
        .map(|length| length.parse().map_err(|_| "a bad shape"))
        .collect::<Result<_, _>>()?;
    if shape
        .iter()
        .try_fold(1usize, |product, length| product.checked_mul(*length))
        != Some(data.len())
    {
        return Err("the data is not as long as its shape says");
    }
    Ok((
        shape,
        data.iter().map(|byte| i8::from_le_bytes([*byte])).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let path = std::env::temp_dir().join(format!("sepconv-xtask-{}.npy", std::process::id()));
        let values: Vec<i8> = (-128..=127).collect();
        write(&path, &[2, 4, 32, 1], &values).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len() % 64, 256 % 64);
        assert_eq!(read(&path).unwrap(), (vec![2, 4, 32, 1], values));
        std::fs::remove_file(&path).unwrap();
        assert!(
            parse(&bytes[..bytes.len() - 1])
                .unwrap_err()
                .contains("shape says")
        );
        assert!(parse(&bytes[..40]).is_err());
        assert!(parse(b"PK").is_err());
    }
}

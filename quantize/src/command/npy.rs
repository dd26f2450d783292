//! NumPy's `.npy` arrays, as `sepconv run` takes and gives them.

use super::failure::Failure;
use npyz::{NpyFile, NpyHeader, Order, TypeChar, WriterBuilder};
use sepconv_quantize::write::write_file;
use std::path::Path;

/// An array in C order.
#[derive(Debug, PartialEq)]
pub struct Array {
    /// The lengths of its axes.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Values,
}

/// Values of one of the types that models take and give.
#[derive(Debug, PartialEq)]
pub enum Values {
    /// `int8`.
    Int8(Vec<i8>),
    /// `uint8`.
    Uint8(Vec<u8>),
    /// `int16`.
    Int16(Vec<i16>),
    /// `float32`.
    Float32(Vec<f32>),
}

impl Values {
    /// NumPy's name of the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Values::Int8(_) => "int8",
            Values::Uint8(_) => "uint8",
            Values::Int16(_) => "int16",
            Values::Float32(_) => "float32",
        }
    }
}

/// Reads an array.
pub fn read(path: &Path) -> Result<Array, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::input(path, error))?;
    parse(&bytes).map_err(|what| Failure::input(path, what))
}

fn parse(bytes: &[u8]) -> Result<Array, String> {
    let mut rest = bytes;
    let header = NpyHeader::from_reader(&mut rest).map_err(|error| format!("not an .npy array: {error}"))?;
    let shape: Vec<usize> = header.shape().iter().map(|length| *length as usize).collect();
    let count = shape
        .iter()
        .try_fold(1usize, |product, length| product.checked_mul(*length));
    let descr = header.dtype().descr();
    let size = header
        .dtype()
        .num_bytes()
        .filter(|_| !header.dtype().uses_pickled_array());
    let (Some(count), Some(size)) = (count, size) else {
        return Err(format!(
            "the array's type {descr} or shape {shape:?} is not supported"
        ));
    };
    // Checked before anything is allocated by it.
    if count.checked_mul(size) != Some(rest.len()) {
        return Err(format!(
            "{} bytes of data do not make shape {shape:?} of {descr}",
            rest.len()
        ));
    }
    if header.order() == Order::Fortran && shape.len() > 1 {
        return Err("the array is in Fortran order; save numpy.ascontiguousarray(x)".into());
    }
    let kind = match header.dtype() {
        npyz::DType::Plain(plain) => Some(plain.type_char()),
        _ => None,
    };
    let file = NpyFile::with_header(header, rest);
    let values = match (kind, size) {
        (Some(TypeChar::Int), 1) => file.into_vec().map(Values::Int8),
        (Some(TypeChar::Uint), 1) => file.into_vec().map(Values::Uint8),
        (Some(TypeChar::Int), 2) => file.into_vec().map(Values::Int16),
        (Some(TypeChar::Float), 4) => file.into_vec().map(Values::Float32),
        _ => {
            return Err(format!(
                "the array's type is {descr}; models take int8, uint8, int16 or float32: save x.astype(...)"
            ));
        }
    };
    Ok(Array {
        shape,
        values: values.map_err(|error| error.to_string())?,
    })
}

/// Writes an array: all of it, or the file stays as it was.
pub fn write(path: &Path, array: &Array) -> Result<(), Failure> {
    let bytes = match &array.values {
        Values::Int8(values) => bytes(&array.shape, values),
        Values::Uint8(values) => bytes(&array.shape, values),
        Values::Int16(values) => bytes(&array.shape, values),
        Values::Float32(values) => bytes(&array.shape, values),
    };
    let bytes = bytes.map_err(|error| Failure::output(path, error))?;
    write_file(path, &bytes).map_err(|error| Failure::Environment(error.to_string()))
}

fn bytes<T: npyz::AutoSerialize + Copy>(shape: &[usize], values: &[T]) -> std::io::Result<Vec<u8>> {
    let shape: Vec<u64> = shape.iter().map(|length| *length as u64).collect();
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&shape)
        .writer(&mut bytes)
        .begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        for values in [
            Values::Int8(vec![-128, 0, 1, 2, 3, 127]),
            Values::Uint8(vec![0, 1, 2, 3, 4, 255]),
            Values::Int16(vec![-32768, 0, 1, 2, 3, 32767]),
            Values::Float32(vec![-1.5, 0.0, 1.0, 2.0, 3.0, f32::MAX]),
        ] {
            let array = Array {
                shape: vec![1, 2, 3],
                values,
            };
            write(&path, &array).unwrap();
            assert_eq!(read(&path).unwrap(), array);
        }
    }

    #[test]
    fn bad_arrays_are_refused() {
        assert!(parse(b"PK\x03\x04").unwrap_err().contains("not an .npy array"));
        let whole = bytes(&[4], &[1i8, 2, 3, 4]).unwrap();
        assert!(parse(&whole[..whole.len() - 1]).unwrap_err().contains("3 bytes"));
        assert!(
            parse(&bytes(&[1], &[1.0f64]).unwrap())
                .unwrap_err()
                .contains("float32")
        );
        let header = |from: &[u8], to: &[u8]| {
            assert_eq!(from.len(), to.len());
            let at = whole.windows(from.len()).position(|window| window == from);
            let mut changed = whole.clone();
            changed[at.expect("the header holds it")..][..to.len()].copy_from_slice(to);
            changed
        };
        let fortran = header(b"False, 'shape': (4, ), }", b"True , 'shape': (2,2), }");
        assert!(parse(&fortran).unwrap_err().contains("Fortran"));
        let large = header(b"(4, ), }            ", b"(9999999999999,), } ");
        assert!(parse(&large).unwrap_err().contains("do not make shape"));
    }
}

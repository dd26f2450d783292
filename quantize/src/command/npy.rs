//! NumPy's arrays: `.npy` files as `sepconv run` takes and gives them, and `.npz` archives of inputs and labels.

use super::failure::Failure;
use npyz::{NpyFile, NpyHeader, Order, TypeChar, WriterBuilder};
use sepconv_quantize::write::write_file;
use std::io::Read;
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

    /// How many values there are.
    pub fn len(&self) -> usize {
        match self {
            Values::Int8(values) => values.len(),
            Values::Uint8(values) => values.len(),
            Values::Int16(values) => values.len(),
            Values::Float32(values) => values.len(),
        }
    }

    /// At most `limit` of the blocks of `each` values, evenly spread.
    pub fn spread(self, each: usize, limit: usize) -> Self {
        match self {
            Values::Int8(values) => Values::Int8(spread(values, each, limit)),
            Values::Uint8(values) => Values::Uint8(spread(values, each, limit)),
            Values::Int16(values) => Values::Int16(spread(values, each, limit)),
            Values::Float32(values) => Values::Float32(spread(values, each, limit)),
        }
    }
}

fn spread<T: Copy>(values: Vec<T>, each: usize, limit: usize) -> Vec<T> {
    let count = values.len() / each;
    if count <= limit {
        return values;
    }
    let starts = (0..limit).map(|number| number * count / limit * each);
    starts
        .flat_map(|start| &values[start..start + each])
        .copied()
        .collect()
}

/// Reads an array.
pub fn read(path: &Path) -> Result<Array, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::input(path, error))?;
    parse(&bytes).map_err(|what| Failure::input(path, what))
}

/// Reads an array from an `.npy` file, or from an `.npz` archive the one of the first of `names` that it has.
pub fn read_named(path: &Path, names: &[&str]) -> Result<Array, Failure> {
    let bytes = member(path, names)?;
    parse(&bytes).map_err(|what| Failure::input(path, what))
}

/// Reads class indices as [`read_named`] does: a vector of integers.
pub fn read_labels(path: &Path, names: &[&str]) -> Result<Vec<u32>, Failure> {
    let bytes = member(path, names)?;
    parse_labels(&bytes).map_err(|what| Failure::input(path, what))
}

/// Whether a file is an `.npy` array or an `.npz` archive of arrays, by its name.
pub fn is_array(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| matches!(&*extension.to_lowercase(), "npy" | "npz"))
}

/// The bytes of an `.npy` file, or of the member of an `.npz` archive that has the first of these names.
fn member(path: &Path, names: &[&str]) -> Result<Vec<u8>, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::input(path, error))?;
    if !bytes.starts_with(b"PK") {
        return Ok(bytes);
    }
    let damaged = |error: &dyn std::fmt::Display| Failure::input(path, format!("damaged archive: {error}"));
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(|error| damaged(&error))?;
    let found = names
        .iter()
        .find_map(|name| archive.index_for_name(&format!("{name}.npy")));
    let Some(index) = found else {
        return Err(Failure::input(
            path,
            format!("holds no array named {}", names.join(" or ")),
        ));
    };
    let file = archive.by_index(index).map_err(|error| damaged(&error))?;
    let (size, mut contents) = (file.size(), Vec::new());
    // What does not inflate to the size that the archive states is refused before it fills the memory.
    file.take(size.saturating_add(1))
        .read_to_end(&mut contents)
        .map_err(|error| damaged(&error))?;
    if contents.len() as u64 != size {
        return Err(damaged(&"an array is not of the size that is stated"));
    }
    Ok(contents)
}

/// An array whose header has been read and checked.
struct Opened<'a> {
    header: NpyHeader,
    /// The lengths of its axes.
    shape: Vec<usize>,
    /// Bytes of a value.
    size: usize,
    /// The values.
    rest: &'a [u8],
}

fn open(bytes: &[u8]) -> Result<Opened<'_>, String> {
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
    Ok(Opened {
        header,
        shape,
        size,
        rest,
    })
}

/// The kind of an array's values; nothing for structures.
fn kind(header: &NpyHeader) -> Option<TypeChar> {
    match header.dtype() {
        npyz::DType::Plain(plain) => Some(plain.type_char()),
        _ => None,
    }
}

fn parse(bytes: &[u8]) -> Result<Array, String> {
    let Opened {
        header,
        shape,
        size,
        rest,
    } = open(bytes)?;
    let (kind, descr) = (kind(&header), header.dtype().descr());
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

fn parse_labels(bytes: &[u8]) -> Result<Vec<u32>, String> {
    let Opened {
        header, size, rest, ..
    } = open(bytes)?;
    let (kind, descr) = (kind(&header), header.dtype().descr());
    let file = NpyFile::with_header(header, rest);
    let wide = |values: std::io::Result<Vec<i64>>| values.map_err(|error| error.to_string());
    let values = match (kind, size) {
        (Some(TypeChar::Int), 8) => wide(file.into_vec())?,
        (Some(TypeChar::Int), 4) => wide(file.into_vec().map(|values: Vec<i32>| widen(&values)))?,
        (Some(TypeChar::Int), 1) => wide(file.into_vec().map(|values: Vec<i8>| widen(&values)))?,
        (Some(TypeChar::Uint), 1) => wide(file.into_vec().map(|values: Vec<u8>| widen(&values)))?,
        _ => {
            return Err(format!(
                "the labels' type is {descr}: save labels.astype(numpy.int64)"
            ));
        }
    };
    let label =
        |value: &i64| u32::try_from(*value).map_err(|_| format!("the label {value} is no class index"));
    values.iter().map(label).collect()
}

fn widen<T: Copy + Into<i64>>(values: &[T]) -> Vec<i64> {
    values.iter().map(|value| (*value).into()).collect()
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

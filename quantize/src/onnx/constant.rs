//! Stored tensors.

use super::error::OnnxError;
use half::{bf16, f16};
use std::path::{Component, Path};
use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};

/// A tensor whose values are known at import, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Extents; none for a scalar.
    pub dims: Vec<usize>,
    /// Element type in the file.
    pub element: DataType,
    /// Values.
    pub values: Values,
    /// The integers behind the values, where they come from a DequantizeLinear node.
    pub quantized: Option<Dequantized>,
}

/// Values of a constant: every float type as f32, every integer type and booleans as i64.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Float elements.
    Floats(Vec<f32>),
    /// Integer and boolean elements.
    Integers(Vec<i64>),
}

/// Integers with zero point 0, and their scales.
#[derive(Clone, Debug, PartialEq)]
pub struct Dequantized {
    /// One per value.
    pub integers: Vec<i32>,
    /// One, or one per index along `axis`.
    pub scales: Vec<f32>,
    /// Dimension that the scales belong to.
    pub axis: usize,
}

impl Constant {
    /// Float elements.
    pub fn floats(dims: Vec<usize>, values: Vec<f32>) -> Self {
        Constant {
            dims,
            element: DataType::Float,
            values: Values::Floats(values),
            quantized: None,
        }
    }

    /// 64-bit integers in one dimension, as shapes are given.
    pub fn integers(values: Vec<i64>) -> Self {
        let dims = vec![values.len()];
        Constant {
            dims,
            element: DataType::Int64,
            values: Values::Integers(values),
            quantized: None,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Floats(v) => v.len(),
            Values::Integers(v) => v.len(),
        }
    }

    /// A constant of one value as a vector of `count` equal ones.
    pub fn repeated(&self, count: usize) -> Constant {
        let quantized = self.quantized.as_ref().map(|q| Dequantized {
            integers: vec![q.integers[0]; count],
            scales: q.scales.clone(),
            axis: 0,
        });
        Constant {
            quantized,
            ..Constant::floats(vec![count], vec![self.to_floats()[0]; count])
        }
    }

    /// The values as floats.
    pub fn to_floats(&self) -> Vec<f32> {
        match &self.values {
            Values::Floats(v) => v.clone(),
            Values::Integers(v) => v.iter().map(|&i| i as f32).collect(),
        }
    }

    /// The values as integers; floats are cut.
    pub fn to_integers(&self) -> Vec<i64> {
        match &self.values {
            Values::Floats(v) => v.iter().map(|&f| f as i64).collect(),
            Values::Integers(v) => v.clone(),
        }
    }

    /// The same values as another element type, as ONNX Cast defines it.
    pub fn cast(&self, element: DataType) -> Constant {
        let values = match element {
            DataType::Float16 => Values::Floats(
                self.to_floats()
                    .into_iter()
                    .map(|x| f16::from_f32(x).to_f32())
                    .collect(),
            ),
            DataType::Float | DataType::Double | DataType::Bfloat16 => Values::Floats(self.to_floats()),
            DataType::Bool => {
                Values::Integers(self.to_floats().iter().map(|&x| i64::from(x != 0.0)).collect())
            }
            _ => Values::Integers(self.to_integers()),
        };
        Constant {
            dims: self.dims.clone(),
            element,
            values,
            quantized: None,
        }
    }

    /// Reads a stored tensor. `folder` is where external data is looked for.
    pub fn from_proto(tensor: &TensorProto, folder: Option<&Path>) -> Result<Self, OnnxError> {
        let fail = |problem: String| OnnxError::Tensor {
            name: tensor.name.clone(),
            problem,
        };
        let dims = tensor
            .dims
            .iter()
            .map(|&d| usize::try_from(d).map_err(|_| fail(format!("has the extent {d}"))))
            .collect::<Result<Vec<_>, _>>()?;
        let count = dims
            .iter()
            .try_fold(1usize, |n, &d| n.checked_mul(d))
            .ok_or_else(|| fail(format!("has extents too large to address: {dims:?}")))?;
        let element = DataType::try_from(tensor.data_type)
            .map_err(|_| fail(format!("has the unknown element type {}", tensor.data_type)))?;
        let external = tensor.data_location == Some(DataLocation::External as i32);
        let bytes = if external {
            Some(external_bytes(tensor, folder).map_err(fail)?)
        } else {
            None
        };
        let raw = bytes
            .as_deref()
            .or((!tensor.raw_data.is_empty()).then_some(&tensor.raw_data[..]));
        let values = match raw {
            Some(raw) => from_bytes(element, raw, count),
            None => from_fields(element, tensor),
        }
        .map_err(fail)?;
        let constant = Constant {
            dims,
            element,
            values,
            quantized: None,
        };
        match constant.len() {
            found if found == count => Ok(constant),
            found => Err(fail(format!(
                "should hold {count} values and holds {found}; the file is damaged"
            ))),
        }
    }

    /// The constant as a stored tensor.
    pub fn to_proto(&self, name: &str) -> TensorProto {
        let mut tensor = TensorProto {
            name: name.to_string(),
            dims: self.dims.iter().map(|&d| d as i64).collect(),
            data_type: self.element as i32,
            ..TensorProto::default()
        };
        match (&self.values, self.element) {
            (Values::Floats(v), DataType::Double) => {
                tensor.double_data = v.iter().map(|&x| x.into()).collect()
            }
            (Values::Floats(v), _) => {
                tensor.data_type = DataType::Float as i32;
                tensor.float_data = v.clone();
            }
            (Values::Integers(v), DataType::Int64 | DataType::Uint64) => tensor.int64_data = v.clone(),
            (Values::Integers(v), _) => tensor.int32_data = v.iter().map(|&x| x as i32).collect(),
        }
        tensor
    }
}

/// Little-endian elements from raw bytes.
fn from_bytes(element: DataType, raw: &[u8], count: usize) -> Result<Values, String> {
    let size = match element {
        DataType::Int8 | DataType::Uint8 | DataType::Bool => 1,
        DataType::Int16 | DataType::Uint16 | DataType::Float16 | DataType::Bfloat16 => 2,
        DataType::Int32 | DataType::Uint32 | DataType::Float => 4,
        DataType::Int64 | DataType::Uint64 | DataType::Double => 8,
        other => {
            return Err(format!(
                "has the element type {}, which is not supported",
                other.as_str_name()
            ));
        }
    };
    if Some(raw.len()) != count.checked_mul(size) {
        let found = raw.len();
        return Err(format!(
            "should hold {count} values of {size} bytes and holds {found} bytes; the file is damaged"
        ));
    }
    Ok(match element {
        DataType::Float => Values::Floats(each(raw, f32::from_le_bytes)),
        DataType::Float16 => Values::Floats(each(raw, |b| f16::from_le_bytes(b).to_f32())),
        DataType::Bfloat16 => Values::Floats(each(raw, |b| bf16::from_le_bytes(b).to_f32())),
        DataType::Double => Values::Floats(each(raw, |b| f64::from_le_bytes(b) as f32)),
        DataType::Int8 => Values::Integers(each(raw, |b| i8::from_le_bytes(b).into())),
        DataType::Int16 => Values::Integers(each(raw, |b| i16::from_le_bytes(b).into())),
        DataType::Uint16 => Values::Integers(each(raw, |b| u16::from_le_bytes(b).into())),
        DataType::Int32 => Values::Integers(each(raw, |b| i32::from_le_bytes(b).into())),
        DataType::Uint32 => Values::Integers(each(raw, |b| u32::from_le_bytes(b).into())),
        DataType::Int64 | DataType::Uint64 => Values::Integers(each(raw, i64::from_le_bytes)),
        _ => Values::Integers(raw.iter().map(|&b| b.into()).collect()),
    })
}

fn each<T, const N: usize>(raw: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks::<N>()
        .0
        .iter()
        .map(|&bytes| convert(bytes))
        .collect()
}

/// Elements from the typed fields of the message.
fn from_fields(element: DataType, tensor: &TensorProto) -> Result<Values, String> {
    let narrow = || tensor.int32_data.iter();
    Ok(match element {
        DataType::Float => Values::Floats(tensor.float_data.clone()),
        DataType::Double => Values::Floats(tensor.double_data.iter().map(|&x| x as f32).collect()),
        DataType::Float16 => Values::Floats(narrow().map(|&x| f16::from_bits(x as u16).to_f32()).collect()),
        DataType::Bfloat16 => Values::Floats(narrow().map(|&x| bf16::from_bits(x as u16).to_f32()).collect()),
        DataType::Int64 => Values::Integers(tensor.int64_data.clone()),
        DataType::Uint32 | DataType::Uint64 => {
            Values::Integers(tensor.uint64_data.iter().map(|&x| x as i64).collect())
        }
        DataType::Int8
        | DataType::Uint8
        | DataType::Int16
        | DataType::Uint16
        | DataType::Int32
        | DataType::Bool => Values::Integers(narrow().map(|&x| x.into()).collect()),
        other => {
            return Err(format!(
                "has the element type {}, which is not supported",
                other.as_str_name()
            ));
        }
    })
}

/// The bytes of a tensor stored in a file beside the model.
fn external_bytes(tensor: &TensorProto, folder: Option<&Path>) -> Result<Vec<u8>, String> {
    let entry = |key: &str| {
        tensor
            .external_data
            .iter()
            .find(|e| e.key == key)
            .map(|e| e.value.as_str())
    };
    let number = |key: &str| {
        entry(key)
            .map(|v| v.parse::<usize>().map_err(|_| format!("{key} is {v:?}")))
            .transpose()
    };
    let location = entry("location").ok_or("is stored outside the model, but no location is given")?;
    let folder = folder.ok_or("is stored outside the model, which was not read from a file")?;
    if Path::new(location)
        .components()
        .any(|c| !matches!(c, Component::Normal(_) | Component::CurDir))
    {
        return Err(format!("is stored at {location:?}, outside the model's folder"));
    }
    let path = folder.join(location);
    let bytes = std::fs::read(&path).map_err(|e| format!("is stored in {}: {e}", path.display()))?;
    let start = number("offset")?.unwrap_or(0);
    let end = match number("length")? {
        Some(length) => start.checked_add(length).ok_or("has a length too large")?,
        None => bytes.len(),
    };
    bytes.get(start..end).map(<[u8]>::to_vec).ok_or_else(|| {
        format!(
            "is stored at bytes {start}..{end} of {}, which is shorter",
            path.display()
        )
    })
}

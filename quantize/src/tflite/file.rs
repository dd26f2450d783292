//! The contents of a `.tflite` file, verified: tensors and operators of its only graph.
//!
//! The schema's accessors are those that the crate `tract-tflite` carries, generated from TensorFlow's `schema.fbs`; the
//! flatbuffer verifier runs before any of them.

use super::TfliteError;
use sepconv::Shape;
use tract_tflite::tflite as schema;

pub(super) use schema::TensorType;

/// A tensor of the file.
#[derive(Debug)]
pub(super) struct Tensor<'a> {
    pub index: usize,
    pub name: String,
    /// Dimensions as stored, the batch first.
    pub dimensions: Vec<i32>,
    pub element: TensorType,
    /// One scale, or one for each index along `axis`; empty if not quantized.
    pub scales: Vec<f32>,
    pub zero_points: Vec<i64>,
    pub axis: i32,
    /// The values of a constant.
    pub data: Option<&'a [u8]>,
}

/// An operator of the file.
pub(super) struct Operator<'a> {
    pub index: usize,
    pub code: schema::BuiltinOperator,
    pub version: i32,
    /// Numbers of tensors, -1 for an optional one left out.
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    pub options: schema::Operator<'a>,
    custom: Option<String>,
}

/// The only graph of a file.
pub(super) struct File<'a> {
    pub tensors: Vec<Tensor<'a>>,
    pub operators: Vec<Operator<'a>>,
    /// The tensor that is the model's input.
    pub input: usize,
    /// The tensor that is the model's output.
    pub output: usize,
}

impl<'a> File<'a> {
    /// Verifies `bytes` and lists what they hold.
    pub fn open(bytes: &'a [u8]) -> Result<Self, TfliteError> {
        if bytes.get(4..8) != Some(b"TFL3") {
            return Err(TfliteError::NotTflite);
        }
        let model = schema::root_as_model(bytes).map_err(|error| TfliteError::Damaged(error.to_string()))?;
        if model.version() != 3 {
            return Err(TfliteError::SchemaVersion(model.version()));
        }
        let graphs = model.subgraphs().ok_or(TfliteError::Count {
            count: 0,
            what: "subgraphs",
        })?;
        let count = graphs.len();
        let graph = graphs.iter().next().filter(|_| count == 1);
        let graph = graph.ok_or(TfliteError::Count {
            count,
            what: "subgraphs",
        })?;

        let tensors: Vec<_> = (graph.tensors().into_iter().flatten().enumerate())
            .map(|(index, tensor)| Tensor::read(index, tensor, &model))
            .collect::<Result<_, _>>()?;
        let operators: Vec<_> = (graph.operators().into_iter().flatten().enumerate())
            .map(|(index, operator)| Operator::read(index, operator, &model))
            .collect::<Result<_, _>>()?;
        let input = only(graph.inputs(), "inputs")?;
        let output = only(graph.outputs(), "outputs")?;
        let file = Self {
            tensors,
            operators,
            input,
            output,
        };
        file.check_numbers()?;
        Ok(file)
    }

    /// Every tensor number must be one of the file's.
    fn check_numbers(&self) -> Result<(), TfliteError> {
        for number in [self.input, self.output] {
            if number >= self.tensors.len() {
                return Err(TfliteError::Damaged(format!(
                    "no tensor {number}, which is input or output"
                )));
            }
        }
        for operator in &self.operators {
            for (numbers, least) in [(&operator.inputs, -1), (&operator.outputs, 0)] {
                for number in numbers {
                    if !(least..self.tensors.len() as i32).contains(number) {
                        return Err(operator
                            .refuse(format!("it names tensor {number}, which the file does not have")));
                    }
                }
            }
        }
        Ok(())
    }
}

fn only<'a>(
    numbers: Option<impl IntoIterator<Item = i32, IntoIter: ExactSizeIterator> + 'a>,
    what: &'static str,
) -> Result<usize, TfliteError> {
    let numbers: Vec<i32> = numbers.into_iter().flatten().collect();
    match numbers[..] {
        [number] => {
            usize::try_from(number).map_err(|_| TfliteError::Damaged(format!("{what}: tensor {number}")))
        }
        _ => Err(TfliteError::Count {
            count: numbers.len(),
            what,
        }),
    }
}

impl<'a> Tensor<'a> {
    fn read(
        index: usize,
        tensor: schema::Tensor<'a>,
        model: &schema::Model<'a>,
    ) -> Result<Self, TfliteError> {
        let quantization = tensor.quantization();
        let mut read = Self {
            index,
            // What was fused keeps the names of all that it was made of, separated by semicolons.
            name: tensor
                .name()
                .and_then(|names| names.split(';').next())
                .unwrap_or("without name")
                .to_string(),
            dimensions: tensor.shape().into_iter().flatten().collect(),
            element: tensor.type_(),
            scales: quantization
                .and_then(|q| q.scale())
                .into_iter()
                .flatten()
                .collect(),
            zero_points: quantization
                .and_then(|q| q.zero_point())
                .into_iter()
                .flatten()
                .collect(),
            axis: quantization.map_or(0, |q| q.quantized_dimension()),
            data: None,
        };
        let buffers = model.buffers();
        let buffer = buffers.filter(|buffers| (tensor.buffer() as usize) < buffers.len());
        let Some(buffer) = buffer.map(|buffers| buffers.get(tensor.buffer() as usize)) else {
            return Err(read.refuse(format!("no buffer {}, which holds its values", tensor.buffer())));
        };
        read.data = buffer
            .data()
            .map(|data| data.bytes())
            .filter(|data| !data.is_empty());
        if tensor.is_variable() {
            return Err(read.refuse("variable tensors are not supported"));
        }
        if tensor.sparsity().is_some() {
            return Err(read.refuse("sparse tensors are not supported: convert the model without sparsity"));
        }
        Ok(read)
    }

    pub fn refuse(&self, reason: impl Into<String>) -> TfliteError {
        TfliteError::Tensor {
            index: self.index,
            name: self.name.clone(),
            reason: reason.into(),
        }
    }

    /// The dimensions of a tensor of fixed shape.
    pub fn sizes(&self) -> Result<Vec<u32>, TfliteError> {
        let dimensions = &self.dimensions;
        if dimensions.iter().any(|n| *n < 1) {
            return Err(self.refuse(format!(
                "shape {dimensions:?} is dynamic or empty: convert the model with a fixed shape"
            )));
        }
        let sizes: Vec<u32> = dimensions.iter().map(|n| *n as u32).collect();
        if sizes
            .iter()
            .try_fold(1u32, |product, n| product.checked_mul(*n))
            .is_none_or(|product| product > 1 << 30)
        {
            return Err(self.refuse(format!("shape {dimensions:?} has more than 2^30 values")));
        }
        Ok(sizes)
    }

    /// The number of values.
    pub fn values(&self) -> Result<usize, TfliteError> {
        Ok(self.sizes()?.iter().product::<u32>() as usize)
    }

    /// The shape of an activation: [1, height, width, channels], [1, width, channels], [1, channels] or [channels].
    pub fn shape(&self) -> Result<Shape, TfliteError> {
        match self.sizes()?[..] {
            [] => Ok(Shape::vector(1)),
            [channels] | [1, channels] => Ok(Shape::vector(channels)),
            [1, width, channels] => Ok(Shape::new(1, width, channels)),
            [1, height, width, channels] => Ok(Shape::new(height, width, channels)),
            [batch, ..] if self.dimensions.len() <= 4 => Err(self.refuse(format!(
                "a batch of {batch} in shape {:?}: convert the model with batch 1",
                self.dimensions
            ))),
            _ => Err(self.refuse(format!(
                "shape {:?} has more than four dimensions",
                self.dimensions
            ))),
        }
    }

    /// Which axis of [`Tensor::shape`] (0: height, 1: width, 2: channels) is `axis` of the stored dimensions, counted
    /// from the end if negative. `None` for the batch and what does not exist.
    pub fn axis_of_shape(&self, axis: i32) -> Option<u8> {
        let rank = self.dimensions.len() as i32;
        let axis = if axis < 0 { axis + rank } else { axis };
        // One dimension is channels; with more, the first is the batch.
        let first = if rank == 1 { 0 } else { 1 };
        (first..rank).contains(&axis).then(|| (axis + 3 - rank) as u8)
    }

    /// The values of a constant of 32-bit integers.
    pub fn integers(&self) -> Result<Vec<i32>, TfliteError> {
        let data = self.constant(TensorType::INT32, self.values()? * 4)?;
        Ok(data
            .chunks_exact(4)
            .map(|raw| i32::from_le_bytes(raw.try_into().unwrap_or_default()))
            .collect())
    }

    /// The values of a constant of 64-bit integers.
    pub fn long_integers(&self) -> Result<Vec<i64>, TfliteError> {
        let data = self.constant(TensorType::INT64, self.values()? * 8)?;
        Ok(data
            .chunks_exact(8)
            .map(|raw| i64::from_le_bytes(raw.try_into().unwrap_or_default()))
            .collect())
    }

    /// The bytes of a constant of `element` values, `expected` of them.
    pub fn constant(&self, element: TensorType, expected: usize) -> Result<&'a [u8], TfliteError> {
        if self.element != element {
            return Err(self.refuse(format!(
                "its values are {:?} where {element:?} is expected",
                self.element
            )));
        }
        let data = self
            .data
            .ok_or_else(|| self.refuse("it is computed where a constant is expected"))?;
        if data.len() != expected {
            return Err(self.refuse(format!(
                "{} bytes of values where the shape has {expected}",
                data.len()
            )));
        }
        Ok(data)
    }

    /// The only scale and zero point, of an activation.
    pub fn quantization(&self) -> Result<(f32, i32), TfliteError> {
        let (&[scale], zero_points) = (&self.scales[..], &self.zero_points[..]) else {
            return Err(self.refuse(match self.scales.len() {
                0 => "it has no scale: only full integer quantization is supported".to_string(),
                count => format!("it has {count} scales where one is expected"),
            }));
        };
        if !(scale.is_finite() && scale > 0.0) {
            return Err(self.refuse(format!("its scale {scale} is not a positive number")));
        }
        let zero_point = zero_points.first().copied().unwrap_or(0);
        let range = match self.element {
            TensorType::UINT8 => 0..=255,
            TensorType::INT16 => -32768..=32767,
            _ => -128..=127,
        };
        if !range.contains(&zero_point) {
            return Err(self.refuse(format!("its zero point {zero_point} is not in {range:?}")));
        }
        Ok((scale, zero_point as i32))
    }

    /// The scales of a constant in int8: one, or one for each index along an axis, and how many values that follow one
    /// another have the same.
    pub fn weight_scales(&self) -> Result<(&[f32], usize), TfliteError> {
        let sizes = self.sizes()?;
        if let Some(bad) = self
            .scales
            .iter()
            .find(|scale| !(scale.is_finite() && **scale > 0.0))
        {
            return Err(self.refuse(format!("its scale {bad} is not a positive number")));
        }
        match self.scales.len() {
            0 => Err(self.refuse("it has no scale")),
            1 => Ok((&self.scales, 1)),
            count => match usize::try_from(self.axis)
                .ok()
                .filter(|axis| sizes.get(*axis) == Some(&(count as u32)))
            {
                Some(axis) => Ok((&self.scales, sizes[axis + 1..].iter().product::<u32>() as usize)),
                None => Err(self.refuse(format!("it has {count} scales, and no axis of that length"))),
            },
        }
    }
}

impl<'a> Operator<'a> {
    fn read(
        index: usize,
        options: schema::Operator<'a>,
        model: &schema::Model<'a>,
    ) -> Result<Self, TfliteError> {
        let number = options.opcode_index() as usize;
        let codes = model.operator_codes().filter(|codes| number < codes.len());
        let code = codes.map(|codes| codes.get(number));
        let code =
            code.ok_or_else(|| TfliteError::Damaged(format!("operator {index} has no code {number}")))?;
        // Codes below 127 used to be in a field of 8 bits; the greater of both fields is the code.
        let deprecated = schema::BuiltinOperator(code.deprecated_builtin_code() as i32);
        Ok(Self {
            index,
            code: code.builtin_code().max(deprecated),
            version: code.version(),
            inputs: options.inputs().into_iter().flatten().collect(),
            outputs: options.outputs().into_iter().flatten().collect(),
            options,
            custom: code.custom_code().map(str::to_string),
        })
    }

    /// The operator's name in the schema.
    pub fn name(&self) -> String {
        match (&self.custom, self.code.variant_name()) {
            (Some(name), Some("CUSTOM")) => format!("CUSTOM {name}"),
            (_, Some(name)) => name.to_string(),
            (_, None) => format!("operator code {}", self.code.0),
        }
    }

    pub fn refuse(&self, reason: impl Into<String>) -> TfliteError {
        let (index, name, version) = (self.index, self.name(), self.version);
        TfliteError::Operator {
            index,
            name,
            version,
            reason: reason.into(),
        }
    }
}

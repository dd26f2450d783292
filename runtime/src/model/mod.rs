//! A validated view of a `.sepc` file.

mod check_operator;
mod check_schedule;
mod error;
mod view;

pub use error::ModelError;

use crate::format::{CRC_START, Header, MAGIC, OperatorRecord, PUSH_INPUT, Step, TensorRecord, VERSION};
use crate::kernels::{self, Kernels};
use crate::operator::{Kind, Operator};
use crate::{ALIGNMENT, Element, Shape, crc32::crc32};

/// A model: a view of a `.sepc` file in which every offset, shape, shift and arena bound has been checked.
///
/// ```
/// use sepconv::{Model, tiny};
/// let model = Model::new(&tiny::WHOLE.0)?;
/// assert_eq!((model.input().shape.to_string(), model.output().shape.channels), ("8x8x3".into(), 4));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Model<'m> {
    header: Header,
    tensors: &'m [[u8; TensorRecord::SIZE]],
    operators: &'m [[u8; OperatorRecord::SIZE]],
    steps: &'m [[u8; Step::SIZE]],
    constants: &'m [u8],
    metadata: &'m [u8],
    pub(crate) kernels: &'static Kernels,
}

/// A tensor of a model.
///
/// ```
/// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
/// let image = model.input();
/// assert_eq!((image.shape.height, image.element), (8, sepconv::Element::Int8));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tensor {
    /// The shape.
    pub shape: Shape,
    /// The type of the values.
    pub element: Element,
    /// The quantized value of the real number zero.
    pub zero_point: i32,
    /// The real size of one quantization step.
    pub scale: f32,
    /// Rows that the arena holds at a time.
    pub ring_rows: usize,
    /// Where the ring starts in the arena.
    pub offset: usize,
}

impl Tensor {
    /// Bytes of a row.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// assert_eq!(model.input().row_bytes(), 8 * 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn row_bytes(&self) -> usize {
        self.shape.row_values() * self.element.bytes()
    }

    /// Bytes of the whole tensor, however much of it the arena holds.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// assert_eq!(model.input().bytes(), 8 * 8 * 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bytes(&self) -> usize {
        self.shape.values() * self.element.bytes()
    }

    /// Bytes that the arena holds.
    ///
    /// ```
    /// let model = sepconv::Model::new(&sepconv::tiny::STREAMED.0)?;
    /// assert_eq!(model.input().ring_bytes(), 3 * 8 * 3); // three rows, for a window of three
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ring_bytes(&self) -> usize {
        self.ring_rows * self.row_bytes()
    }

    /// Where in the ring row `row` is.
    #[inline]
    pub(crate) fn slot(&self, row: usize) -> usize {
        row.checked_rem(self.ring_rows).unwrap_or(0)
    }

    pub(crate) fn from_record(record: &TensorRecord) -> Self {
        Self {
            shape: Shape::new(record.height, record.width, record.channels),
            element: if record.element == 1 {
                Element::Int16
            } else {
                Element::Int8
            },
            zero_point: record.zero_point as i32,
            scale: record.scale,
            ring_rows: record.ring_rows as usize,
            offset: record.offset as usize,
        }
    }
}

impl<'m> Model<'m> {
    /// Checks a file and makes its view, to be run by the best kernels of this machine.
    ///
    /// `bytes` starts at an address that is a multiple of 16 ([`Aligned`](crate::Aligned)) and may be longer than the
    /// file. The check reads every byte of the file once (CRC-32) and takes time in proportion to operators × steps, of which
    /// [`MAX_WALK`](crate::format::MAX_WALK) are allowed.
    ///
    /// ```
    /// use sepconv::{Aligned, Model, ModelError, tiny};
    /// assert!(Model::new(&tiny::WHOLE.0).is_ok());
    /// let mut damaged = Aligned(tiny::WHOLE.0);
    /// damaged.0[200] ^= 1;
    /// assert_eq!(Model::new(&damaged.0).unwrap_err(), ModelError::Checksum);
    /// ```
    ///
    /// # Errors
    ///
    /// [`ModelError`] says what is wrong, and where.
    pub fn new(bytes: &'m [u8]) -> Result<Self, ModelError> {
        Self::with_kernels(bytes, kernels::best())
    }

    /// As [`new`](Self::new), to be run by the kernels of a given table.
    ///
    /// ```
    /// use sepconv::{Model, kernels, tiny};
    /// for table in kernels::ALL.iter().filter(|table| (table.available)()) {
    ///     assert!(Model::with_kernels(&tiny::WHOLE.0, table).is_ok());
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); also if the machine lacks the table's instruction set, or the table a kernel or a layout
    /// that the model needs.
    pub fn with_kernels(bytes: &'m [u8], kernels: &'static Kernels) -> Result<Self, ModelError> {
        if !(kernels.available)() {
            return Err(ModelError::InstructionSet);
        }
        let header = bytes
            .first_chunk()
            .map(Header::from_bytes)
            .ok_or(ModelError::Truncated)?;
        if header.magic != MAGIC {
            return Err(ModelError::Magic);
        }
        if header.version != VERSION {
            return Err(ModelError::Version {
                found: header.version,
            });
        }
        if bytes.as_ptr().align_offset(ALIGNMENT) != 0 {
            return Err(ModelError::Misaligned);
        }
        let file = bytes
            .get(..header.file_len as usize)
            .ok_or(ModelError::Truncated)?;
        let covered = file.get(CRC_START..).ok_or(ModelError::Truncated)?;
        if crc32(covered) != header.crc32 {
            return Err(ModelError::Checksum);
        }
        if !view::header_is_sound(&header) {
            return Err(ModelError::Header);
        }
        let section = |offset: u32, len: usize| {
            let offset = offset as usize;
            let end = offset.checked_add(len).ok_or(ModelError::Section)?;
            if !offset.is_multiple_of(ALIGNMENT) || offset < Header::SIZE {
                return Err(ModelError::Section);
            }
            file.get(offset..end).ok_or(ModelError::Section)
        };
        let records = |offset, count: usize, size: usize| {
            section(offset, count.checked_mul(size).ok_or(ModelError::Section)?)
        };
        let tensors = records(
            header.tensors_offset,
            header.tensor_count as usize,
            TensorRecord::SIZE,
        )?;
        let operators = records(
            header.operators_offset,
            header.operator_count as usize,
            OperatorRecord::SIZE,
        )?;
        let steps = records(header.steps_offset, header.step_count as usize, Step::SIZE)?;
        let model = Self {
            header,
            tensors: tensors.as_chunks().0,
            operators: operators.as_chunks().0,
            steps: steps.as_chunks().0,
            constants: section(header.constants_offset, header.constants_len as usize)?,
            metadata: section(header.metadata_offset, header.metadata_len as usize)?,
            kernels,
        };
        model.check_tensors()?;
        check_operator::check(&model)?;
        check_schedule::check(&model)?;
        Ok(model)
    }

    /// Bytes of arena that a run needs, scratch memory, input and output included.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// assert!(model.arena_len() >= model.input().bytes() + model.output().bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn arena_len(&self) -> usize {
        self.header.arena_len as usize
    }

    /// The most bytes at the end of the arena that an operator takes for scratch while it runs.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// assert_eq!(model.scratch_len(), 0); // kernels of the plain layout need none
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scratch_len(&self) -> usize {
        self.header.scratch_len as usize
    }

    /// Bytes of the file.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// assert_eq!(model.file_len(), sepconv::tiny::WHOLE.0.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn file_len(&self) -> usize {
        self.header.file_len as usize
    }

    /// The network's input.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// assert_eq!(model.input(), model.tensor(model.input_number()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn input(&self) -> Tensor {
        self.tensor(self.header.input)
    }

    /// The network's output.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// assert_eq!(model.output().zero_point, -128); // probabilities from 0 on
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn output(&self) -> Tensor {
        self.tensor(self.header.output)
    }

    /// The number of the input tensor.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// assert_eq!(model.input_number(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn input_number(&self) -> u16 {
        self.header.input
    }

    /// The number of the output tensor.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// assert_eq!(model.output_number(), 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn output_number(&self) -> u16 {
        self.header.output
    }

    /// Whether the caller pushes the input's rows one by one: the arena never holds the whole input.
    ///
    /// ```
    /// use sepconv::{Model, tiny};
    /// assert!(!Model::new(&tiny::WHOLE.0)?.pushes_input());
    /// assert!(Model::new(&tiny::STREAMED.0)?.pushes_input());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pushes_input(&self) -> bool {
        self.steps().any(|step| step.operator == PUSH_INPUT)
    }

    /// The JSON object at the file's end, as bytes; what the quantizer wants people to know.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// assert_eq!(model.metadata(), b"{}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn metadata(&self) -> &'m [u8] {
        self.metadata
    }

    /// The table of kernels that runs this model.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// assert_eq!(model.kernels().name, sepconv::kernels::best().name);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kernels(&self) -> &'static Kernels {
        self.kernels
    }

    /// The number of tensors.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// assert_eq!(model.tensor_count(), 7); // the input and six outputs
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tensor_count(&self) -> usize {
        self.tensors.len()
    }

    /// Tensor number `number`; an empty one if there is none of that number.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// assert_eq!(model.tensor(1).shape, sepconv::Shape::new(8, 8, 8));
    /// assert_eq!(model.tensor(1000).bytes(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(never)]
    pub fn tensor(&self, number: u16) -> Tensor {
        let record = self
            .tensors
            .get(number as usize)
            .map_or(&[0; TensorRecord::SIZE], |record| record);
        Tensor::from_record(&TensorRecord::from_bytes(record))
    }

    /// The number of operators.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// assert_eq!(model.operator_count(), 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn operator_count(&self) -> usize {
        self.operators.len()
    }

    /// The record of operator number `number`.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// let record = model.record(0).unwrap();
    /// assert_eq!((record.kernel_height, record.output), (3, 1));
    /// assert!(model.record(6).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(never)]
    pub fn record(&self, number: usize) -> Option<OperatorRecord> {
        self.operators.get(number).map(OperatorRecord::from_bytes)
    }

    /// The kind and parameters of operator number `number`.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// use sepconv::operator::{Kind, Operator};
    /// let (kind, operator) = model.operator(2).unwrap();
    /// assert_eq!(kind, Kind::Pointwise);
    /// assert!(matches!(operator, Operator::Pointwise(linear) if linear.weight_bits == 8));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn operator(&self, number: usize) -> Option<(Kind, Operator<'m>)> {
        let record = self.record(number)?;
        Some((Kind::from_code(record.kind)?, self.decode(&record)?))
    }

    /// The schedule.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// let rows: u16 = model.steps().filter(|step| step.operator == 0).map(|step| step.rows).sum();
    /// assert_eq!(rows, 8); // all rows of the first operator's output
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn steps(&self) -> impl Iterator<Item = Step> + 'm {
        self.steps.iter().map(Step::from_bytes)
    }

    /// The most rows that a step of the schedule computes of an operator's output.
    pub(crate) fn most_rows(&self, operator: u16) -> u32 {
        let steps = self.steps().filter(|step| step.operator == operator);
        steps.fold(0, |most, step| most.max(step.rows as u32))
    }

    #[inline]
    pub(crate) fn step(&self, number: usize) -> Option<Step> {
        self.steps.get(number).map(Step::from_bytes)
    }
}

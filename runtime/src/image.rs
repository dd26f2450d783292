//! Writing `.sepc` files: an owned model, record by record.

use crate::format::{CRC_START, Header, MAGIC, OperatorRecord, Step, TensorRecord, VERSION};
use crate::{ALIGNMENT, AlignedVec, Model, crc32::crc32};
use alloc::vec::Vec;

/// The contents of a `.sepc` file, to be changed and written. Nothing is checked here; [`Model::new`] does that.
///
/// ```
/// use sepconv::{Model, image::Image, tiny};
/// let mut image = Image::of(&Model::new(&tiny::WHOLE.0)?);
/// image.metadata = br#"{"classes":["a","b","c","d"]}"#.to_vec();
/// let file = image.to_bytes();
/// assert_eq!(Model::new(&file)?.metadata(), image.metadata);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Bytes of the arena, scratch included.
    pub arena_len: u32,
    /// The most bytes at the end of the arena that an operator takes for scratch.
    pub scratch_len: u32,
    /// The number of the input tensor.
    pub input: u16,
    /// The number of the output tensor.
    pub output: u16,
    /// Tensors.
    pub tensors: Vec<TensorRecord>,
    /// Operators.
    pub operators: Vec<OperatorRecord>,
    /// The schedule.
    pub steps: Vec<Step>,
    /// Constants; see [`push_constant`](Self::push_constant).
    pub constants: Vec<u8>,
    /// A JSON object.
    pub metadata: Vec<u8>,
}

impl Image {
    /// The contents of a model.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// let image = sepconv::image::Image::of(&model);
    /// assert_eq!(image.operators.len(), model.operator_count());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(model: &Model) -> Self {
        Self {
            arena_len: model.arena_len() as u32,
            scratch_len: model.scratch_len() as u32,
            input: model.input_number(),
            output: model.output_number(),
            tensors: model.tensor_records().collect(),
            operators: (0..model.operator_count())
                .filter_map(|number| model.record(number))
                .collect(),
            steps: model.steps().collect(),
            constants: model.constants().to_vec(),
            metadata: model.metadata().to_vec(),
        }
    }

    /// Appends constants at the next multiple of 16 and returns where they start.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// let mut image = sepconv::image::Image::of(&model);
    /// let start = image.push_constant(&[1, 2, 3]);
    /// assert_eq!((start % 16, image.constants.len()), (0, start as usize + 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_constant(&mut self, bytes: &[u8]) -> u32 {
        let start = self.constants.len().next_multiple_of(ALIGNMENT);
        self.constants.resize(start, 0);
        self.constants.extend_from_slice(bytes);
        start as u32
    }

    /// Where the constants will begin in the file.
    pub(crate) fn constants_offset(&self) -> usize {
        let records = [
            self.tensors.len() * TensorRecord::SIZE,
            self.operators.len() * OperatorRecord::SIZE,
            self.steps.len() * Step::SIZE,
        ];
        let end = |start: usize, len: usize| (start + len).next_multiple_of(ALIGNMENT);
        records
            .into_iter()
            .fold(Header::SIZE.next_multiple_of(ALIGNMENT), end)
    }

    /// The file, at an aligned address so that [`Model::new`] takes it.
    ///
    /// ```
    /// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
    /// let image = sepconv::image::Image::of(&model);
    /// assert_eq!(image.to_bytes()[..], sepconv::tiny::WHOLE.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_bytes(&self) -> AlignedVec<u8> {
        let mut bytes = alloc::vec![0; Header::SIZE];
        let mut section = |part: &mut dyn Iterator<Item = u8>| {
            let start = bytes.len().next_multiple_of(ALIGNMENT);
            bytes.resize(start, 0);
            bytes.extend(part);
            start as u32
        };
        let tensors_offset = section(&mut self.tensors.iter().flat_map(|record| record.to_bytes()));
        let operators_offset = section(&mut self.operators.iter().flat_map(|record| record.to_bytes()));
        let steps_offset = section(&mut self.steps.iter().flat_map(|step| step.to_bytes()));
        let constants_offset = section(&mut self.constants.iter().copied());
        debug_assert_eq!(constants_offset as usize, self.constants_offset());
        let metadata_offset = section(&mut self.metadata.iter().copied());
        let header = Header {
            magic: MAGIC,
            version: VERSION,
            flags: 0,
            file_len: bytes.len() as u32,
            crc32: 0,
            arena_len: self.arena_len,
            scratch_len: self.scratch_len,
            tensor_count: self.tensors.len() as u16,
            operator_count: self.operators.len() as u16,
            step_count: self.steps.len() as u32,
            input: self.input,
            output: self.output,
            tensors_offset,
            operators_offset,
            steps_offset,
            constants_offset,
            constants_len: self.constants.len() as u32,
            metadata_offset,
            metadata_len: self.metadata.len() as u32,
        };
        bytes[..Header::SIZE].copy_from_slice(&header.to_bytes());
        let header = Header {
            crc32: crc32(&bytes[CRC_START..]),
            ..header
        };
        bytes[..Header::SIZE].copy_from_slice(&header.to_bytes());
        AlignedVec::copy_of(&bytes)
    }
}

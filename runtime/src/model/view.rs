//! From records to tensors and operators, and the check of tensors.

use super::{Model, ModelError};
use crate::format::{Header, MAX_WALK, NONE, OperatorRecord, PUSH_INPUT, TensorRecord};
use crate::layout::Layout;
use crate::operator::{self, Kind, Operator};
use crate::{ALIGNMENT, Element};

impl<'m> Model<'m> {
    /// The operator of a record; `None` if its kind or layout is unknown.
    #[inline]
    pub(crate) fn decode(&self, record: &OperatorRecord) -> Option<Operator<'m>> {
        let kind = Kind::from_code(record.kind)?;
        let layout = Layout::from_code(record.layout)?;
        let [a, b, ..] = record.inputs;
        let (a, output) = (self.tensor(a), self.tensor(record.output));
        let zero_points = operator::ZeroPoints {
            a: a.zero_point,
            b: self.tensor(b).zero_point,
            output: output.zero_point,
        };
        let bias_bytes = if a.element == Element::Int16 { 8 } else { 4 };
        let channels = output.shape.channels as usize;
        Some(operator::decode(
            record,
            kind,
            layout,
            &zero_points,
            self.constants,
            channels,
            bias_bytes,
        ))
    }

    /// The constants.
    pub fn constants(&self) -> &'m [u8] {
        self.constants
    }

    /// The records of all tensors.
    pub fn tensor_records(&self) -> impl Iterator<Item = TensorRecord> + 'm {
        self.tensors.iter().map(TensorRecord::from_bytes)
    }

    pub(super) fn check_tensors(&self) -> Result<(), ModelError> {
        let header = &self.header;
        let limit = header.arena_len as u64;
        for (number, record) in self.tensors.iter().enumerate() {
            let record = TensorRecord::from_bytes(record);
            if !tensor_is_sound(&record, limit) {
                return Err(ModelError::Tensor {
                    tensor: number as u16,
                });
            }
        }
        // The caller reads the whole output once all is done.
        let output = self.output();
        if output.ring_rows != output.shape.height as usize {
            return Err(ModelError::Tensor {
                tensor: header.output,
            });
        }
        Ok(())
    }
}

/// Counts, sizes of the arena, and the numbers of the input and the output.
pub(super) fn header_is_sound(header: &Header) -> bool {
    let (tensors, operators) = (header.tensor_count, header.operator_count);
    header.flags == 0
        && header.scratch_len <= header.arena_len
        && (header.scratch_len == 0
            || header.arena_len.is_multiple_of(ALIGNMENT as u32))
        && header.input < tensors
        && header.output < tensors
        // Numbers of tensors and operators are distinguishable from "none".
        && tensors < NONE
        && (1..PUSH_INPUT).contains(&operators)
        // Every operator takes at least one step.
        && header.step_count >= operators as u32
        && operators as u64 * header.step_count as u64 <= MAX_WALK
}

fn tensor_is_sound(record: &TensorRecord, limit: u64) -> bool {
    let element_bytes = match record.element {
        0 => 1u64,
        1 => 2,
        _ => return false,
    };
    let (lowest, highest) = if element_bytes == 1 {
        (i8::MIN as i16, i8::MAX as i16)
    } else {
        (i16::MIN, i16::MAX)
    };
    // Steps number rows in 16 bits; the other bounds keep all products of sizes within 64 bits, then within 31.
    let sizes = [record.height, record.width, record.channels];
    if sizes.contains(&0) || record.height > 0xffff || record.width > 0xff_ffff || record.channels > 0xff_ffff
    {
        return false;
    }
    let row_bytes = record.width as u64 * record.channels as u64 * element_bytes;
    if row_bytes > 0x7fff_ffff || row_bytes * record.height as u64 > 0x7fff_ffff {
        return false;
    }
    record.reserved == 0
        && record.reserved_end == 0
        && (lowest..=highest).contains(&record.zero_point)
        && record.scale.is_finite()
        && record.scale > 0.0
        && (1..=record.height).contains(&record.ring_rows)
        && record.offset as u64 + row_bytes * record.ring_rows as u64 <= limit
}

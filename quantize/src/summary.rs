//! What a model file holds: operators, tensors, memory and work, for tables and reports.

use crate::network::Metadata;
use sepconv::format::{NONE, OperatorRecord, PUSH_INPUT};
use sepconv::layout::Layout;
use sepconv::model::Tensor;
use sepconv::operator::Kind;
use sepconv::{Element, Model};
use serde::Serialize;

/// A model in figures; its JSON is what `sepconv inspect --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Bytes of the arena: activations and scratch, input and output included.
    pub arena_bytes: usize,
    /// Bytes of it that kernels use as scratch.
    pub scratch_bytes: usize,
    /// Bytes of the file, which is what goes to flash.
    pub flash_bytes: usize,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Steps of the schedule.
    pub steps: usize,
    /// Whether the caller pushes the input row by row.
    pub pushes_input: bool,
    /// The network's input.
    pub input: TensorSummary,
    /// The network's output.
    pub output: TensorSummary,
    /// The operators, in order.
    pub ops: Vec<OperatorSummary>,
    /// The tensors: which lies where in the arena, and when.
    pub tensors: Vec<TensorSummary>,
    /// What the quantizer wrote down.
    pub metadata: Metadata,
}

/// An operator in figures.
#[derive(Clone, Debug, Serialize)]
pub struct OperatorSummary {
    /// The name in the source model, or kind and number.
    pub name: String,
    /// The kind's name.
    pub kind: &'static str,
    /// Numbers of the input tensors.
    pub inputs: Vec<usize>,
    /// The number of the output tensor.
    pub output: usize,
    /// Height, width and channels of the output.
    pub shape: [u32; 3],
    /// Height and width of the window; 1 × 1 for operators without one.
    pub window: [u16; 2],
    /// Multiply-accumulates; 0 for all but linear operators.
    pub macs: u64,
    /// Bytes of constants.
    pub constant_bytes: usize,
    /// Bits of a weight; 0 for operators without weights.
    pub weight_bits: u8,
    /// Steps of the schedule that run it.
    pub steps: usize,
}

/// A tensor in figures.
#[derive(Clone, Debug, Serialize)]
pub struct TensorSummary {
    /// The name of the operator that computes it; `input` for the network's input.
    pub name: String,
    /// Height, width, channels.
    pub shape: [u32; 3],
    /// `int8` or `int16`.
    pub element: &'static str,
    /// The real size of one quantization step.
    pub scale: f32,
    /// The quantized value of the real number zero.
    pub zero_point: i32,
    /// Where it starts in the arena.
    pub offset: usize,
    /// Rows that the arena holds at a time.
    pub ring_rows: usize,
    /// Bytes that the arena holds.
    pub bytes: usize,
    /// The first step that writes it.
    pub first_step: usize,
    /// The last step that reads it.
    pub last_step: usize,
}

impl Summary {
    /// The figures of a model.
    pub fn of(model: &Model) -> Self {
        let metadata: Metadata = serde_json::from_slice(model.metadata()).unwrap_or_default();
        let records: Vec<OperatorRecord> = (0..model.operator_count())
            .filter_map(|n| model.record(n))
            .collect();
        let mut ops: Vec<OperatorSummary> = records
            .iter()
            .enumerate()
            .map(|(number, record)| operator(model, record, number, metadata.operators.get(number)))
            .collect();
        for step in model.steps() {
            if let Some(operator) = ops.get_mut(step.operator as usize) {
                operator.steps += 1;
            }
        }
        let spans = spans(model, &records);
        let tensors: Vec<TensorSummary> = (0..model.tensor_count())
            .map(|number| {
                let producer = records.iter().position(|record| record.output as usize == number);
                let name = producer.map_or("input".to_string(), |producer| ops[producer].name.clone());
                tensor(&model.tensor(number as u16), name, spans[number])
            })
            .collect();
        Summary {
            arena_bytes: model.arena_len(),
            scratch_bytes: model.scratch_len(),
            flash_bytes: model.file_len(),
            macs: ops.iter().map(|operator| operator.macs).sum(),
            steps: model.steps().count(),
            pushes_input: model.pushes_input(),
            input: tensors[model.input_number() as usize].clone(),
            output: tensors[model.output_number() as usize].clone(),
            ops,
            tensors,
            metadata,
        }
    }
}

fn operator(model: &Model, record: &OperatorRecord, number: usize, name: Option<&String>) -> OperatorSummary {
    let kind = Kind::from_code(record.kind);
    let kind_name = kind.map_or("unknown", Kind::name);
    let input = model.tensor(record.inputs[0]);
    let shape = model.tensor(record.output).shape;
    let taps = record.kernel_height as u64 * record.kernel_width as u64;
    let depth = match kind {
        Some(Kind::Convolution | Kind::Pointwise) => taps * input.shape.channels as u64,
        Some(Kind::Depthwise) => taps,
        Some(Kind::FullyConnected) => input.shape.values() as u64,
        _ => 0,
    };
    // Packed operators keep biases, multipliers and shifts in the same block as the weights.
    let is_plain = Layout::from_code(record.layout) == Some(Layout::Plain);
    let per_channel = if depth > 0 && is_plain {
        bias_bytes(input.element) + 5
    } else {
        0
    };
    OperatorSummary {
        name: match name {
            Some(name) if !name.is_empty() => name.clone(),
            _ => format!("{kind_name} {number}"),
        },
        kind: kind_name,
        inputs: record
            .inputs
            .iter()
            .filter(|input| **input != NONE)
            .map(|input| *input as usize)
            .collect(),
        output: record.output as usize,
        shape: [shape.height, shape.width, shape.channels],
        window: [record.kernel_height.max(1), record.kernel_width.max(1)],
        macs: shape.values() as u64 * depth,
        constant_bytes: record.weights_len as usize + shape.channels as usize * per_channel,
        weight_bits: if depth > 0 { record.weight_bits } else { 0 },
        steps: 0,
    }
}

fn bias_bytes(element: Element) -> usize {
    match element {
        Element::Int8 => 4,
        Element::Int16 => 8,
    }
}

fn tensor(tensor: &Tensor, name: String, (first_step, last_step): (usize, usize)) -> TensorSummary {
    TensorSummary {
        name,
        shape: [tensor.shape.height, tensor.shape.width, tensor.shape.channels],
        element: element_name(tensor.element),
        scale: tensor.scale,
        zero_point: tensor.zero_point,
        offset: tensor.offset,
        ring_rows: tensor.ring_rows,
        bytes: tensor.ring_bytes(),
        first_step,
        last_step,
    }
}

/// The name that reports and NumPy use.
pub fn element_name(element: Element) -> &'static str {
    match element {
        Element::Int8 => "int8",
        Element::Int16 => "int16",
    }
}

/// For each tensor the first step that writes it and the last that reads it. A whole input is there from the start, and
/// the output stays to the end.
fn spans(model: &Model, records: &[OperatorRecord]) -> Vec<(usize, usize)> {
    let last = model.steps().count().saturating_sub(1);
    let mut spans: Vec<Option<(usize, usize)>> = vec![None; model.tensor_count()];
    let mut touch = |tensor: u16, time: usize| {
        let span = spans[tensor as usize].get_or_insert((time, time));
        span.1 = time;
    };
    if !model.pushes_input() {
        touch(model.input_number(), 0);
    }
    for (time, step) in model.steps().enumerate() {
        if step.operator == PUSH_INPUT {
            touch(model.input_number(), time);
            continue;
        }
        let record = &records[step.operator as usize];
        touch(record.output, time);
        record
            .inputs
            .iter()
            .filter(|input| **input != NONE)
            .for_each(|input| touch(*input, time));
    }
    touch(model.output_number(), last);
    spans.into_iter().map(Option::unwrap_or_default).collect()
}

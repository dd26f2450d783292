//! Packing whole models.

use super::{
    Layout, LinearShape, Target, aarch64, cortex_m3, cortex_m4, cortex_m55, x86_depthwise, x86_gemm, x86_sum,
};
use crate::format::OperatorRecord;
use crate::image::Image;
use crate::operator::{Binary, Linear, Operator};
use crate::{ALIGNMENT, AlignedVec, Element, Model, Shape};
use alloc::vec::Vec;

/// The file of a model in the plain layout, rearranged for a target: operators whose layout on the target is not plain
/// get their block of constants, and the arena gains the scratch memory that their kernels need.
///
/// ```
/// use sepconv::layout::pack;
/// use sepconv::{Model, kernels, tiny};
/// let kernels = kernels::best();
/// let file = pack(&Model::new(&tiny::WHOLE.0)?, kernels.target);
/// assert!(Model::with_kernels(&file, kernels).is_ok()); // with the kernels that it is packed for
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pack(model: &Model, target: Target) -> AlignedVec<u8> {
    let mut image = Image::of(model);
    let plain = core::mem::take(&mut image.constants);
    for number in 0..model.operator_count() {
        let (Some(mut record), Some((kind, operator))) = (model.record(number), model.operator(number))
        else {
            continue;
        };
        let linear = match operator {
            Operator::Convolution(linear)
            | Operator::Depthwise(linear)
            | Operator::Pointwise(linear)
            | Operator::FullyConnected(linear) => linear,
            _ => {
                let start = record.weights_offset as usize;
                record.weights_offset =
                    image.push_constant(&plain[start..start + record.weights_len as usize]);
                if let Operator::Add(binary) = operator
                    && let Some(block) = pack_sum(model, &record, &binary, target)
                {
                    if image.constants.is_empty() {
                        // An offset of 0 means that there is no block.
                        image.push_constant(&[0; ALIGNMENT]);
                    }
                    record.bias_offset = image.push_constant(&block);
                }
                image.operators[number] = record;
                continue;
            }
        };
        let (input, output) = (model.tensor(record.inputs[0]), model.tensor(record.output));
        let shape = LinearShape {
            kind,
            window: linear.window,
            element: input.element,
            weight_bits: linear.weight_bits,
            input: input.shape,
            output: output.shape,
        };
        // Packed kernels write what they read: int8.
        let layout = if output.element == input.element {
            target.layout(&shape)
        } else {
            Layout::Plain
        };
        match pack_operator(layout, &linear, &shape) {
            None => {
                record.weights_offset = image.push_constant(linear.weights);
                record.bias_offset = image.push_constant(linear.bias);
                record.multipliers_offset = image.push_constant(linear.multipliers);
                record.shifts_offset = image.push_constant(linear.shifts);
            }
            Some(block) => {
                record.layout = layout as u8;
                if target == Target::X86 {
                    // Vectors of 64 bytes read the block fastest from cache lines of their own.
                    let end = image.constants_offset() + image.constants.len();
                    let padding = end.next_multiple_of(64) - end;
                    image.constants.resize(image.constants.len() + padding, 0);
                }
                record.weights_offset = image.push_constant(&block);
                record.weights_len = block.len() as u32;
                (
                    record.bias_offset,
                    record.multipliers_offset,
                    record.shifts_offset,
                ) = (0, 0, 0);
                let band = Shape {
                    height: model.most_rows(number as u16),
                    ..shape.output
                };
                let scratch = layout
                    .scratch_len(&LinearShape {
                        output: band,
                        ..shape
                    })
                    .next_multiple_of(ALIGNMENT);
                record.params[0] = scratch as i32;
                image.scratch_len = image.scratch_len.max(scratch as u32);
            }
        }
        image.operators[number] = record;
    }
    image.arena_len = arena_with_scratch(model, &image);
    image.to_bytes()
}

/// Bytes of an arena at whose end every operator's scratch memory keeps clear of the rows that are alive when it runs.
fn arena_with_scratch(model: &Model, image: &Image) -> u32 {
    if image.scratch_len == 0 {
        return image.arena_len;
    }
    let mut last_use = alloc::vec![0; image.tensors.len()];
    for (time, step) in image.steps.iter().enumerate() {
        let Some(record) = image.operators.get(step.operator as usize) else {
            continue;
        };
        for tensor in record.inputs.iter().chain([&record.output]) {
            if let Some(last) = last_use.get_mut(*tensor as usize) {
                *last = time;
            }
        }
    }
    last_use[image.output as usize] = image.steps.len();
    // Rows are written from the first on, so that those written lie at the beginning of their ring.
    let mut written = alloc::vec![0; image.tensors.len()];
    if !model.pushes_input() {
        written[image.input as usize] = model.input().ring_rows;
    }
    let mut len = image.arena_len as usize;
    for (time, step) in image.steps.iter().enumerate() {
        let record = image.operators.get(step.operator as usize);
        let output = record.map_or(image.input, |record| record.output);
        let ring_rows = image.tensors[output as usize].ring_rows as usize;
        written[output as usize] = ring_rows.min(step.first_row as usize + step.rows as usize);
        let scratch = record.map_or(0, OperatorRecord::scratch_len);
        if scratch > 0 {
            let alive = (0..image.tensors.len()).filter(|tensor| last_use[*tensor] >= time);
            let ends = alive.map(|number| {
                let tensor = model.tensor(number as u16);
                (
                    tensor.offset + written[number] * tensor.row_bytes(),
                    written[number],
                )
            });
            let top = ends
                .filter(|(_, rows)| *rows > 0)
                .map(|(end, _)| end)
                .max()
                .unwrap_or(0);
            len = len.max(top.next_multiple_of(ALIGNMENT) + scratch);
        }
    }
    len.next_multiple_of(ALIGNMENT) as u32
}

/// The block of constants of a sum, `None` if it stays plain.
fn pack_sum(model: &Model, record: &OperatorRecord, binary: &Binary, target: Target) -> Option<Vec<u8>> {
    let [a, b, output] =
        [record.inputs[0], record.inputs[1], record.output].map(|number| model.tensor(number));
    let int8 = a.element == Element::Int8 && output.element == Element::Int8;
    let packs = target == Target::X86 && int8 && binary.constant.is_empty() && a.shape == b.shape;
    if packs { x86_sum::pack(binary) } else { None }
}

/// The block of constants of one operator with plain constants; `None` if it stays plain, because the layout is the plain
/// one or because the operator's values do not fit the layout.
///
/// ```
/// # let model = sepconv::Model::new(&sepconv::tiny::WHOLE.0)?;
/// use sepconv::layout::{Layout, LinearShape, pack_operator};
/// use sepconv::operator::Operator;
/// let Some((kind, Operator::Pointwise(linear))) = model.operator(2) else { panic!("not pointwise") };
/// let (input, output) = (model.tensor(2), model.tensor(3));
/// let shape = LinearShape {
///     kind,
///     window: linear.window,
///     element: input.element,
///     weight_bits: linear.weight_bits,
///     input: input.shape,
///     output: output.shape,
/// };
/// let block = pack_operator(Layout::CortexM4, &linear, &shape).unwrap();
/// assert_eq!(Some(block.len()), Layout::CortexM4.packed_len(&shape));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pack_operator(layout: Layout, linear: &Linear, shape: &LinearShape) -> Option<Vec<u8>> {
    match layout {
        Layout::Plain => None,
        Layout::CortexM4 => cortex_m4::pack(linear, shape),
        Layout::CortexM55 => cortex_m55::pack(linear, shape),
        Layout::CortexM3 => cortex_m3::pack(linear, shape),
        Layout::Aarch64Neon | Layout::Aarch64Dot | Layout::Aarch64Matrix => {
            aarch64::pack(linear, shape, layout.product())
        }
        Layout::X86Product => Some(x86_gemm::pack(linear, shape)),
        Layout::X86Depthwise => Some(x86_depthwise::pack(linear, shape)),
    }
}

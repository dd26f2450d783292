//! The check of operators: wiring, shapes, constants and parameters.

use super::{Model, ModelError, Tensor};
use crate::format::{MAX_INPUTS, NONE, OperatorRecord};
use crate::kernels::Kernels;
use crate::layout::x86_sum::SumConstants;
use crate::layout::{Layout, LinearShape};
use crate::operator::{Kind, Linear, Operator, Window};
use crate::{ALIGNMENT, Element, Shape};

/// Multipliers and shifts that [`Multiplier::from_real`](crate::fixed_point::Multiplier::from_real) can give.
fn multiplier_is_sound(mantissa: i32, shift: i32) -> bool {
    mantissa >= 0 && (-31..=30).contains(&shift)
}

pub(super) fn check(model: &Model) -> Result<(), ModelError> {
    for number in 0..model.operator_count() {
        let operator = number as u16;
        let record = model.record(number).ok_or(ModelError::Section)?;
        let kind = Kind::from_code(record.kind).ok_or(ModelError::Kind { operator })?;
        let layout_error = ModelError::Layout {
            operator,
            layout: record.layout,
        };
        let layout = Layout::from_code(record.layout).ok_or(layout_error)?;
        if !model.kernels.layouts.contains(&layout) {
            return Err(layout_error);
        }
        wiring(model, &record, kind, number).ok_or(ModelError::Wiring { operator })?;
        let decoded = model.decode(&record).ok_or(ModelError::Kind { operator })?;
        let input = model.tensor(record.inputs[0]);
        let output = model.tensor(record.output);
        if !shapes(model, &record, &decoded, &input, &output) {
            return Err(ModelError::Shape { operator });
        }
        if !constants(model, operator, &record, &decoded, &input, &output) {
            return Err(ModelError::Constants { operator });
        }
        if !unused_are_zero(&record, kind) || !parameters(&record, &decoded, &input, &output) {
            return Err(ModelError::Parameter { operator });
        }
        if !has_kernel(model.kernels, &decoded, input.element, output.element) {
            return Err(ModelError::NoKernel { operator });
        }
    }
    // The caller reads what an operator has computed.
    if !(0..model.operator_count())
        .any(|n| model.record(n).is_some_and(|r| r.output == model.output_number()))
    {
        return Err(ModelError::Wiring { operator: NONE });
    }
    Ok(())
}

/// The number of inputs fits the kind; each is the network's input or computed before; nothing is computed twice.
fn wiring(model: &Model, record: &OperatorRecord, kind: Kind, number: usize) -> Option<()> {
    let count = record.inputs.iter().take_while(|input| **input != NONE).count();
    let wanted = match kind {
        Kind::Add | Kind::Mul if record.weights_len == 0 => 2..=2,
        Kind::Concatenation => 1..=MAX_INPUTS,
        _ => 1..=1,
    };
    let rest_unused = record.inputs.iter().skip(count).all(|input| *input == NONE);
    let computed_before =
        |tensor: u16| (0..number).any(|n| model.record(n).is_some_and(|earlier| earlier.output == tensor));
    let inputs_known = record
        .inputs
        .iter()
        .take(count)
        .all(|input| *input == model.input_number() || computed_before(*input));
    let output_new = (record.output as usize) < model.tensor_count()
        && record.output != model.input_number()
        && !computed_before(record.output);
    (wanted.contains(&count) && rest_unused && inputs_known && output_new).then_some(())
}

fn shapes(
    model: &Model,
    record: &OperatorRecord,
    operator: &Operator,
    input: &Tensor,
    output: &Tensor,
) -> bool {
    let (from, to) = (input.shape, output.shape);
    // Sums of int8 values can be kept with more bits, which nothing packed does.
    let widens = record.weight_bits == 8 && record.layout == 0 && input.element == Element::Int8;
    let same_element = input.element == output.element || widens;
    match operator {
        Operator::Convolution(linear) => same_element && window_fits(&linear.window, from, to),
        Operator::Depthwise(linear) => {
            same_element && window_fits(&linear.window, from, to) && to.channels.is_multiple_of(from.channels)
        }
        Operator::Pointwise(linear) => {
            same_element
                && linear.window == Window::UNIT
                && (from.height, from.width) == (to.height, to.width)
        }
        Operator::FullyConnected(linear) => same_element && linear.window == Window::UNIT && to.pixels() == 1,
        Operator::Add(binary) | Operator::Mul(binary) => {
            let second = model.tensor(record.inputs[1]);
            let second_fits = if binary.constant.is_empty() {
                let (b, vector) = (second.shape, second.shape.pixels() == 1);
                second.element == input.element
                    && (b == from || vector && (b.channels == from.channels || b.channels == 1))
            } else {
                true
            };
            same_element && from == to && second_fits
        }
        Operator::AveragePool(pool) | Operator::MaxPool(pool) => {
            let dilations = (pool.window.dilation_height, pool.window.dilation_width);
            // Without dilation, a window that reaches into the input has a value there to pool.
            same_element
                && window_fits(&pool.window, from, to)
                && dilations == (1, 1)
                && from.channels == to.channels
        }
        Operator::Mean(_) => same_element && to == Shape::vector(from.channels),
        Operator::Pad(pad) => {
            let covers = |before: u32, from: u32, to: u32| before as u64 + from as u64 <= to as u64;
            same_element
                && covers(pad.top, from.height, to.height)
                && covers(pad.left, from.width, to.width)
                && covers(pad.front, from.channels, to.channels)
        }
        Operator::Concatenation(concatenation) => {
            same_element && concatenation_fits(model, record, concatenation.axis, to)
        }
        Operator::Reshape => same_element && from.values() == to.values(),
        Operator::Softmax(_) => from == to,
        Operator::Lookup(_) => input.element == Element::Int8 && same_element && from == to,
        Operator::Requantize(_) => from == to,
        Operator::ResizeNearest(_) => same_element && from.channels == to.channels,
        Operator::Transpose(transpose) => {
            let [a, b, c] = transpose.permutation;
            let axis = |axis| {
                [from.height, from.width, from.channels]
                    .get(axis as usize)
                    .copied()
            };
            let mut sorted = [a, b, c];
            sorted.sort_unstable();
            same_element
                && sorted == [0, 1, 2]
                && (axis(a), axis(b), axis(c)) == (Some(to.height), Some(to.width), Some(to.channels))
        }
        Operator::ArgMax(_) => {
            let found = Shape::new(from.height, from.width, 1);
            input.element == Element::Int8
                && output.element == Element::Int16
                && to == found
                && from.channels <= 0x7fff
        }
    }
}

/// Every window reaches into the input: it starts before the input's end and ends after its start. That bounds its fields
/// so that positions fit 32 bits, and how far kernels walk.
fn window_fits(window: &Window, from: Shape, to: Shape) -> bool {
    let axis = |kernel: usize, stride: usize, dilation: usize, pad: usize, from: u32, to: u32| {
        // The fields have 8, 16 and 24 bits, so that 64 hold the products.
        let extent = (kernel as u64).saturating_sub(1) * dilation as u64 + 1;
        kernel > 0
            && stride > 0
            && dilation > 0
            && (pad as u64) < extent
            && (to as u64).saturating_sub(1) * (stride as u64) < from as u64 + pad as u64
    };
    axis(
        window.kernel_height,
        window.stride_height,
        window.dilation_height,
        window.pad_top,
        from.height,
        to.height,
    ) && axis(
        window.kernel_width,
        window.stride_width,
        window.dilation_width,
        window.pad_left,
        from.width,
        to.width,
    )
}

fn concatenation_fits(model: &Model, record: &OperatorRecord, axis: u8, to: Shape) -> bool {
    let mut total = 0u64;
    for input in record.inputs.iter().take_while(|input| **input != NONE) {
        let tensor = model.tensor(*input);
        let shape = tensor.shape;
        let (along, others_match) = match axis {
            0 => (
                shape.height,
                (shape.width, shape.channels) == (to.width, to.channels),
            ),
            1 => (
                shape.width,
                (shape.height, shape.channels) == (to.height, to.channels),
            ),
            2 => (
                shape.channels,
                (shape.height, shape.width) == (to.height, to.width),
            ),
            _ => return false,
        };
        if !others_match || tensor.element != model.tensor(record.output).element {
            return false;
        }
        total += along as u64;
    }
    let along = match axis {
        0 => to.height,
        1 => to.width,
        _ => to.channels,
    };
    total == along as u64
}

fn constants(
    model: &Model,
    number: u16,
    record: &OperatorRecord,
    operator: &Operator,
    input: &Tensor,
    output: &Tensor,
) -> bool {
    let len = record.weights_len as usize;
    let end = record.weights_offset as u64 + record.weights_len as u64;
    if end > model.constants().len() as u64 || !record.weights_offset.is_multiple_of(16) {
        return false;
    }
    let (from, to) = (input.shape, output.shape);
    match operator {
        Operator::Convolution(linear) => {
            linear_constants(model, number, record, Kind::Convolution, linear, input, output)
        }
        Operator::Depthwise(linear) => {
            linear_constants(model, number, record, Kind::Depthwise, linear, input, output)
        }
        Operator::Pointwise(linear) => {
            linear_constants(model, number, record, Kind::Pointwise, linear, input, output)
        }
        Operator::FullyConnected(linear) => {
            linear_constants(model, number, record, Kind::FullyConnected, linear, input, output)
        }
        Operator::Add(binary) if SumConstants::KNOWN && record.bias_offset > 0 => {
            len == 0 && binary.packed.len() == SumConstants::SIZE
        }
        Operator::Add(_) | Operator::Mul(_) if len > 0 => {
            let bytes = input.element.bytes();
            [1, to.channels as usize, to.values()].contains(&(len / bytes)) && len.is_multiple_of(bytes)
        }
        Operator::Lookup(_) => len == 256,
        Operator::ResizeNearest(resize) => {
            let sound = |bytes: &[u8], count: u32, limit: u32| {
                bytes.len() == count as usize * 2
                    && bytes
                        .as_chunks()
                        .0
                        .iter()
                        .all(|raw| (u16::from_le_bytes(*raw) as u32) < limit)
            };
            let rows = resize
                .rows
                .as_chunks()
                .0
                .iter()
                .map(|raw| u16::from_le_bytes(*raw));
            sound(resize.rows, to.height, from.height)
                && sound(resize.columns, to.width, from.width)
                && rows.is_sorted()
        }
        _ => len == 0,
    }
}

/// Weights, biases, multipliers and shifts of a linear operator.
#[allow(clippy::too_many_arguments)]
fn linear_constants(
    model: &Model,
    number: u16,
    record: &OperatorRecord,
    kind: Kind,
    linear: &Linear,
    input: &Tensor,
    output: &Tensor,
) -> bool {
    let window = &linear.window;
    let taps = window.kernel_height as u64 * window.kernel_width as u64;
    let depth = match kind {
        Kind::Depthwise => 1,
        Kind::FullyConnected => input.shape.values() as u64,
        _ => input.shape.channels as u64,
    };
    let wide = input.element == Element::Int16;
    if wide && (input.zero_point, output.zero_point) != (0, 0) {
        return false;
    }
    let channels = output.shape.channels as u64;
    let Some(weights) = (taps * depth).checked_mul(channels) else {
        return false;
    };
    let plain_len = match record.weight_bits {
        8 => weights,
        4 if input.element == Element::Int8 => weights.div_ceil(2),
        _ => return false,
    };
    // Packed layouts round both numbers up; their sizes, too, have to fit 32 bits.
    if (taps * depth + 64).saturating_mul(channels + 64) > i32::MAX as u64 {
        return false;
    }
    if linear.layout != Layout::Plain {
        let shape = LinearShape {
            kind,
            window: *window,
            element: input.element,
            weight_bits: record.weight_bits,
            input: input.shape,
            output: output.shape,
        };
        // Kernels compute no more rows at a time than a step has.
        let band = LinearShape {
            output: Shape {
                height: model.most_rows(number),
                ..output.shape
            },
            ..shape
        };
        return linear.layout.packed_len(&shape) == Some(record.weights_len as usize)
            && record.scratch_len().is_multiple_of(ALIGNMENT)
            && (linear.layout.scratch_len(&band)..=model.scratch_len()).contains(&record.scratch_len());
    }
    let bias_bytes = if input.element == Element::Int16 { 8 } else { 4 };
    let within = |offset: u32, bytes: u64, alignment: u32| {
        offset.is_multiple_of(alignment) && offset as u64 + bytes <= model.constants().len() as u64
    };
    record.weights_len as u64 == plain_len
        && within(record.bias_offset, channels * bias_bytes, bias_bytes as u32)
        && within(record.multipliers_offset, channels * 4, 4)
        && within(record.shifts_offset, channels, 1)
}

/// What the kind does not use is 0, so that later versions of the format may give it a meaning.
fn unused_are_zero(record: &OperatorRecord, kind: Kind) -> bool {
    let linear = matches!(
        kind,
        Kind::Convolution | Kind::Depthwise | Kind::Pointwise | Kind::FullyConnected
    );
    let windowed = linear || matches!(kind, Kind::AveragePool | Kind::MaxPool);
    // A bit for each parameter.
    let params_used: u8 = match kind {
        Kind::Add => 0b111_1111,
        Kind::Mul => 0b111_0000,
        Kind::Mean | Kind::Requantize | Kind::Pad => 0b11,
        Kind::Softmax | Kind::Transpose => 0b111,
        Kind::Concatenation | Kind::ResizeNearest => 0b1,
        _ if linear && record.layout != Layout::Plain as u8 => 0b1,
        _ => 0,
    };
    let mut unused = record.reserved as u32 | record.reserved_end as u32;
    for (number, value) in record.params.iter().enumerate() {
        if params_used >> number & 1 == 0 {
            unused |= *value as u32;
        }
    }
    if !linear || record.layout != Layout::Plain as u8 {
        unused |= record.multipliers_offset | record.shifts_offset;
        if !SumConstants::KNOWN || kind != Kind::Add {
            unused |= record.bias_offset;
        }
    }
    if !linear {
        unused |= record.weight_bits as u32 | record.layout as u32;
    }
    if !windowed {
        unused |= record.kernel_height as u32 | record.kernel_width as u32;
        unused |= record.stride_height as u32 | record.stride_width as u32;
        unused |= record.dilation_height as u32 | record.dilation_width as u32;
        if kind != Kind::Pad {
            unused |= record.pad_top as u32 | record.pad_left as u32;
        }
    }
    unused == 0
}

fn parameters(record: &OperatorRecord, operator: &Operator, input: &Tensor, output: &Tensor) -> bool {
    let range = match output.element {
        Element::Int8 => -128..=127,
        Element::Int16 => -32768..=32767,
    };
    let (least, greatest) = (record.activation_min as i32, record.activation_max as i32);
    let [p0, p1, p2, p3, p4, p5, p6] = record.params;
    let activation = range.contains(&least) && range.contains(&greatest) && least <= greatest;
    activation
        && match operator {
            Operator::Convolution(linear)
            | Operator::Depthwise(linear)
            | Operator::Pointwise(linear)
            | Operator::FullyConnected(linear) => (0..linear.shifts.len()).all(|channel| {
                let multiplier = linear.multiplier(channel);
                let shift = multiplier.shift as i32;
                // 64-bit sums leave room for seven bits to the left.
                multiplier_is_sound(multiplier.mantissa.to_bits(), shift)
                    && (input.element == Element::Int8 || shift <= 7)
            }),
            Operator::Add(binary) => {
                multiplier_is_sound(p0, p1)
                    && multiplier_is_sound(p2, p3)
                    && multiplier_is_sound(p4, p5)
                    && (0..=20).contains(&(p6 >> 16))
                    && range.contains(&binary.b_zero_point)
            }
            Operator::Mul(binary) => {
                multiplier_is_sound(p4, p5) && p6 >> 16 == 0 && range.contains(&binary.b_zero_point)
            }
            Operator::Mean(_) | Operator::Requantize(_) => multiplier_is_sound(p0, p1),
            Operator::Softmax(softmax) => {
                multiplier_is_sound(p0, p1)
                    && softmax.difference_min <= 0
                    && output.zero_point == *range.start()
            }
            Operator::Pad(pad) => range.contains(&pad.value),
            // The axes have been cut to eight bits.
            Operator::Concatenation(_) => (0..3).contains(&p0),
            Operator::Transpose(_) => [p0, p1, p2].iter().all(|axis| (0..3).contains(axis)),
            Operator::AveragePool(_)
            | Operator::MaxPool(_)
            | Operator::Reshape
            | Operator::Lookup(_)
            | Operator::ResizeNearest(_)
            | Operator::ArgMax(_) => true,
        }
}

fn has_kernel(kernels: &Kernels, operator: &Operator, from: Element, to: Element) -> bool {
    let wide = from == Element::Int16;
    match operator {
        Operator::Convolution(linear) => kernels.convolution.of(from, to, linear.weight_bits).is_some(),
        Operator::Depthwise(linear) => kernels.depthwise.of(from, to, linear.weight_bits).is_some(),
        Operator::Pointwise(linear) => kernels.pointwise.of(from, to, linear.weight_bits).is_some(),
        Operator::FullyConnected(linear) => {
            kernels.fully_connected.of(from, to, linear.weight_bits).is_some()
        }
        Operator::Add(_) => kernels.add.of(wide).is_some(),
        Operator::Mul(_) => kernels.mul.of(wide).is_some(),
        Operator::AveragePool(_) => kernels.average_pool.of(wide).is_some(),
        Operator::MaxPool(_) => kernels.max_pool.of(wide).is_some(),
        Operator::Mean(_) => kernels.mean.of(wide).is_some(),
        Operator::Pad(_) => kernels.pad.is_some(),
        Operator::Concatenation(_) => kernels.concatenation.is_some(),
        Operator::Reshape => kernels.reshape.is_some(),
        Operator::Softmax(_) => kernels.softmax.of(wide).is_some(),
        Operator::Lookup(_) => kernels.lookup.is_some(),
        Operator::Requantize(_) => kernels.requantize.is_some(),
        Operator::ResizeNearest(_) => kernels.resize_nearest.is_some(),
        Operator::Transpose(_) => kernels.transpose.is_some(),
        Operator::ArgMax(_) => kernels.arg_max.is_some(),
    }
}

//! Operators that move or summarize values: pools, mean, pad, concatenation, reshape, resize, transpose, argmax.

use super::TfliteError;
use super::arithmetic::mean_multiplier;
use super::node::{Computation, Node, affine};
use crate::network::Operation;
use sepconv::{Element, Shape};
use tract_tflite::tflite::{ActivationFunctionType, BuiltinOperator};

/// Average or max pooling.
pub(super) fn pool(node: &Node) -> Result<Computation, TfliteError> {
    node.same_element()?;
    node.same_quantization(node.input(0)?)?;
    let options = node.options(node.operator.options.builtin_options_as_pool_2_doptions())?;
    let kernel = [options.filter_height(), options.filter_width()].map(|n| usize::try_from(n).unwrap_or(0));
    let window = node.window(
        kernel,
        [options.stride_h(), options.stride_w()],
        [1, 1],
        options.padding(),
    )?;
    let operation = match node.operator.code {
        BuiltinOperator::MAX_POOL_2D => Operation::MaxPool(window),
        _ => Operation::AveragePool(window),
    };
    Ok(Computation {
        operation,
        activation: node.activation(options.fused_activation_function())?,
        inputs: vec![0],
    })
}

/// The mean over height and width, with or without keeping them as dimensions of 1.
pub(super) fn mean(node: &Node) -> Result<Computation, TfliteError> {
    node.same_element()?;
    expect_mean_over_image(node)?;
    let input = node.input(0)?;
    let multiplier = mean_multiplier(affine(input)?, affine(node.output()?)?, input.shape()?.pixels());
    let multiplier =
        multiplier.ok_or_else(|| node.refuse("the output's scale is too small for the input's"))?;
    node.unclamped(Operation::Mean(multiplier))
}

/// Requires a mean to be over height and width.
pub(super) fn expect_mean_over_image(node: &Node) -> Result<(), TfliteError> {
    let (input, axes) = (node.input(0)?, node.input(1)?);
    let shape = input.shape()?;
    let mut reduced = [false; 3];
    for axis in axes.integers()? {
        match input.axis_of_shape(axis) {
            Some(axis) => reduced[axis as usize] = true,
            None => return Err(node.refuse(format!("axis {axis} is the batch or does not exist"))),
        }
    }
    // The mean over an axis of length 1 changes nothing, named or not.
    let [height, width, channels] = reduced;
    if channels || !(height || shape.height == 1) || !(width || shape.width == 1) {
        return Err(node.refuse("only the mean over height and width is supported"));
    }
    node.expect_output(Shape::vector(shape.channels))
}

/// Padding of height, width and channels with one value.
pub(super) fn pad(node: &Node) -> Result<Computation, TfliteError> {
    let element = node.same_element()?;
    let input = node.input(0)?;
    let quantization = node.same_quantization(input)?;
    let [[top, _], [left, _], [front, _]] = padding(node)?;
    let value = match node.optional_input(2) {
        Some(value) => {
            node.same_quantization(value)?;
            let bytes = value.constant(value.element, value.values()? * element.bytes())?;
            match (node.element(value)?, bytes) {
                (Element::Int8, [byte]) if element == Element::Int8 => (*byte as i8).into(),
                (Element::Int16, &[low, high]) if element == Element::Int16 => {
                    i16::from_le_bytes([low, high]).into()
                }
                _ => return Err(node.refuse("its value is not one number of the input's type")),
            }
        }
        None => quantization.zero_point,
    };
    node.unclamped(Operation::Pad {
        top,
        left,
        front,
        value,
    })
}

/// How much a padding operator adds before and after height, width and channels.
pub(super) fn padding(node: &Node) -> Result<[[u32; 2]; 3], TfliteError> {
    let input = node.input(0)?;
    let amounts = node.input(1)?.integers()?;
    if amounts.len() != input.dimensions.len() * 2 {
        return Err(node.refuse(format!(
            "{} amounts for {} dimensions",
            amounts.len(),
            input.dimensions.len()
        )));
    }
    let mut added = [[0; 2]; 3];
    let shape = input.shape()?;
    let mut padded = [shape.height, shape.width, shape.channels];
    for (axis, pair) in amounts.chunks_exact(2).enumerate() {
        let (Ok(first), Ok(last)) = (u32::try_from(pair[0]), u32::try_from(pair[1])) else {
            return Err(node.refuse("negative amounts are not supported"));
        };
        match input.axis_of_shape(axis as i32) {
            Some(axis) => {
                added[axis as usize] = [first, last];
                padded[axis as usize] = padded[axis as usize].saturating_add(first).saturating_add(last);
            }
            None if first == 0 && last == 0 => {}
            None => return Err(node.refuse("padding of the batch is not supported")),
        }
    }
    let [height, width, channels] = padded;
    node.expect_output(Shape::new(height, width, channels))?;
    Ok(added)
}

/// The axis (0: height, 1: width, 2: channels) of a concatenation.
pub(super) fn concatenation(node: &Node) -> Result<u8, TfliteError> {
    let options = node.options(node.operator.options.builtin_options_as_concatenation_options())?;
    if options.fused_activation_function() != ActivationFunctionType::NONE {
        return Err(node.refuse("a fused activation function is not supported"));
    }
    let output = node.output()?;
    let axis = output.axis_of_shape(options.axis());
    let axis =
        axis.ok_or_else(|| node.refuse(format!("axis {} is the batch or does not exist", options.axis())))?;
    let dimensions = |shape: Shape| [shape.height, shape.width, shape.channels];
    let expected = dimensions(output.shape()?);
    let mut total = 0u64;
    for number in 0..node.operator.inputs.len() {
        let input = node.input(number)?;
        if input.data.is_some() {
            return Err(node.refuse(format!("the constant input {} is not supported", input.name)));
        }
        if input.dimensions.len() != output.dimensions.len()
            || node.element(input)? != node.element(output)?
        {
            return Err(node.refuse(format!(
                "input {} differs from the output in rank or type",
                input.name
            )));
        }
        node.same_quantization(input)?;
        let mut found = dimensions(input.shape()?);
        total += u64::from(found[axis as usize]);
        found[axis as usize] = expected[axis as usize];
        if found != expected {
            return Err(node.refuse(format!("input {} does not fit the output's shape", input.name)));
        }
    }
    if total != u64::from(expected[axis as usize]) {
        return Err(node.refuse("its inputs together do not have the output's length"));
    }
    Ok(axis)
}

/// The same values under another shape: reshape, squeeze, expand dims.
pub(super) fn reshape(node: &Node) -> Result<Computation, TfliteError> {
    node.same_element()?;
    node.same_quantization(node.input(0)?)?;
    let (from, to) = (node.input(0)?.shape()?, node.output()?.shape()?);
    if from.values() != to.values() {
        return Err(node.refuse(format!("{from} and {to} differ in the number of values")));
    }
    node.unclamped(Operation::Reshape)
}

/// Nearest-neighbour resizing of height and width.
pub(super) fn resize_nearest(node: &Node) -> Result<Computation, TfliteError> {
    node.same_element()?;
    node.same_quantization(node.input(0)?)?;
    let options = node.options(
        node.operator
            .options
            .builtin_options_as_resize_nearest_neighbor_options(),
    )?;
    let (from, to) = (node.input(0)?.shape()?, node.output()?.shape()?);
    if node.input(1)?.integers()? != [to.height as i32, to.width as i32] || from.channels != to.channels {
        return Err(node.refuse(format!("its size or channels are not those of its output, {to}")));
    }
    if from.height.max(from.width) > u32::from(u16::MAX) {
        return Err(node.refuse(format!("its input of {from} is too large")));
    }
    let source = |from: u32, to: u32| {
        (0..to)
            .map(|position| {
                source(
                    position,
                    from,
                    to,
                    options.align_corners(),
                    options.half_pixel_centers(),
                )
            })
            .collect()
    };
    let (rows, columns) = (source(from.height, to.height), source(from.width, to.width));
    node.unclamped(Operation::ResizeNearest { rows, columns })
}

/// The input position that output position `position` of `to` shows of `from` positions, in TensorFlow Lite's f32
/// arithmetic.
fn source(position: u32, from: u32, to: u32, align_corners: bool, half_pixel_centers: bool) -> u16 {
    let scale = if align_corners && to > 1 {
        (from - 1) as f32 / (to - 1) as f32
    } else {
        from as f32 / to as f32
    };
    let offset = if half_pixel_centers { 0.5 } else { 0.0 };
    let real = (position as f32 + offset) * scale;
    let nearest = if align_corners { real.round() } else { real.floor() };
    (nearest as u32).min(from - 1) as u16
}

/// Another order of height, width and channels.
pub(super) fn transpose(node: &Node) -> Result<Computation, TfliteError> {
    node.same_element()?;
    node.same_quantization(node.input(0)?)?;
    node.unclamped(Operation::Transpose(permutation(node)?))
}

/// Which input axis (0: height, 1: width, 2: channels) each output axis of a transposition is.
pub(super) fn permutation(node: &Node) -> Result<[u8; 3], TfliteError> {
    let (input, output) = (node.input(0)?, node.output()?);
    let order = node.input(1)?.integers()?;
    let rank = input.dimensions.len();
    if output.dimensions.len() != rank || order.len() != rank || (rank > 1 && order[0] != 0) {
        return Err(node.refuse(format!("order {order:?} does not keep the batch in place")));
    }
    // Axes that the stored shape lacks stay where they are.
    let mut permutation = [0, 1, 2];
    for (to, from) in order.iter().enumerate().skip(usize::from(rank > 1)) {
        let axes = (output.axis_of_shape(to as i32), input.axis_of_shape(*from));
        let (Some(to), Some(from)) = axes else {
            return Err(node.refuse(format!("order {order:?} names a dimension that does not exist")));
        };
        permutation[to as usize] = from;
    }
    let mut sorted = permutation;
    sorted.sort_unstable();
    if sorted != [0, 1, 2] {
        return Err(node.refuse(format!("order {order:?} names a dimension twice")));
    }
    let shape = input.shape()?;
    let dimensions = [shape.height, shape.width, shape.channels];
    let [height, width, channels] = permutation.map(|axis| dimensions[axis as usize]);
    node.expect_output(Shape::new(height, width, channels))?;
    Ok(permutation)
}

/// The number of the greatest channel of each pixel.
pub(super) fn arg_max(node: &Node) -> Result<Computation, TfliteError> {
    let input = node.input(0)?;
    if node.element(input)? != Element::Int8 {
        return Err(node.refuse("int16 activations are not supported by this operator"));
    }
    let axis = node.input(1)?.integers()?;
    if axis.len() != 1 || input.axis_of_shape(axis[0]) != Some(2) {
        return Err(node.refuse("only the last axis is supported"));
    }
    Ok(Computation {
        operation: Operation::ArgMax,
        activation: (i16::MIN.into(), i16::MAX.into()),
        inputs: vec![0],
    })
}

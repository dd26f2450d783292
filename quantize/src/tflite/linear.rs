//! Convolution, depthwise and pointwise convolution, and fully connected.

use super::TfliteError;
use super::arithmetic::multiplier;
use super::file::{Tensor, TensorType};
use super::node::{Computation, Node, affine};
use crate::network::{Linear, Operation};
use sepconv::fixed_point::Multiplier;
use sepconv::operator::Window;
use sepconv::{Element, Shape};
use tract_tflite::tflite::{ActivationFunctionType, FullyConnectedOptionsWeightsFormat};

/// A convolution; a pointwise one where the window is one element that moves by one.
pub(super) fn convolution(node: &Node) -> Result<Computation, TfliteError> {
    let options = node.options(node.operator.options.builtin_options_as_conv_2_doptions())?;
    let weights = node.input(1)?;
    let [channels, height, width, depth] = weights.sizes()?[..] else {
        return Err(node.refuse(format!(
            "weights of shape {:?} where four dimensions are expected",
            weights.dimensions
        )));
    };
    let input = node.input(0)?.shape()?;
    if depth != input.channels {
        return Err(node.refuse(format!(
            "grouped convolution ({} input channels, weights for {depth}) is not supported",
            input.channels
        )));
    }
    let window = node.window(
        [height as usize, width as usize],
        [options.stride_h(), options.stride_w()],
        [options.dilation_h_factor(), options.dilation_w_factor()],
        options.padding(),
    )?;
    expect_channels(node, channels)?;
    let linear = linear(node, 0, channels as usize, window)?;
    // The dilation of a window of one element means nothing.
    let unit = Window {
        dilation_height: 1,
        dilation_width: 1,
        ..window
    } == Window::UNIT;
    let operation = if unit {
        Operation::Pointwise(Linear {
            window: Window::UNIT,
            ..linear
        })
    } else {
        Operation::Convolution(linear)
    };
    clamped(node, operation, options.fused_activation_function())
}

/// A depthwise convolution with any multiplier.
pub(super) fn depthwise(node: &Node) -> Result<Computation, TfliteError> {
    let options = node.options(
        node.operator
            .options
            .builtin_options_as_depthwise_conv_2_doptions(),
    )?;
    let weights = node.input(1)?;
    let [1, height, width, channels] = weights.sizes()?[..] else {
        return Err(node.refuse(format!(
            "weights of shape {:?} where [1, height, width, channels] is expected",
            weights.dimensions
        )));
    };
    let input = node.input(0)?.shape()?;
    if !channels.is_multiple_of(input.channels) {
        return Err(node.refuse(format!(
            "{channels} output channels are no multiple of {} input channels",
            input.channels
        )));
    }
    let window = node.window(
        [height as usize, width as usize],
        [options.stride_h(), options.stride_w()],
        [options.dilation_h_factor(), options.dilation_w_factor()],
        options.padding(),
    )?;
    expect_channels(node, channels)?;
    let operation = Operation::Depthwise(linear(node, 3, channels as usize, window)?);
    clamped(node, operation, options.fused_activation_function())
}

/// A fully connected layer; a pointwise convolution where it keeps more than one pixel.
pub(super) fn fully_connected(node: &Node) -> Result<Computation, TfliteError> {
    let options = node.options(node.operator.options.builtin_options_as_fully_connected_options())?;
    if options.weights_format() != FullyConnectedOptionsWeightsFormat::DEFAULT {
        return Err(node.refuse("shuffled weights are not supported: convert the model again"));
    }
    let weights = node.input(1)?;
    let [channels, depth] = weights.sizes()?[..] else {
        return Err(node.refuse(format!(
            "weights of shape {:?} where two dimensions are expected",
            weights.dimensions
        )));
    };
    let (input, output) = (node.input(0)?.shape()?, node.output()?.shape()?);
    expect_channels(node, channels)?;
    let linear = linear(node, 0, channels as usize, Window::UNIT)?;
    let operation = if output.pixels() == 1 && input.values() == depth as usize {
        Operation::FullyConnected(linear)
    } else if (input.height, input.width) == (output.height, output.width) && input.channels == depth {
        Operation::Pointwise(linear)
    } else {
        return Err(node.refuse(format!(
            "weights for {depth} values do not fit input {input} and output {output}"
        )));
    };
    clamped(node, operation, options.fused_activation_function())
}

fn clamped(
    node: &Node,
    operation: Operation,
    function: ActivationFunctionType,
) -> Result<Computation, TfliteError> {
    Ok(Computation {
        operation,
        activation: node.activation(function)?,
        inputs: vec![0],
    })
}

fn expect_channels(node: &Node, channels: u32) -> Result<(), TfliteError> {
    let output = node.output()?.shape()?;
    node.expect_output(Shape { channels, ..output })
}

/// What all of these have: weights with their scales along `axis`, biases, and requantization.
fn linear(node: &Node, axis: i32, channels: usize, window: Window) -> Result<Linear, TfliteError> {
    let element = node.same_element()?;
    let (input, weights, output) = (node.input(0)?, node.input(1)?, node.output()?);
    let (weight_bits, values) = match weights.element {
        TensorType::INT8 => {
            let bytes = weights.constant(TensorType::INT8, weights.values()?)?;
            (8, bytes.iter().map(|byte| *byte as i8).collect())
        }
        TensorType::INT4 if element == Element::Int8 => {
            let bytes = weights.constant(TensorType::INT4, weights.values()?.div_ceil(2))?;
            (4, unpack(bytes, weights.values()?))
        }
        TensorType::UINT8 => {
            return Err(node.refuse("uint8 weights, the quantization of before 2019, are not supported: convert the model to int8"));
        }
        other => {
            return Err(node.refuse(format!(
                "weights of type {other:?} with {element:?} activations are not supported"
            )));
        }
    };
    if weights.zero_points.iter().any(|zero_point| *zero_point != 0) {
        return Err(node
            .refuse("weights with a zero point other than 0 are not supported: convert the model to int8"));
    }
    let bias = bias(node, channels, element)?;
    expect_sums_in_range(node, &values, &bias, axis, element)?;
    Ok(Linear {
        window,
        weights: values,
        weight_bits,
        bias,
        multipliers: multipliers(node, input, weights, output, axis, channels)?,
    })
}

/// Requires that no input can take a channel's sum out of its range: 32 bits with int8 activations, 48 with int16.
fn expect_sums_in_range(
    node: &Node,
    weights: &[i8],
    bias: &[i64],
    axis: i32,
    element: Element,
) -> Result<(), TfliteError> {
    let channels = bias.len();
    let mut magnitudes = vec![0u64; channels];
    let run = weights.len() / channels;
    for (index, weight) in weights.iter().enumerate() {
        let channel = if axis == 0 { index / run } else { index % channels };
        magnitudes[channel] += u64::from(weight.unsigned_abs());
    }
    let (farthest, limit): (u64, u64) = match element {
        Element::Int8 => (255, 1 << 31),
        Element::Int16 => (1 << 15, 1 << 47),
    };
    for (channel, (magnitude, bias)) in magnitudes.iter().zip(bias).enumerate() {
        if (magnitude * farthest).saturating_add(bias.unsigned_abs()) >= limit {
            return Err(node.refuse(format!(
                "channel {channel}: an input exists whose sum does not fit in {} bits",
                limit.ilog2() + 1
            )));
        }
    }
    Ok(())
}

/// The first `count` values of 4-bit numbers, two a byte, the first in the low half.
fn unpack(bytes: &[u8], count: usize) -> Vec<i8> {
    let halves = bytes
        .iter()
        .flat_map(|byte| [(byte << 4) as i8 >> 4, *byte as i8 >> 4]);
    halves.take(count).collect()
}

fn bias(node: &Node, channels: usize, element: Element) -> Result<Vec<i64>, TfliteError> {
    let Some(bias) = node.optional_input(2) else {
        return Ok(vec![0; channels]);
    };
    let values = match (element, bias.element) {
        (Element::Int8, _) => bias.integers()?.into_iter().map(i64::from).collect(),
        (Element::Int16, TensorType::INT64) => bias.long_integers()?,
        (Element::Int16, other) => {
            return Err(node.refuse(format!(
                "a bias of {other:?} with int16 activations is not supported, only int64"
            )));
        }
    };
    if values.len() != channels {
        return Err(node.refuse(format!("{} biases for {channels} channels", values.len())));
    }
    Ok(values)
}

/// The output multiplier of each channel: input scale × weight scale ÷ output scale.
fn multipliers(
    node: &Node,
    input: &Tensor,
    weights: &Tensor,
    output: &Tensor,
    axis: i32,
    channels: usize,
) -> Result<Vec<Multiplier>, TfliteError> {
    let (input, output) = (affine(input)?.scale, affine(output)?.scale);
    let scales = &weights.scales[..];
    if scales.len() != 1 && (scales.len() != channels || weights.axis != axis) {
        return Err(node.refuse(format!(
            "{} weight scales along axis {} where one, or {channels} along axis {axis}, are expected",
            scales.len(),
            weights.axis
        )));
    }
    let real = |scale: f32| {
        // A fully connected layer with one scale multiplies in f32; everything else in f64.
        if scales.len() == 1 && weights.dimensions.len() == 2 {
            (input * scale) as f64 / output as f64
        } else {
            input as f64 * scale as f64 / output as f64
        }
    };
    (0..channels)
        .map(|channel| {
            let scale = scales[if scales.len() == 1 { 0 } else { channel }];
            multiplier(real(scale)).ok_or_else(|| {
                node.refuse(format!(
                    "channel {channel}: no multiplier for scales {input} × {scale} ÷ {output}"
                ))
            })
        })
        .collect()
}

//! Elementwise operators and batch normalization.

use super::constant::Constant;
use super::error::OnnxError;
use super::importer::{Importer, Value, View};
use super::node::OnnxNode;
use crate::graph::{Activation, Affine, Clamp, Operator};

/// Batch normalization with its stored statistics.
pub fn batch_normalization(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    if node.int("training_mode", 0) != 0 {
        return Err(node.refuse("it is in training mode", "Export the model in evaluation mode"));
    }
    let view = channels_second(importer, node)?;
    let channels = importer.shape(&view).channels;
    let mut parameters = Vec::new();
    for i in 1..5 {
        let values = importer.constant(node, i)?.to_floats();
        if values.len() != channels {
            return Err(node.refuse(
                format!("input {i} has {} values for {channels} channels", values.len()),
                "The file is damaged; export it again",
            ));
        }
        parameters.push(values);
    }
    let epsilon = f64::from(node.float("epsilon", 1e-5));
    let (mut scale, mut offset) = (Vec::new(), Vec::new());
    let parameter = |i: usize, c: usize| f64::from(parameters[i][c]);
    for c in 0..channels {
        let [gamma, beta, mean, variance] = [0, 1, 2, 3].map(|i| parameter(i, c));
        let factor = gamma / (variance + epsilon).sqrt();
        if !factor.is_finite() {
            return Err(node.refuse(
                format!("channel {c} has the variance {variance}"),
                "Variances must not be negative; export the model again",
            ));
        }
        scale.push(factor as f32);
        offset.push((beta - mean * factor) as f32);
    }
    importer.push_alike(node, Operator::Affine(Affine { scale, offset }), view)
}

/// Input 0 with channels as the dimension after the batch.
fn channels_second(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let view = importer.activation(node, 0)?;
    importer.arrange(node, view)
}

/// Add, Sub, Mul, Div, Sum and Neg.
pub fn binary(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let operator = node.proto.op_type.as_str();
    if operator == "Neg" {
        let view = importer.activation(node, 0)?;
        return scale_by(importer, node, view, -1.0);
    }
    let count = node.proto.input.len();
    if operator == "Sum" && count == 1 {
        return importer.activation(node, 0);
    }
    if count != 2 {
        return Err(node.refuse(
            format!("it has {count} inputs"),
            "Use operators with two inputs, one after another",
        ));
    }
    match (importer.value(node, 0)?, importer.value(node, 1)?) {
        (Value::Activation(view), Value::Constant(constant)) => {
            with_constant(importer, node, view, &constant, false)
        }
        (Value::Constant(constant), Value::Activation(view)) => {
            with_constant(importer, node, view, &constant, true)
        }
        (Value::Activation(left), Value::Activation(right)) => match operator {
            "Mul" => combine(importer, node, Operator::Multiply, left, right),
            "Sub" => {
                let negated = scale_by(importer, node, right, -1.0)?;
                combine(importer, node, Operator::Add, left, negated)
            }
            "Div" => Err(node.refuse(
                "it divides by an activation",
                "Division by a constant works, and so does multiplication of two activations",
            )),
            _ => combine(importer, node, Operator::Add, left, right),
        },
        _ => Err(node.refuse("both inputs are constants", "Export with constant folding")),
    }
}

fn scale_by(importer: &mut Importer, node: OnnxNode, view: View, factor: f32) -> Result<View, OnnxError> {
    let channels = importer.shape(&view).channels;
    let affine = Affine {
        scale: vec![factor; channels],
        offset: vec![0.0; channels],
    };
    importer.push_alike(node, Operator::Affine(affine), view)
}

/// An activation with a constant, as a factor and summand per channel.
fn with_constant(
    importer: &mut Importer,
    node: OnnxNode,
    view: View,
    constant: &Constant,
    constant_is_first: bool,
) -> Result<View, OnnxError> {
    let (view, values) = per_channel(importer, node, view, constant)?;
    let divides = node.proto.op_type == "Div";
    if let Some(bad) = values.iter().find(|v| !v.is_finite() || divides && **v == 0.0) {
        return Err(node.refuse(
            format!("its constant holds {bad}"),
            "Only finite results can be quantized",
        ));
    }
    let ones = vec![1.0; values.len()];
    let zeros = vec![0.0; values.len()];
    let negated = |values: &[f32]| values.iter().map(|v| -v).collect::<Vec<_>>();
    let (scale, offset) = match (node.proto.op_type.as_str(), constant_is_first) {
        ("Mul", _) => (values, zeros),
        ("Div", false) => (values.iter().map(|v| 1.0 / v).collect(), zeros),
        ("Div", true) => {
            return Err(node.refuse("it divides by an activation", "Division by a constant works"));
        }
        ("Sub", false) => (ones, negated(&values)),
        ("Sub", true) => (negated(&ones), values),
        _ => (ones, values),
    };
    importer.push_alike(node, Operator::Affine(Affine { scale, offset }), view)
}

/// The constant's value at every channel, and the view in an order in which it has one value per channel.
pub fn per_channel(
    importer: &mut Importer,
    node: OnnxNode,
    view: View,
    constant: &Constant,
) -> Result<(View, Vec<f32>), OnnxError> {
    let channels = importer.shape(&view).channels;
    let values = constant.to_floats();
    if let Some(&[only]) = values.get(..).filter(|v| v.len() == 1) {
        return Ok((view, vec![only; channels]));
    }
    if let Some(found) = values_by_channel(&view, constant, &values, channels) {
        return Ok((view, found));
    }
    let arranged = importer.arrange(node, view)?;
    let channels = importer.shape(&arranged).channels;
    match values_by_channel(&arranged, constant, &values, channels) {
        Some(found) => Ok((arranged, found)),
        None => Err(node.refuse(
            format!(
                "a constant of shape {:?} meets an activation of shape {:?}",
                constant.dims,
                arranged.layout.sizes()
            ),
            "Constants work as one value, or as one value per channel",
        )),
    }
}

/// `None` unless the constant varies along dimensions of channels only and broadcasts into the view.
fn values_by_channel(view: &View, constant: &Constant, values: &[f32], channels: usize) -> Option<Vec<f32>> {
    let lead = view.layout.rank().checked_sub(constant.dims.len())?;
    let mut index = vec![0; channels];
    for (i, &extent) in constant.dims.iter().enumerate() {
        let along = match extent {
            1 => vec![0; channels],
            _ if extent == view.layout.size(lead + i) => view.layout.index_at_channel(lead + i, channels)?,
            _ => return None,
        };
        for (index, along) in index.iter_mut().zip(along) {
            *index = *index * extent + along;
        }
    }
    Some(index.into_iter().map(|i| values[i]).collect())
}

/// Two activations of one shape, or one broadcast into the other.
fn combine(
    importer: &mut Importer,
    node: OnnxNode,
    operator: Operator,
    left: View,
    right: View,
) -> Result<View, OnnxError> {
    if left.layout == right.layout && importer.shape(&left) == importer.shape(&right) {
        let tensor = importer.push(node, operator, &[left.tensor, right.tensor])?;
        return Ok(View {
            tensor,
            layout: left.layout,
        });
    }
    let rank = left.layout.rank();
    if rank != right.layout.rank() {
        return Err(node.refuse(
            format!(
                "it combines tensors of {rank} and {} dimensions",
                right.layout.rank()
            ),
            "Reshape both to the same number of dimensions",
        ));
    }
    let (left, right) = (importer.arrange(node, left)?, importer.arrange(node, right)?);
    let tensor = importer.push(node, operator, &[left.tensor, right.tensor])?;
    Ok(importer.natural(tensor, rank))
}

/// Relu, Clip, and Min or Max with a constant.
pub fn clamp(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let view = importer.activation(node, 0)?;
    let clamp = match node.proto.op_type.as_str() {
        "Relu" => Clamp::RELU,
        "Clip" => Clamp {
            min: bound(importer, node, 1)?.unwrap_or_else(|| node.float("min", f32::NEG_INFINITY)),
            max: bound(importer, node, 2)?.unwrap_or_else(|| node.float("max", f32::INFINITY)),
        },
        "Min" => Clamp {
            max: only_bound(importer, node)?,
            ..Clamp::NONE
        },
        _ => Clamp {
            min: only_bound(importer, node)?,
            ..Clamp::NONE
        },
    };
    if clamp.min.is_nan() || clamp.max.is_nan() || clamp.min > clamp.max {
        return Err(node.refuse(
            format!("its range [{}, {}] is empty", clamp.min, clamp.max),
            "The lower bound must not exceed the upper",
        ));
    }
    let view = importer.push_alike(node, Operator::Clamp, view)?;
    importer.graph.nodes.last_mut().expect("just pushed").clamp = clamp;
    Ok(view)
}

fn bound(importer: &Importer, node: OnnxNode, input: usize) -> Result<Option<f32>, OnnxError> {
    let Some(constant) = importer.optional_constant(node, input)? else {
        return Ok(None);
    };
    match constant.to_floats()[..] {
        [value] => Ok(Some(value)),
        _ => Err(node.refuse("a bound has several values", "Bounds must be single values")),
    }
}

fn only_bound(importer: &Importer, node: OnnxNode) -> Result<f32, OnnxError> {
    match (node.proto.input.len(), bound(importer, node, 1)?) {
        (2, Some(value)) => Ok(value),
        _ => Err(node.refuse(
            "it does not compare with one constant",
            "A bound that is one constant works",
        )),
    }
}

/// ReLU with a slope per channel.
pub fn prelu(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let view = importer.activation(node, 0)?;
    let slope = importer.constant(node, 1)?;
    let (view, slope) = per_channel(importer, node, view, &slope)?;
    importer.push_alike(node, Operator::PRelu(slope), view)
}

/// Pow with exponent 1, 2 or 0.5.
pub fn power(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let view = importer.activation(node, 0)?;
    match importer.constant(node, 1)?.to_floats()[..] {
        [1.0] => Ok(view),
        [2.0] => importer.push_alike(node, Operator::Activation(Activation::Square), view),
        [0.5] => importer.push_alike(node, Operator::Activation(Activation::Sqrt), view),
        _ => Err(node.refuse("its exponent is not supported", "Exponents 0.5, 1 and 2 work")),
    }
}

/// A function of one value, with ONNX's default parameters.
pub fn activation(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let view = importer.activation(node, 0)?;
    let alpha = |default| node.float("alpha", default);
    let activation = match node.proto.op_type.as_str() {
        "Sigmoid" => Activation::Sigmoid,
        "HardSigmoid" => Activation::HardSigmoid {
            alpha: alpha(0.2),
            beta: node.float("beta", 0.5),
        },
        "HardSwish" => Activation::HardSwish,
        "Swish" if alpha(1.0) == 1.0 => Activation::Silu,
        "Gelu" if node.text("approximate", "none") == "tanh" => Activation::GeluTanh,
        "Gelu" => Activation::Gelu,
        "Tanh" => Activation::Tanh,
        "Elu" => Activation::Elu { alpha: alpha(1.0) },
        "Selu" => Activation::Selu {
            alpha: alpha(1.673_263_2),
            gamma: node.float("gamma", 1.050_701),
        },
        "LeakyRelu" => Activation::LeakyRelu { alpha: alpha(0.01) },
        "Softplus" => Activation::Softplus,
        "Mish" => Activation::Mish,
        "Softsign" => Activation::Softsign,
        "Abs" => Activation::Abs,
        "Sqrt" => Activation::Sqrt,
        "Exp" => Activation::Exp,
        _ => return Err(node.refuse("its parameters are not supported", "Swish with alpha 1 works")),
    };
    importer.push_alike(node, Operator::Activation(activation), view)
}

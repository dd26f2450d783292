//! Operators that treat each element by itself: sum, product, activation functions, requantization; and softmax.

use super::TfliteError;
use super::arithmetic::{Affine, multiplier};
use super::node::{Computation, Node, affine};
use super::tables;
use crate::network::{Constant, Operation};
use sepconv::Element;
use sepconv::fixed_point::Multiplier;
use tract_tflite::tflite::BuiltinOperator;

/// A sum or a product of two tensors, or of a tensor and a constant. One of them may be a vector over channels or a
/// single value.
pub(super) fn binary(node: &Node) -> Result<Computation, TfliteError> {
    let element = node.same_element()?;
    let shape = node.output()?.shape()?;
    // The operand of the output's shape comes first; both sum and product commute.
    let fits = |number: usize| -> Result<bool, TfliteError> {
        let input = node.input(number)?;
        Ok(input.data.is_none() && input.shape()? == shape)
    };
    let (first, second) = if fits(0)? { (0, 1) } else { (1, 0) };
    if !fits(first)? {
        return Err(node.refuse("neither input is computed and of the output's shape"));
    }
    let (a, b) = (node.input(first)?, node.input(second)?);
    let b_shape = b.shape()?;
    if node.element(b)? != element {
        return Err(node.refuse(format!("input {} is not {element:?} as the other", b.name)));
    }
    let vector = b_shape.pixels() == 1 && (b_shape.channels == shape.channels || b_shape.channels == 1);
    if b_shape != shape && !vector {
        return Err(node.refuse(format!(
            "broadcasting {b_shape} to {shape} is not supported: only channels or one value"
        )));
    }
    let constant = if b.data.is_none() {
        Vec::new()
    } else {
        b.constant(b.element, b.values()? * element.bytes())?
            .iter()
            .map(|byte| *byte as i8)
            .collect()
    };
    let (from_a, from_b, to) = (affine(a)?, affine(b)?, affine(node.output()?)?);
    let inputs = if b.data.is_none() {
        vec![first, second]
    } else {
        vec![first]
    };
    let constant = b.data.is_some().then_some(Constant {
        values: constant,
        zero_point: from_b.zero_point,
    });
    let options = &node.operator.options;
    if node.operator.code == BuiltinOperator::ADD {
        // Both operands are brought to twice the larger scale with bits to spare before they are added.
        let left_shift = if element == Element::Int16 { 15 } else { 20 };
        let larger = 2.0 * from_a.scale.max(from_b.scale) as f64;
        let output = larger / (f64::from(1 << left_shift) * to.scale as f64);
        if output >= 1.0 {
            return Err(node.refuse("the output's scale is too small for the inputs'"));
        }
        let operation = Operation::Add {
            a: factor(node, from_a.scale as f64 / larger)?,
            b: factor(node, from_b.scale as f64 / larger)?,
            output: factor(node, output)?,
            left_shift,
            constant,
        };
        let options = node.options(options.builtin_options_as_add_options())?;
        Ok(Computation {
            operation,
            activation: node.activation(options.fused_activation_function())?,
            inputs,
        })
    } else {
        let output = factor(node, from_a.scale as f64 * from_b.scale as f64 / to.scale as f64)?;
        let operation = Operation::Mul { output, constant };
        let options = node.options(options.builtin_options_as_mul_options())?;
        Ok(Computation {
            operation,
            activation: node.activation(options.fused_activation_function())?,
            inputs,
        })
    }
}

fn factor(node: &Node, real: f64) -> Result<Multiplier, TfliteError> {
    multiplier(real).ok_or_else(|| node.refuse(format!("no multiplier for the factor {real}")))
}

/// A function of one int8 value, as a table.
pub(super) fn function(node: &Node) -> Result<Computation, TfliteError> {
    node.int8()?;
    let (input, output) = (affine(node.input(0)?)?, affine(node.output()?)?);
    let expect = |scale: f32, zero_point: i32| {
        let expected = Affine { scale, zero_point };
        if output == expected {
            return Ok(());
        }
        Err(node.refuse(format!(
            "its output must have scale {scale} and zero point {zero_point}"
        )))
    };
    let table = match node.operator.code {
        BuiltinOperator::RELU => tables::requantize(input, output, output.zero_point, i8::MAX.into()),
        BuiltinOperator::RELU6 => Some(tables::relu6(input)),
        BuiltinOperator::LEAKY_RELU => {
            let options = node.options(node.operator.options.builtin_options_as_leaky_relu_options())?;
            tables::leaky_relu(input, output, options.alpha())
        }
        BuiltinOperator::ELU => Some(tables::elu(input, output)),
        BuiltinOperator::HARD_SWISH => tables::hard_swish(input, output),
        BuiltinOperator::LOGISTIC => {
            expect(1.0 / 256.0, -128)?;
            tables::logistic(input)
        }
        BuiltinOperator::TANH => {
            expect(1.0 / 128.0, 0)?;
            tables::tanh(input)
        }
        _ => None,
    };
    let table = table.ok_or_else(|| {
        node.refuse(format!(
            "no integer arithmetic for input scale {} and output scale {}",
            input.scale, output.scale
        ))
    })?;
    node.unclamped(Operation::Lookup(Box::new(table)))
}

/// Another scale, zero point or type; `None` if all values stay what they are.
pub(super) fn quantize(node: &Node) -> Result<Option<Computation>, TfliteError> {
    let (from, to) = (node.input(0)?, node.output()?);
    let (input, output) = (affine(from)?, affine(to)?);
    let (from, to) = (node.any_element(from)?, node.any_element(to)?);
    if from == to && input == output {
        return Ok(None);
    }
    let (least, greatest) = node.range()?;
    let operation = if (from, to) == (Element::Int8, Element::Int8) {
        let table = tables::requantize(input, output, least, greatest);
        Operation::Lookup(Box::new(
            table.ok_or_else(|| node.refuse("its scales are too far apart"))?,
        ))
    } else {
        Operation::Requantize(factor(node, input.scale as f64 / output.scale as f64)?)
    };
    node.unclamped(operation).map(Some)
}

/// Softmax over the channels of each pixel.
pub(super) fn softmax(node: &Node) -> Result<Computation, TfliteError> {
    let options = node.options(node.operator.options.builtin_options_as_softmax_options())?;
    let (input, output) = (affine(node.input(0)?)?, affine(node.output()?)?);
    if node.element(node.input(0)?)? != Element::Int8 {
        return Err(node.refuse("int16 activations are not supported by this operator"));
    }
    let expected = match node.any_element(node.output()?)? {
        Element::Int8 => Affine {
            scale: 1.0 / 256.0,
            zero_point: -128,
        },
        Element::Int16 => Affine {
            scale: 1.0 / 65536.0,
            zero_point: -32768,
        },
    };
    if output != expected {
        let Affine { scale, zero_point } = expected;
        return Err(node.refuse(format!(
            "its output must have scale {scale} and zero point {zero_point}"
        )));
    }
    let softmax = sepconv::operator::Softmax::from_real(options.beta() as f64 * input.scale as f64)
        .ok_or_else(|| node.refuse("the input's scale × beta is too small"))?;
    node.unclamped(Operation::Softmax {
        multiplier: softmax.multiplier,
        difference_min: softmax.difference_min,
    })
}

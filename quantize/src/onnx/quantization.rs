//! QuantizeLinear and DequantizeLinear, and weights with the integers behind them.

use super::constant::{Constant, Dequantized, Values};
use super::error::OnnxError;
use super::importer::{Importer, View};
use super::node::OnnxNode;
use crate::graph::{Operator, Quantization, QuantizedWeights, Weights};
use tract_onnx::pb::tensor_proto::DataType;

/// QuantizeLinear of an activation: its parameters belong to the tensor from here on.
pub fn quantize(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let view = importer.activation(node, 0)?;
    let found = parameters(importer, node)?;
    let tensor = &mut importer.graph.tensors[view.tensor.0];
    match tensor.quantization {
        None => tensor.quantization = Some(found),
        Some(given) if given == found => {}
        // Quantized again in another way: a step of its own.
        Some(_) => {
            let again = importer.push_alike(node, Operator::Identity, view)?;
            importer.graph.tensors[again.tensor.0].quantization = Some(found);
            return Ok(again);
        }
    }
    Ok(view)
}

/// DequantizeLinear of an activation.
pub fn dequantize(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let view = importer.activation(node, 0)?;
    let found = parameters(importer, node)?;
    match importer.graph.tensor(view.tensor).quantization {
        Some(given) if given == found => Ok(view),
        _ => Err(node.refuse(
            "it does not undo the QuantizeLinear before it: their scales or zero points differ",
            "Export static QDQ pairs with the same parameters",
        )),
    }
}

/// Scale and zero point of an activation, as int8.
fn parameters(importer: &Importer, node: OnnxNode) -> Result<Quantization, OnnxError> {
    let scale = importer.constant(node, 1)?;
    let zero = importer.optional_constant(node, 2)?;
    let (&[scale], 0) = (&scale.to_floats()[..], node.int("block_size", 0)) else {
        return Err(node.refuse(
            "it quantizes an activation with several scales",
            "Activations must be quantized per tensor; only weights may have a scale per channel",
        ));
    };
    if !(scale.is_finite() && scale > 0.0) {
        return Err(node.refuse(
            format!("its scale is {scale}"),
            "Scales must be positive; quantize the model again",
        ));
    }
    let (element, value) = match &zero {
        Some(zero) => (zero.element, zero.to_integers().first().copied().unwrap_or(0)),
        None => (DataType::Uint8, 0),
    };
    let zero_point = match element {
        DataType::Int8 => value,
        // The same steps counted from -128.
        DataType::Uint8 => value - 128,
        other => {
            return Err(node.refuse(
                format!(
                    "it quantizes an activation to {}",
                    other.as_str_name().to_lowercase()
                ),
                "Activations in int8 and uint8 work",
            ));
        }
    };
    Ok(Quantization {
        scale,
        zero_point: zero_point as i32,
    })
}

/// QuantizeLinear of a constant.
pub fn quantize_constant(
    node: OnnxNode,
    x: &Constant,
    scale: &Constant,
    zero: Option<&Constant>,
) -> Result<Constant, OnnxError> {
    let element = zero.map_or(DataType::Uint8, |zero| zero.element);
    let (low, high) = match element {
        DataType::Int8 => (-128, 127),
        DataType::Uint8 => (0, 255),
        DataType::Int16 => (-32768, 32767),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        other => {
            return Err(node.refuse(
                format!(
                    "it quantizes a constant to {}",
                    other.as_str_name().to_lowercase()
                ),
                "Constants in int8, uint8, int16 and int32 work",
            ));
        }
    };
    let along = Along::new(node, x, scale)?;
    let (scales, zeros) = scales_and_zeros(node, scale, zero)?;
    let quantized = x.to_floats().into_iter().enumerate().map(|(i, x)| {
        let c = along.index(i);
        let zero = zeros.as_ref().map_or(0, |zeros| zeros[c]);
        // ONNX rounds halves to even.
        ((x / scales[c]).round_ties_even() as i64 + zero).clamp(low, high)
    });
    let values = Values::Integers(quantized.collect());
    Ok(Constant {
        dims: x.dims.clone(),
        element,
        values,
        quantized: None,
    })
}

/// DequantizeLinear of a constant; the integers stay with the result.
pub fn dequantize_constant(
    node: OnnxNode,
    x: &Constant,
    scale: &Constant,
    zero: Option<&Constant>,
) -> Result<Constant, OnnxError> {
    let along = Along::new(node, x, scale)?;
    let (scales, zeros) = scales_and_zeros(node, scale, zero)?;
    let zero_at = |c: usize| zeros.as_ref().map_or(0, |zeros| zeros[c]);
    let integers: Vec<i32> = x
        .to_integers()
        .iter()
        .enumerate()
        .map(|(i, &q)| (q - zero_at(along.index(i))) as i32)
        .collect();
    let real = |(i, &q): (usize, &i32)| (f64::from(q) * f64::from(scales[along.index(i)])) as f32;
    let floats = integers.iter().enumerate().map(real).collect();
    let quantized = Some(Dequantized {
        integers,
        scales,
        axis: along.axis,
    });
    Ok(Constant {
        quantized,
        ..Constant::floats(x.dims.clone(), floats)
    })
}

/// Scales, and as many zero points where there are any.
fn scales_and_zeros(
    node: OnnxNode,
    scale: &Constant,
    zero: Option<&Constant>,
) -> Result<(Vec<f32>, Option<Vec<i64>>), OnnxError> {
    let (scales, zeros) = (scale.to_floats(), zero.map(Constant::to_integers));
    if zeros.as_ref().is_some_and(|zeros| zeros.len() != scales.len()) {
        return Err(node.refuse(
            "its numbers of scales and zero points differ",
            "The file is damaged; quantize the model again",
        ));
    }
    Ok((scales, zeros))
}

/// Which scale belongs to an element.
struct Along {
    axis: usize,
    inner: usize,
    extent: usize,
}

impl Along {
    fn new(node: OnnxNode, x: &Constant, scale: &Constant) -> Result<Self, OnnxError> {
        if scale.len() == 1 {
            return Ok(Along {
                axis: 0,
                inner: 1,
                extent: 1,
            });
        }
        let axis = node.dimension(node.int("axis", 1), x.dims.len())?;
        if node.int("block_size", 0) != 0 || scale.dims.len() > 1 || scale.len() != x.dims[axis] {
            return Err(node.refuse(
                format!(
                    "its scales of shape {:?} are neither one nor one per channel",
                    scale.dims
                ),
                "Quantize weights per tensor or per channel, not in blocks",
            ));
        }
        Ok(Along {
            axis,
            inner: x.dims[axis + 1..].iter().product(),
            extent: x.dims[axis],
        })
    }

    fn index(&self, i: usize) -> usize {
        i / self.inner % self.extent
    }
}

/// Weights in the graph's order: `order` gives for each its index in the file, or `None` for 0. `output_dim` is the
/// stored dimension of output channels, of which there are `outputs`.
pub fn weights(
    node: OnnxNode,
    stored: &Constant,
    output_dim: usize,
    bias: Option<&Constant>,
    outputs: usize,
    order: &[Option<usize>],
) -> Result<Weights, OnnxError> {
    let floats = stored.to_floats();
    if let Some(bad) = floats.iter().find(|v| !v.is_finite()) {
        return Err(node.refuse(format!("a weight is {bad}"), "Train or export the model again"));
    }
    let values = order
        .iter()
        .map(|index| index.map_or(0.0, |i| floats[i]))
        .collect();
    let bias_values = bias.map(Constant::to_floats).unwrap_or_default();
    if bias.is_some() && bias_values.len() != outputs {
        return Err(node.refuse(
            format!(
                "its bias has {} values for {outputs} output channels",
                bias_values.len()
            ),
            "The file is damaged; export it again",
        ));
    }
    let mut weights = Weights::new(values, bias_values);
    if let Some(source) = &stored.quantized {
        weights.quantized = Some(quantized_weights(node, source, output_dim, bias, order)?);
    }
    Ok(weights)
}

fn quantized_weights(
    node: OnnxNode,
    source: &Dequantized,
    output_dim: usize,
    bias: Option<&Constant>,
    order: &[Option<usize>],
) -> Result<QuantizedWeights, OnnxError> {
    if source.scales.len() > 1 && source.axis != output_dim {
        return Err(node.refuse(
            "its weights have a scale per input channel",
            "Quantize weights per tensor or per output channel",
        ));
    }
    let narrow = |&q: &i32| i8::try_from(q).ok();
    let integers: Option<Vec<i8>> = source.integers.iter().map(narrow).collect();
    let Some(integers) = integers else {
        return Err(node.refuse(
            "its weights minus their zero point do not fit int8",
            "Quantize weights symmetrically (int8 with zero point 0)",
        ));
    };
    let values = order
        .iter()
        .map(|index| index.map_or(0, |i| integers[i]))
        .collect();
    let bias = bias
        .and_then(|bias| bias.quantized.as_ref())
        .map(|bias| bias.integers.clone());
    Ok(QuantizedWeights {
        values,
        scales: source.scales.clone(),
        bias,
    })
}

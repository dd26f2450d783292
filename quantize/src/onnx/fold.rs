//! Nodes whose inputs are all known are evaluated at import: casts of fp16 weights, shape arithmetic, and whatever else
//! an exporter left unfolded. The usual ones are done here, the others by tract.

use super::constant::{Constant, Values};
use super::error::OnnxError;
use super::importer::Importer;
use super::node::OnnxNode;
use super::quantization;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, OperatorSetIdProto, ValueInfoProto};
use tract_onnx::prelude::*;

/// The value of a node with constant inputs (possibly none, as Constant).
pub fn evaluate(importer: &Importer, node: OnnxNode) -> Result<Constant, OnnxError> {
    let input = |i| importer.constant(node, i);
    match node.proto.op_type.as_str() {
        "Constant" => literal(node),
        "Identity" | "Dropout" => Ok((*input(0)?).clone()),
        "Cast" => {
            let element = DataType::try_from(node.int("to", 0) as i32);
            let element =
                element.map_err(|_| node.refuse("its target type is unknown", "The file is damaged"))?;
            Ok(input(0)?.cast(element))
        }
        "QuantizeLinear" => {
            let zero = importer.optional_constant(node, 2)?;
            quantization::quantize_constant(node, &*input(0)?, &*input(1)?, zero.as_deref())
        }
        "DequantizeLinear" => {
            let zero = importer.optional_constant(node, 2)?;
            quantization::dequantize_constant(node, &*input(0)?, &*input(1)?, zero.as_deref())
        }
        "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" if input(0)?.quantized.is_some() => Err(node.refuse(
            "it reshapes quantized weights",
            "Fold the reshape into the weights before quantizing the model",
        )),
        _ => by_tract(importer, node),
    }
}

fn literal(node: OnnxNode) -> Result<Constant, OnnxError> {
    if let Some(tensor) = node.tensor("value")? {
        return Ok(tensor);
    }
    let scalar = |values| Constant {
        dims: Vec::new(),
        ..values
    };
    if let Some(floats) = node.floats("value_floats") {
        return Ok(Constant::floats(vec![floats.len()], floats.to_vec()));
    }
    if let Some(integers) = node.ints("value_ints") {
        return Ok(Constant::integers(integers.to_vec()));
    }
    if node.has("value_float") {
        return Ok(scalar(Constant::floats(
            vec![1],
            vec![node.float("value_float", 0.0)],
        )));
    }
    if node.has("value_int") {
        return Ok(scalar(Constant::integers(vec![node.int("value_int", 0)])));
    }
    Err(node.refuse(
        "it holds no dense numbers",
        "Constants of numbers work; strings and sparse tensors do not",
    ))
}

/// Runs a model of this one node in tract.
fn by_tract(importer: &Importer, node: OnnxNode) -> Result<Constant, OnnxError> {
    let mut initializer = Vec::new();
    for (i, name) in node.proto.input.iter().enumerate() {
        if let Some(constant) = importer.optional_constant(node, i)?
            && initializer
                .iter()
                .all(|tensor: &tract_onnx::pb::TensorProto| tensor.name != *name)
        {
            initializer.push(constant.to_proto(name));
        }
    }
    let model = ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: importer.opset,
        }],
        graph: Some(GraphProto {
            node: vec![node.proto.clone()],
            initializer,
            output: vec![ValueInfoProto {
                name: node.output().to_string(),
                ..Default::default()
            }],
            ..Default::default()
        }),
        ..Default::default()
    };
    let run = || -> TractResult<Constant> {
        let runnable = tract_onnx::onnx()
            .model_for_proto_model(&model)?
            .into_typed()?
            .into_runnable()?;
        let outputs = runnable.run(tvec![])?;
        from_tract(&outputs[0])
    };
    // tract panics on some damaged nodes.
    let result =
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(TractError::msg("its inputs do not fit")));
    result.map_err(|e| {
        node.refuse(
            format!("it cannot be evaluated ahead of time: {}", e.root_cause()),
            "Simplify the model before (constant folding in the exporter)",
        )
    })
}

fn from_tract(tensor: &Tensor) -> TractResult<Constant> {
    let dims = tensor.shape().to_vec();
    let float = tensor.datum_type().is_float();
    if float {
        let values = tensor.cast_to::<f32>()?;
        return Ok(Constant::floats(
            dims,
            values.to_plain_array_view::<f32>()?.iter().copied().collect(),
        ));
    }
    let element = match tensor.datum_type() {
        DatumType::Bool => DataType::Bool,
        DatumType::I32 => DataType::Int32,
        _ => DataType::Int64,
    };
    let values = tensor.cast_to::<i64>()?;
    let integers = values.to_plain_array_view::<i64>()?.iter().copied().collect();
    Ok(Constant {
        dims,
        element,
        values: Values::Integers(integers),
        quantized: None,
    })
}

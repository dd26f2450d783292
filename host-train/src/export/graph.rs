//! Putting an ONNX graph together from the protocol buffer types.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    type_proto,
};

/// A graph under construction. Every node has one output, which carries the node's name.
#[derive(Debug, Default)]
pub(super) struct GraphBuilder {
    graph: GraphProto,
}

impl GraphBuilder {
    pub(super) fn new(name: &str) -> GraphBuilder {
        GraphBuilder {
            graph: GraphProto {
                name: name.to_string(),
                ..Default::default()
            },
        }
    }

    /// Adds a node and returns the name of its output.
    pub(super) fn node(
        &mut self,
        operator: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        self.graph.node.push(NodeProto {
            op_type: operator.to_string(),
            name: name.to_string(),
            input: inputs.iter().map(|input| input.to_string()).collect(),
            output: vec![name.to_string()],
            attribute: attributes,
            ..Default::default()
        });
        name.to_string()
    }

    /// Adds a constant of little-endian `f32` and returns its name.
    pub(super) fn constant(&mut self, name: &str, dims: Vec<i64>, raw_data: Vec<u8>) -> String {
        let data_type = DataType::Float as i32;
        let tensor = TensorProto {
            name: name.to_string(),
            dims,
            data_type,
            raw_data,
            ..Default::default()
        };
        self.graph.initializer.push(tensor);
        name.to_string()
    }

    /// Declares the input: `f32`, any batch, then `dims`.
    pub(super) fn input(&mut self, name: &str, dims: &[u32]) {
        self.graph.input.push(value_info(name, dims));
    }

    /// Declares the output: `f32`, any batch, then `dims`.
    pub(super) fn output(&mut self, name: &str, dims: &[u32]) {
        self.graph.output.push(value_info(name, dims));
    }

    pub(super) fn finish(self) -> GraphProto {
        self.graph
    }
}

fn value_info(name: &str, dims: &[u32]) -> ValueInfoProto {
    let batch = dimension::Value::DimParam("batch".to_string());
    let fixed = dims
        .iter()
        .map(|&side| dimension::Value::DimValue(i64::from(side)));
    let dim = std::iter::once(batch)
        .chain(fixed)
        .map(|value| Dimension {
            value: Some(value),
            ..Default::default()
        })
        .collect();
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim }),
    };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto {
        name: name.to_string(),
        r#type: Some(TypeProto {
            value,
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A list of integers.
pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let r#type = AttributeType::Ints as i32;
    AttributeProto {
        name: name.to_string(),
        r#type,
        ints: values.to_vec(),
        ..Default::default()
    }
}

/// An integer.
pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    let r#type = AttributeType::Int as i32;
    AttributeProto {
        name: name.to_string(),
        r#type,
        i: value,
        ..Default::default()
    }
}

/// A number.
pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    let r#type = AttributeType::Float as i32;
    AttributeProto {
        name: name.to_string(),
        r#type,
        f: value,
        ..Default::default()
    }
}

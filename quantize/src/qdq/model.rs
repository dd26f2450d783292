//! An ONNX model under construction.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// The version of the file format that came with operator set 13, and with 21.
const IR_VERSIONS: [(i64, i64); 2] = [(13, 7), (21, 10)];

/// An ONNX model under construction.
pub(super) struct Model {
    graph: GraphProto,
    opset: i64,
    /// Counts what has no name of its own.
    made: usize,
}

impl Model {
    pub fn new(opset: i64) -> Self {
        let graph = GraphProto {
            name: "sepconv".into(),
            ..GraphProto::default()
        };
        Model {
            graph,
            opset,
            made: 0,
        }
    }

    pub fn input(&mut self, name: &str, dimensions: &[i64]) {
        self.graph.input.push(value_info(name, dimensions));
    }

    pub fn output(&mut self, name: &str, dimensions: &[i64]) {
        self.graph.output.push(value_info(name, dimensions));
    }

    /// Stores a constant and returns its name.
    pub fn constant(&mut self, mut tensor: TensorProto) -> String {
        // Scalars such as scales are used again and again.
        if tensor.raw_data.len() <= 8
            && let Some(same) = self.graph.initializer.iter().find(|known| {
                (&known.raw_data, known.data_type, &known.dims)
                    == (&tensor.raw_data, tensor.data_type, &tensor.dims)
            })
        {
            return same.name.clone();
        }
        tensor.name = self.fresh("constant");
        self.graph.initializer.push(tensor);
        self.graph.initializer[self.graph.initializer.len() - 1]
            .name
            .clone()
    }

    /// Adds a node whose output has a name.
    pub fn node(&mut self, operator: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) {
        self.graph.node.push(NodeProto {
            name: format!("{output}/{operator}"),
            op_type: operator.into(),
            input: inputs.iter().map(|input| input.to_string()).collect(),
            output: vec![output.into()],
            attribute,
            ..NodeProto::default()
        });
    }

    /// Adds a node and returns the name of its output.
    pub fn step(&mut self, operator: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> String {
        let output = self.fresh("value");
        self.node(operator, inputs, &output, attribute);
        output
    }

    fn fresh(&mut self, what: &str) -> String {
        self.made += 1;
        format!("sepconv.{what}{}", self.made)
    }

    pub fn finish(self, metadata: Option<StringStringEntryProto>) -> ModelProto {
        let version = |(opset, _): &&(i64, i64)| *opset == self.opset;
        ModelProto {
            ir_version: IR_VERSIONS
                .iter()
                .find(version)
                .map_or(7, |(_, version)| *version),
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: self.opset,
            }],
            producer_name: "sepconv".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(self.graph),
            metadata_props: metadata.into_iter().collect(),
            ..ModelProto::default()
        }
    }
}

fn value_info(name: &str, dimensions: &[i64]) -> ValueInfoProto {
    let dim = dimensions.iter().map(|extent| Dimension {
        value: Some(dimension::Value::DimValue(*extent)),
        ..Dimension::default()
    });
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

/// A stored tensor of real numbers.
pub(super) fn floats(dimensions: &[usize], values: impl IntoIterator<Item = f32>) -> TensorProto {
    stored(
        DataType::Float,
        dimensions,
        values.into_iter().flat_map(f32::to_le_bytes).collect(),
    )
}

/// A stored tensor of int8, int16, int32 or int64.
pub(super) fn integers(
    element: DataType,
    dimensions: &[usize],
    values: impl IntoIterator<Item = i64>,
) -> TensorProto {
    let bytes = match element {
        DataType::Int8 => 1,
        DataType::Int16 => 2,
        DataType::Int32 => 4,
        _ => 8,
    };
    let raw = values
        .into_iter()
        .flat_map(|value| value.to_le_bytes().into_iter().take(bytes));
    stored(element, dimensions, raw.collect())
}

fn stored(element: DataType, dimensions: &[usize], raw_data: Vec<u8>) -> TensorProto {
    TensorProto {
        dims: dimensions.iter().map(|extent| *extent as i64).collect(),
        data_type: element as i32,
        raw_data,
        ..TensorProto::default()
    }
}

/// An integer attribute.
pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i: value,
        ..AttributeProto::default()
    }
}

/// An attribute of several integers.
pub(super) fn ints(name: &str, values: impl IntoIterator<Item = usize>) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values.into_iter().map(|value| value as i64).collect(),
        ..AttributeProto::default()
    }
}

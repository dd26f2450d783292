//! Builds ONNX models and runs them both ways.

use crate::float;
use crate::graph::Graph;
use crate::onnx::constant::Constant;
use crate::onnx::read_bytes;
use crate::rewrite::{self, simplify};
use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension::Value as DimValue};
use tract_onnx::pb::type_proto::{self, Value as TypeValue};
use tract_onnx::pb::*;
use tract_onnx::prelude::*;

/// A model with the input `x` and the output `y`.
#[derive(Clone)]
pub struct Model {
    pub proto: ModelProto,
    dims: Vec<usize>,
    seed: u64,
}

impl Model {
    /// A model whose input has the given extents, with operator set 13.
    pub fn new(dims: &[usize]) -> Self {
        let graph = GraphProto {
            name: "test".to_string(),
            input: vec![float_value("x", dims.iter().map(|&d| Some(d as i64)).collect())],
            output: vec![ValueInfoProto {
                name: "y".to_string(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let mut model = Model {
            proto: ModelProto::default(),
            dims: dims.to_vec(),
            seed: 0,
        };
        model.proto = ModelProto {
            ir_version: 8,
            graph: Some(graph),
            ..Default::default()
        };
        model.opset(13)
    }

    pub fn opset(mut self, version: i64) -> Self {
        self.proto.opset_import = vec![OperatorSetIdProto {
            domain: String::new(),
            version,
        }];
        self
    }

    pub fn graph(&mut self) -> &mut GraphProto {
        self.proto.graph.as_mut().unwrap()
    }

    /// Appends a node.
    pub fn node(mut self, op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) -> Self {
        self.graph().node.push(NodeProto {
            name: format!("{op}_{output}"),
            op_type: op.to_string(),
            input: inputs.iter().map(|s| s.to_string()).collect(),
            output: vec![output.to_string()],
            attribute,
            ..Default::default()
        });
        self
    }

    /// Stores a tensor.
    pub fn store(mut self, name: &str, constant: Constant) -> Self {
        self.graph().initializer.push(constant.to_proto(name));
        self
    }

    /// Stores random floats in [-1, 1).
    pub fn random(mut self, name: &str, dims: &[usize]) -> Self {
        self.seed += 1;
        let values = rewrite::testing::random(dims.iter().product(), self.seed);
        self.store(name, Constant::floats(dims.to_vec(), values))
    }

    /// Stores random floats in [0.5, 1.5).
    pub fn positive(mut self, name: &str, dims: &[usize]) -> Self {
        self.seed += 1;
        let values = rewrite::testing::random(dims.iter().product(), self.seed);
        self.store(
            name,
            Constant::floats(dims.to_vec(), values.iter().map(|v| v / 2.0 + 1.0).collect()),
        )
    }

    /// Stores floats.
    pub fn floats(self, name: &str, values: &[f32]) -> Self {
        self.store(name, Constant::floats(vec![values.len()], values.to_vec()))
    }

    /// Stores one float without dimensions.
    pub fn scalar(self, name: &str, value: f32) -> Self {
        self.store(name, Constant::floats(Vec::new(), vec![value]))
    }

    /// Stores 64-bit integers.
    pub fn integers(self, name: &str, values: &[i64]) -> Self {
        self.store(name, Constant::integers(values.to_vec()))
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    /// The imported graph.
    pub fn import(&self) -> Graph {
        read_bytes(&self.bytes()).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The refusal.
    pub fn refusal(&self) -> String {
        read_bytes(&self.bytes())
            .expect_err("the model is refused")
            .to_string()
    }

    /// Imports the model and compares its output with tract's on random images, before and after all rewrites; returns the
    /// simplified graph.
    pub fn check(&self) -> Graph {
        let graph = self.import();
        let mut simplified = graph.clone();
        simplify(&mut simplified);
        for seed in 100..103 {
            let values = rewrite::testing::random(self.dims.iter().product(), seed);
            let values: Vec<f32> = values.iter().map(|v| 3.0 * v).collect();
            let expected = channels_last(&self.tract(&values));
            let input = if self.is_channels_last(&graph) {
                values
            } else {
                to_channels_last(&self.dims, &values)
            };
            let imported = float::run(&graph, &input).unwrap();
            rewrite::testing::assert_close(&imported, &expected, 1e-4);
            let rewritten = float::run(&simplified, &input).unwrap();
            rewrite::testing::assert_close(&rewritten, &expected, 1e-4);
        }
        simplified
    }

    fn is_channels_last(&self, graph: &Graph) -> bool {
        let shape = graph.shape(graph.input);
        self.dims[1..] == [shape.height, shape.width, shape.channels]
    }

    fn tract(&self, values: &[f32]) -> Tensor {
        let run = || -> TractResult<Tensor> {
            let model = tract_onnx::onnx()
                .model_for_proto_model(&self.proto)?
                .into_optimized()?
                .into_runnable()?;
            let input = Tensor::from_shape(&self.dims, values)?;
            Ok(model.run(tvec![input.into()])?[0].clone().into_tensor())
        };
        run().unwrap_or_else(|e| panic!("tract: {e:?}"))
    }
}

/// A tensor [n, c, ...] as NHWC values; others as they are.
fn channels_last(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.cast_to::<f32>().unwrap();
    let values: Vec<f32> = tensor
        .to_plain_array_view::<f32>()
        .unwrap()
        .iter()
        .copied()
        .collect();
    to_channels_last(tensor.shape(), &values)
}

fn to_channels_last(dims: &[usize], values: &[f32]) -> Vec<f32> {
    let [n, c, rest @ ..] = dims else {
        return values.to_vec();
    };
    assert_eq!(*n, 1);
    let pixels: usize = rest.iter().product();
    (0..pixels)
        .flat_map(|p| (0..*c).map(move |c| values[c * pixels + p]))
        .collect()
}

/// The declaration of a float tensor; `None` is a symbolic extent.
pub fn float_value(name: &str, dims: Vec<Option<i64>>) -> ValueInfoProto {
    let dim = |d: Option<i64>| Dimension {
        value: Some(d.map_or(DimValue::DimParam("N".to_string()), DimValue::DimValue)),
        ..Default::default()
    };
    let shape = Some(TensorShapeProto {
        dim: dims.into_iter().map(dim).collect(),
    });
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape,
    };
    let value = Some(TypeValue::TensorType(tensor));
    ValueInfoProto {
        name: name.to_string(),
        r#type: Some(TypeProto {
            value,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto {
        name: name.to_string(),
        r#type: kind as i32,
        ..Default::default()
    }
}

pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        i,
        ..attribute(name, AttributeType::Int)
    }
}

pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        ints: values.to_vec(),
        ..attribute(name, AttributeType::Ints)
    }
}

pub fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        f,
        ..attribute(name, AttributeType::Float)
    }
}

pub fn text(name: &str, s: &str) -> AttributeProto {
    AttributeProto {
        s: s.as_bytes().to_vec(),
        ..attribute(name, AttributeType::String)
    }
}

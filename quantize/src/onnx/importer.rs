//! Walks the nodes of a model.

use super::constant::Constant;
use super::error::OnnxError;
use super::layout::{Layout, NC, NCHW, NCW, NHWC};
use super::node::OnnxNode;
use super::{arithmetic, convolution, dense, fold, movement, pool, quantization, reduce, resize};
use crate::graph::{Graph, MAX_ELEMENTS, Operator, Shape, TensorId};
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as DimValue;
use tract_onnx::pb::type_proto::Value as TypeValue;
use tract_onnx::pb::{GraphProto, ModelProto, ValueInfoProto};

/// The oldest operator set whose operators are all read.
const OLDEST_OPSET: i64 = 7;

/// A graph tensor with the way ONNX's dimensions lie in it.
#[derive(Clone, Debug)]
pub struct View {
    /// The tensor.
    pub tensor: TensorId,
    /// Its ONNX dimensions.
    pub layout: Layout,
}

/// What an ONNX value name stands for.
#[derive(Clone, Debug)]
pub enum Value {
    /// Known at import.
    Constant(Rc<Constant>),
    /// Computed from the input.
    Activation(View),
}

/// The import under way.
pub struct Importer {
    /// What has been imported.
    pub graph: Graph,
    /// Operator set of the default domain.
    pub opset: i64,
    /// Extent of the batch dimension; 1 where it is symbolic.
    pub batch: usize,
    values: HashMap<String, Value>,
}

/// Imports a decoded model.
pub fn import(model: &ModelProto, folder: Option<&Path>) -> Result<Graph, OnnxError> {
    let graph = model
        .graph
        .as_ref()
        .filter(|graph| !graph.node.is_empty())
        .ok_or(OnnxError::Empty)?;
    let default_domain = |domain: &str| domain.is_empty() || domain == "ai.onnx";
    let opset = model
        .opset_import
        .iter()
        .find(|set| default_domain(&set.domain))
        .map_or(0, |set| set.version);
    if opset < OLDEST_OPSET {
        return Err(OnnxError::Opset { version: opset });
    }
    let mut values = HashMap::new();
    for tensor in &graph.initializer {
        let constant = Constant::from_proto(tensor, folder)?;
        values.insert(tensor.name.clone(), Value::Constant(Rc::new(constant)));
    }
    let input = only_input(graph)?;
    let (shape, layout, batch) = input_shape(input, has_channels_last(graph, &input.name))?;
    let float = Graph::new(&graph.name, &input.name, shape);
    values.insert(
        input.name.clone(),
        Value::Activation(View {
            tensor: float.input,
            layout,
        }),
    );

    let mut importer = Importer {
        graph: float,
        opset,
        batch,
        values,
    };
    for proto in &graph.node {
        importer.node(OnnxNode { proto })?;
    }
    let [output] = &graph.output[..] else {
        return Err(OnnxError::Outputs {
            names: graph.output.iter().map(|o| o.name.clone()).collect(),
        });
    };
    importer.finish(&output.name)
}

fn only_input(graph: &GraphProto) -> Result<&ValueInfoProto, OnnxError> {
    // Old exporters list initializers among the inputs.
    let stored = |name: &str| graph.initializer.iter().any(|tensor| tensor.name == name);
    let inputs: Vec<&ValueInfoProto> = graph.input.iter().filter(|input| !stored(&input.name)).collect();
    match inputs[..] {
        [input] => Ok(input),
        _ => Err(OnnxError::Inputs {
            names: inputs.iter().map(|input| input.name.clone()).collect(),
        }),
    }
}

/// Whether the first thing that happens to the input, apart from arithmetic, is a transpose from NHWC to NCHW, which
/// alone convolutions read.
fn has_channels_last(graph: &GraphProto, input: &str) -> bool {
    let mut name = input;
    // Nodes are in order, so one walk over them follows the chain.
    for node in graph.node.iter().map(|proto| OnnxNode { proto }) {
        if !node.proto.input.iter().any(|read| read == name) {
            continue;
        }
        match node.proto.op_type.as_str() {
            "Transpose" => return node.ints("perm") == Some(&[0, 3, 1, 2]),
            "Add" | "Sub" | "Mul" | "Div" | "Cast" | "Identity" | "QuantizeLinear" | "DequantizeLinear" => {
                name = node.output();
            }
            _ => return false,
        }
    }
    false
}

/// The input's shape without the batch, the order of its dimensions, and the batch's extent.
fn input_shape(input: &ValueInfoProto, channels_last: bool) -> Result<(Shape, Layout, usize), OnnxError> {
    let tensor = match input.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(TypeValue::TensorType(tensor)) => tensor,
        _ => {
            return Err(OnnxError::InputType {
                input: input.name.clone(),
                element: "no tensor".to_string(),
            });
        }
    };
    match DataType::try_from(tensor.elem_type) {
        Ok(DataType::Float | DataType::Float16) => {}
        other => {
            let element = other
                .map_or("an unknown type", |t| t.as_str_name())
                .to_lowercase();
            return Err(OnnxError::InputType {
                input: input.name.clone(),
                element,
            });
        }
    }
    let dims = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim[..]);
    let known: Vec<Option<usize>> = dims
        .iter()
        .map(|dim| match dim.value {
            Some(DimValue::DimValue(v)) if (1..1 << 20).contains(&v) => Some(v as usize),
            _ => None,
        })
        .collect();
    let declared = || {
        let text = |dim: &Option<DimValue>| match dim {
            Some(DimValue::DimValue(v)) => v.to_string(),
            Some(DimValue::DimParam(name)) => name.clone(),
            None => "?".to_string(),
        };
        dims.iter()
            .map(|dim| text(&dim.value))
            .collect::<Vec<_>>()
            .join(", ")
    };
    if !(2..=4).contains(&known.len()) {
        return Err(OnnxError::InputRank {
            input: input.name.clone(),
            dims: declared(),
        });
    }
    let batch = known[0].unwrap_or(1);
    let extents: Option<Vec<usize>> = known[1..].iter().copied().collect();
    let dynamic = || OnnxError::DynamicShape {
        input: input.name.clone(),
        dims: declared(),
    };
    let extents = extents.ok_or_else(dynamic)?;
    let (shape, axes) = match extents[..] {
        [h, w, c] if channels_last => (Shape::new(h, w, c), &NHWC[..]),
        [c, h, w] => (Shape::new(h, w, c), &NCHW[..]),
        [c, w] => (Shape::new(1, w, c), &NCW[..]),
        _ => (Shape::vector(extents[0]), &NC[..]),
    };
    if shape.elements() > MAX_ELEMENTS {
        return Err(OnnxError::InputRank {
            input: input.name.clone(),
            dims: declared(),
        });
    }
    Ok((shape, Layout::of_axes(axes, shape, batch), batch))
}

impl Importer {
    fn node(&mut self, node: OnnxNode) -> Result<(), OnnxError> {
        let operator = node.proto.op_type.as_str();
        let domain = node.proto.domain.as_str();
        let quantizes = matches!(operator, "QuantizeLinear" | "DequantizeLinear");
        if !(matches!(domain, "" | "ai.onnx") || domain == "com.microsoft" && quantizes) {
            return Err(node.refuse(
                format!("operators of the domain {domain:?} are not supported"),
                "Export with standard ONNX operators only, and quantized models in QDQ format",
            ));
        }
        if operator == "Shape" {
            let sizes = match self.value(node, 0)? {
                Value::Constant(constant) => constant.dims.clone(),
                Value::Activation(view) => view.layout.sizes(),
            };
            let constant = movement::shape(node, &sizes);
            return self.set_constant(node, constant);
        }
        let inputs: Vec<usize> = (0..node.proto.input.len())
            .filter(|&i| node.has_input(i))
            .collect();
        let mut all_constant = true;
        for &i in &inputs {
            all_constant &= matches!(self.value(node, i)?, Value::Constant(_));
        }
        if all_constant {
            let constant = fold::evaluate(self, node)?;
            return self.set_constant(node, constant);
        }
        let view = self.compute(node)?;
        if let Some(view) = view {
            self.set(node.output(), Value::Activation(view));
        }
        Ok(())
    }

    /// Imports a node that reads an activation. `None` where the node set its outputs itself.
    fn compute(&mut self, node: OnnxNode) -> Result<Option<View>, OnnxError> {
        let view = match node.proto.op_type.as_str() {
            "Conv" => convolution::convolution(self, node),
            "Gemm" => dense::gemm(self, node),
            "MatMul" => dense::matmul(self, node),
            "Softmax" => dense::softmax(self, node),
            "ArgMax" => dense::argmax(self, node),
            "BatchNormalization" => arithmetic::batch_normalization(self, node),
            "Add" | "Sub" | "Mul" | "Div" | "Sum" | "Neg" => arithmetic::binary(self, node),
            "Relu" | "Clip" | "Min" | "Max" => arithmetic::clamp(self, node),
            "PRelu" => arithmetic::prelu(self, node),
            "Pow" => arithmetic::power(self, node),
            "Sigmoid" | "HardSigmoid" | "HardSwish" | "Swish" | "Gelu" | "Tanh" | "Elu" | "Selu"
            | "LeakyRelu" | "Softplus" | "Mish" | "Softsign" | "Abs" | "Sqrt" | "Exp" => {
                arithmetic::activation(self, node)
            }
            "MaxPool" => pool::max(self, node),
            "AveragePool" => pool::average(self, node),
            "GlobalAveragePool" | "GlobalMaxPool" => pool::global(self, node),
            "ReduceMean" | "ReduceMax" => reduce::reduce(self, node),
            "Pad" => movement::pad(self, node),
            "Concat" => movement::concat(self, node),
            "Slice" => movement::slice(self, node),
            "Split" => return movement::split(self, node).map(|()| None),
            "Resize" | "Upsample" => resize::resize(self, node),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" => movement::view(self, node),
            "Identity" | "Dropout" | "Cast" => self.activation(node, 0),
            "QuantizeLinear" => quantization::quantize(self, node),
            "DequantizeLinear" => quantization::dequantize(self, node),
            operator => Err(node.refuse(unsupported_reason(operator), unsupported_remedy(operator))),
        };
        view.map(Some)
    }

    /// What input `index` of a node stands for.
    pub fn value(&self, node: OnnxNode, index: usize) -> Result<Value, OnnxError> {
        let input = node.proto.input.get(index).cloned().unwrap_or_default();
        self.values
            .get(&input)
            .cloned()
            .ok_or_else(|| OnnxError::MissingValue {
                node: node.name(),
                operator: node.proto.op_type.clone(),
                input,
            })
    }

    /// Input `index`, which must be computed from the network's input.
    pub fn activation(&self, node: OnnxNode, index: usize) -> Result<View, OnnxError> {
        match self.value(node, index)? {
            Value::Activation(view) => Ok(view),
            Value::Constant(_) => Err(node.refuse(
                format!("input {index} is a constant where an activation is expected"),
                "Run the model through a constant-folding exporter",
            )),
        }
    }

    /// Input `index`, which must be known at import.
    pub fn constant(&self, node: OnnxNode, index: usize) -> Result<Rc<Constant>, OnnxError> {
        match self.value(node, index)? {
            Value::Constant(constant) => Ok(constant),
            Value::Activation(_) => Err(node.refuse(
                format!(
                    "input {index} ({:?}) is computed from the image",
                    node.proto.input[index]
                ),
                "Only constants work there: export with fixed shapes and frozen weights",
            )),
        }
    }

    /// Input `index` where it is given; it must then be known at import.
    pub fn optional_constant(&self, node: OnnxNode, index: usize) -> Result<Option<Rc<Constant>>, OnnxError> {
        if node.has_input(index) {
            self.constant(node, index).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Names a value.
    pub fn set(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_string(), value);
    }

    fn set_constant(&mut self, node: OnnxNode, constant: Constant) -> Result<(), OnnxError> {
        self.set(node.output(), Value::Constant(Rc::new(constant)));
        Ok(())
    }

    /// Shape of a view's tensor.
    pub fn shape(&self, view: &View) -> Shape {
        self.graph.shape(view.tensor)
    }

    /// Adds an operator that makes the node's output.
    pub fn push(
        &mut self,
        node: OnnxNode,
        operator: Operator,
        inputs: &[TensorId],
    ) -> Result<TensorId, OnnxError> {
        self.graph
            .push(node.name(), operator, inputs, node.output())
            .map_err(|e| {
                node.refuse(
                    e.to_string(),
                    "The file is damaged or its shapes do not fit; check it with onnx.checker",
                )
            })
    }

    /// Adds an operator that keeps the shape and the order of dimensions.
    pub fn push_alike(&mut self, node: OnnxNode, operator: Operator, input: View) -> Result<View, OnnxError> {
        let tensor = self.push(node, operator, &[input.tensor])?;
        Ok(View {
            tensor,
            layout: input.layout,
        })
    }

    /// The view of a tensor with the order of dimensions that belongs to `rank`: NCHW, NCW or NC.
    pub fn natural(&self, tensor: TensorId, rank: usize) -> View {
        let axes: &[_] = match rank {
            2 => &NC,
            3 => &NCW,
            _ => &NCHW,
        };
        View {
            tensor,
            layout: Layout::of_axes(axes, self.graph.shape(tensor), self.batch),
        }
    }

    /// Brings a view into the order that belongs to its rank, so that the dimension after the batch is channels and
    /// the others are rows and columns; data moves only where it must.
    pub fn arrange(&mut self, node: OnnxNode, view: View) -> Result<View, OnnxError> {
        let rank = view.layout.rank();
        let (axes, sizes) = (self.axes(node, rank)?, view.layout.sizes());
        let natural = self.natural(view.tensor, rank);
        if view.layout == natural.layout {
            return Ok(view);
        }
        if !view.layout.batch_is_first() {
            return Err(node.refuse(
                "the batch is no longer the first dimension",
                "Only networks that treat every image alike and on its own can be quantized",
            ));
        }
        let from = self.shape(&view);
        let to = match rank {
            2 => Shape::vector(sizes[1]),
            3 => Shape::new(1, sizes[2], sizes[1]),
            _ => Shape::new(sizes[2], sizes[3], sizes[1]),
        };
        let (ordered, in_place) = view.layout.towards(axes, from);
        let operator = match in_place {
            true => Operator::Reshape(to),
            false => Operator::Rearrange {
                shape: to,
                map: ordered.places(from),
            },
        };
        let name = format!("{}/arranged", self.graph.tensor(view.tensor).name);
        let quantization = self.graph.tensor(view.tensor).quantization;
        let pushed = self.graph.push(&name, operator, &[view.tensor], &name);
        let tensor = pushed.map_err(|e| node.refuse(e.to_string(), "Export with fixed shapes"))?;
        self.graph.tensors[tensor.0].quantization = quantization;
        Ok(self.natural(tensor, rank))
    }

    fn axes(&self, node: OnnxNode, rank: usize) -> Result<&'static [super::layout::Axis], OnnxError> {
        match rank {
            2 => Ok(&NC),
            3 => Ok(&NCW),
            4 => Ok(&NCHW),
            _ => Err(node.refuse(
                format!("its input has {rank} dimensions besides what a 2-D network has"),
                "Only tensors of 2 to 4 dimensions, the first of them the batch, can be computed with",
            )),
        }
    }

    /// Input `index` as an image in NCHW (or NCW) order.
    pub fn image(&mut self, node: OnnxNode, index: usize) -> Result<View, OnnxError> {
        let view = self.activation(node, index)?;
        match view.layout.rank() {
            3 | 4 => self.arrange(node, view),
            rank => Err(node.refuse(
                format!("its input has {rank} dimensions; an image has 4, a sequence 3"),
                "Volumes (3-D convolutions) are not supported",
            )),
        }
    }

    fn finish(mut self, output: &str) -> Result<Graph, OnnxError> {
        let view = match self.values.get(output) {
            Some(Value::Activation(view)) => view.clone(),
            _ => {
                return Err(OnnxError::Output {
                    output: output.to_string(),
                });
            }
        };
        let shape = self.shape(&view);
        let channels_last =
            view.layout.rank() == 4 && view.layout == Layout::of_axes(&NHWC, shape, self.batch);
        let view = if channels_last || view.layout.rank() < 2 {
            view
        } else {
            let proto = tract_onnx::pb::NodeProto {
                name: output.to_string(),
                op_type: "output".to_string(),
                ..Default::default()
            };
            self.arrange(OnnxNode { proto: &proto }, view)?
        };
        self.graph.output = view.tensor;
        Ok(self.graph)
    }
}

fn unsupported_reason(operator: &str) -> &'static str {
    match operator {
        "If" | "Loop" | "Scan" | "SequenceAt" | "SplitToSequence" => {
            "control flow and sequences have no fixed schedule"
        }
        "LSTM" | "GRU" | "RNN" => "recurrent layers are not supported",
        "ConvTranspose" => "transposed convolutions are not supported",
        "LayerNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "LpNormalization"
        | "LRN"
        | "MeanVarianceNormalization" => "normalization with statistics of the image itself is not supported",
        "QLinearConv" | "QLinearMatMul" | "ConvInteger" | "MatMulInteger" | "DynamicQuantizeLinear" => {
            "the operator-oriented quantized format is not supported"
        }
        _ => "the operator is not supported",
    }
}

fn unsupported_remedy(operator: &str) -> &'static str {
    match operator {
        "If" | "Loop" | "Scan" | "SequenceAt" | "SplitToSequence" => {
            "Export with fixed shapes and constant folding, so that the exporter resolves them"
        }
        "LSTM" | "GRU" | "RNN" => "Use convolutions over time instead",
        "ConvTranspose" => "A nearest-neighbour Resize followed by Conv works",
        "LayerNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "LpNormalization"
        | "LRN"
        | "MeanVarianceNormalization" => {
            "BatchNormalization works: its statistics are fixed and fold into Conv"
        }
        "QLinearConv" | "QLinearMatMul" | "ConvInteger" | "MatMulInteger" | "DynamicQuantizeLinear" => {
            "Export the float model, or a static QDQ model (QuantizeLinear and DequantizeLinear around Conv)"
        }
        _ => "The documentation of sepconv_quantize::onnx lists the operators that work",
    }
}

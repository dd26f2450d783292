//! From the graph of a file to a network.

use super::TfliteError;
use super::file::{File, Tensor as FileTensor, TensorType};
use super::node::{Computation, Node, affine};
use super::{elementwise, linear, movement};
use crate::network::{self, Network, Operation, Tensor, TensorId};
use sepconv::Element;
use sepconv::format::MAX_INPUTS;
use tract_tflite::tflite::BuiltinOperator as Code;

/// A network under construction.
struct Import<'f, 'a> {
    file: &'f File<'a>,
    network: Network,
    /// The network's tensor of each tensor of the file, once it is known.
    tensors: Vec<Option<TensorId>>,
}

/// The network of a file.
pub(super) fn import(file: &File) -> Result<Network, TfliteError> {
    refuse_float(file)?;
    let network = Network::default();
    let mut import = Import {
        file,
        network,
        tensors: vec![None; file.tensors.len()],
    };
    import.input()?;
    for operator in &file.operators {
        import.operator(&Node { file, operator })?;
    }
    import.output()?;
    Ok(import.network)
}

/// Floats may only enter and leave: what quantizes the input and what dequantizes the output are dropped, and the
/// network's input and output are the integers.
fn refuse_float(file: &File) -> Result<(), TfliteError> {
    for operator in &file.operators {
        let is_float = |number: &i32| {
            let tensor = usize::try_from(*number)
                .ok()
                .and_then(|number| file.tensors.get(number));
            tensor.is_some_and(|tensor| tensor.element == TensorType::FLOAT32)
        };
        let (inputs, outputs) = (
            operator.inputs.iter().any(is_float),
            operator.outputs.iter().any(is_float),
        );
        let allowed = match operator.code {
            Code::QUANTIZE => !outputs && (!inputs || operator.inputs == [file.input as i32]),
            Code::DEQUANTIZE => !inputs && operator.outputs == [file.output as i32],
            _ => !inputs && !outputs,
        };
        if !allowed {
            return Err(TfliteError::Float {
                index: operator.index,
                name: operator.name(),
            });
        }
    }
    Ok(())
}

/// Whether an operator computes with 32- or 64-bit integers: the shape of another's output, which the file states as
/// well. What needs the values all the same is refused for reading what is not computed.
pub(super) fn computes_shape(node: &Node) -> bool {
    let is_shape = |tensor: &FileTensor| matches!(tensor.element, TensorType::INT32 | TensorType::INT64);
    node.operator.code != Code::ARG_MAX && node.output().is_ok_and(is_shape)
}

impl Import<'_, '_> {
    /// Makes the network's input. A float input is known only when the operator that quantizes it is.
    fn input(&mut self) -> Result<(), TfliteError> {
        let input = &self.file.tensors[self.file.input];
        match input.element {
            TensorType::FLOAT32 => {}
            TensorType::INT8 | TensorType::UINT8 | TensorType::INT16 => {
                let id = self.quantized_tensor(input)?;
                self.tensors[input.index] = Some(id);
                self.network.input = id;
            }
            other => return Err(input.refuse(format!("an input of type {other:?} is not supported"))),
        }
        Ok(())
    }

    fn output(&mut self) -> Result<(), TfliteError> {
        let output = &self.file.tensors[self.file.output];
        let id = self.tensors[output.index];
        self.network.output = id.ok_or_else(|| output.refuse("the model's output is not computed"))?;
        if self.network.output == self.network.input {
            // Nothing but a change of type that keeps the bytes: the network still has to write its output.
            let input = self.network.tensors[self.network.input].clone();
            let copy = self.network.add_tensor(input);
            self.push(
                "copy",
                vec![self.network.input],
                copy,
                (i8::MIN.into(), i8::MAX.into()),
                Operation::Reshape,
            );
            self.network.output = copy;
        }
        Ok(())
    }

    fn operator(&mut self, node: &Node) -> Result<(), TfliteError> {
        if computes_shape(node) {
            return Ok(());
        }
        let computation = match node.operator.code {
            Code::CONV_2D => linear::convolution(node)?,
            Code::DEPTHWISE_CONV_2D => linear::depthwise(node)?,
            Code::FULLY_CONNECTED => linear::fully_connected(node)?,
            Code::ADD | Code::MUL => elementwise::binary(node)?,
            Code::AVERAGE_POOL_2D | Code::MAX_POOL_2D => movement::pool(node)?,
            Code::MEAN => movement::mean(node)?,
            Code::PAD | Code::PADV2 => movement::pad(node)?,
            Code::CONCATENATION => return self.concatenation(node),
            Code::RESHAPE | Code::SQUEEZE | Code::EXPAND_DIMS => movement::reshape(node)?,
            Code::SOFTMAX => elementwise::softmax(node)?,
            Code::RELU
            | Code::RELU6
            | Code::LEAKY_RELU
            | Code::ELU
            | Code::HARD_SWISH
            | Code::LOGISTIC
            | Code::TANH => elementwise::function(node)?,
            Code::QUANTIZE if node.input(0)?.element == TensorType::FLOAT32 => {
                return self.quantized_input(node);
            }
            Code::QUANTIZE => match elementwise::quantize(node)? {
                Some(computation) => computation,
                None => return self.alias(node),
            },
            Code::DEQUANTIZE => return self.alias(node),
            Code::RESIZE_NEAREST_NEIGHBOR => movement::resize_nearest(node)?,
            Code::TRANSPOSE => movement::transpose(node)?,
            Code::ARG_MAX => movement::arg_max(node)?,
            _ => return Err(node.refuse("this operator is not supported")),
        };
        self.computed(node, computation)
    }

    /// Adds what an operator of the file becomes.
    fn computed(&mut self, node: &Node, computation: Computation) -> Result<(), TfliteError> {
        let Computation {
            operation,
            activation,
            inputs,
        } = computation;
        let inputs = inputs
            .iter()
            .map(|number| self.operand(node, *number))
            .collect::<Result<_, _>>()?;
        let output = node.output()?;
        let tensor = match operation {
            Operation::ArgMax => index_tensor(output, node)?,
            _ => quantized_tensor(output)?,
        };
        let id = self.network.add_tensor(tensor);
        self.tensors[output.index] = Some(id);
        self.push(&output.name, inputs, id, activation, operation);
        Ok(())
    }

    /// Concatenates, as many inputs at a time as an operator of the runtime has.
    fn concatenation(&mut self, node: &Node) -> Result<(), TfliteError> {
        let axis = movement::concatenation(node)?;
        let count = node.operator.inputs.len();
        let mut inputs: Vec<TensorId> = (0..count)
            .map(|number| self.operand(node, number))
            .collect::<Result<_, _>>()?;
        let (output, range) = (node.output()?, node.range()?);
        while inputs.len() > MAX_INPUTS {
            let mut tensor = quantized_tensor(output)?;
            let first: Vec<TensorId> = inputs.drain(..MAX_INPUTS).collect();
            let lengths = first.iter().map(|id| self.network.tensors[*id].shape);
            let joined = lengths.reduce(|a, b| match axis {
                0 => sepconv::Shape {
                    height: a.height + b.height,
                    ..a
                },
                1 => sepconv::Shape {
                    width: a.width + b.width,
                    ..a
                },
                _ => sepconv::Shape {
                    channels: a.channels + b.channels,
                    ..a
                },
            });
            tensor.shape = joined.unwrap_or(tensor.shape);
            let part = self.network.add_tensor(tensor);
            self.push(
                &output.name,
                first,
                part,
                range,
                Operation::Concatenation { axis },
            );
            inputs.insert(0, part);
        }
        let id = self.quantized_tensor(output)?;
        self.tensors[output.index] = Some(id);
        self.push(&output.name, inputs, id, range, Operation::Concatenation { axis });
        Ok(())
    }

    /// The network's tensor of an input of a node.
    fn operand(&self, node: &Node, number: usize) -> Result<TensorId, TfliteError> {
        let tensor = node.input(number)?;
        self.tensors[tensor.index].ok_or_else(|| {
            let what = if tensor.data.is_some() {
                "a constant"
            } else {
                "not computed before it"
            };
            node.refuse(format!("input {number}, {}, is {what}", tensor.name))
        })
    }

    /// The operator's output is its input.
    fn alias(&mut self, node: &Node) -> Result<(), TfliteError> {
        let id = self.operand(node, 0)?;
        self.tensors[node.output()?.index] = Some(id);
        Ok(())
    }

    /// The network's input is what the operator that quantizes the float input gives.
    fn quantized_input(&mut self, node: &Node) -> Result<(), TfliteError> {
        if self.tensors[self.file.input].is_some() {
            return Err(
                node.refuse("the float input is quantized twice: convert the model with an int8 input")
            );
        }
        let output = node.output()?;
        let id = self.quantized_tensor(output)?;
        self.tensors[self.file.input] = Some(id);
        self.tensors[output.index] = Some(id);
        self.network.input = id;
        Ok(())
    }

    fn quantized_tensor(&mut self, tensor: &FileTensor) -> Result<TensorId, TfliteError> {
        let tensor = quantized_tensor(tensor)?;
        Ok(self.network.add_tensor(tensor))
    }

    fn push(
        &mut self,
        name: &str,
        inputs: Vec<TensorId>,
        output: TensorId,
        activation: (i32, i32),
        operation: Operation,
    ) {
        self.network.nodes.push(network::Node {
            name: name.to_string(),
            inputs,
            output,
            activation,
            operation,
        });
    }
}

/// A tensor with the file's shape, type and quantization.
fn quantized_tensor(tensor: &FileTensor) -> Result<Tensor, TfliteError> {
    let element = match tensor.element {
        TensorType::INT8 | TensorType::UINT8 => Element::Int8,
        TensorType::INT16 => Element::Int16,
        other => return Err(tensor.refuse(format!("type {other:?} is not supported"))),
    };
    let affine = affine(tensor)?;
    Ok(Tensor {
        name: tensor.name.clone(),
        shape: tensor.shape()?,
        element,
        scale: affine.scale,
        zero_point: affine.zero_point,
    })
}

/// The output of argmax: an index a pixel.
fn index_tensor(output: &FileTensor, node: &Node) -> Result<Tensor, TfliteError> {
    if !matches!(output.element, TensorType::INT32 | TensorType::INT64) {
        return Err(node.refuse(format!("an output of type {:?} is not supported", output.element)));
    }
    let shape = sepconv::Shape {
        channels: 1,
        ..node.input(0)?.shape()?
    };
    if output.values()? != shape.values() {
        return Err(node.refuse("its output's shape does not fit its input's"));
    }
    Ok(Tensor {
        name: output.name.clone(),
        shape,
        element: Element::Int16,
        scale: 1.0,
        zero_point: 0,
    })
}

//! One node of the graph becomes one or more of the network.

use super::activations::PROBABILITY;
use super::{ConvertError, network_shape};
use super::{activations, weights};
use crate::arithmetic::{self, Quantization};
use crate::calibrate::Range;
use crate::graph::{self, Activation, Clamp, Depthwise, Graph, Node, Operator, Padding, Shape, Weights};
use crate::network::{self, Network, Operation, Tensor, TensorId};
use sepconv::Element;
use sepconv::format::MAX_INPUTS;
use sepconv::operator::Window;
use std::collections::HashMap;

/// Copies of tensors in the other width, made where an operator needs them.
pub(super) type Copies = HashMap<TensorId, TensorId>;

/// Appends what a node computes to the network.
pub(super) fn lower(
    graph: &Graph,
    node: &Node,
    ranges: &[Range],
    copies: &mut Copies,
    network: &mut Network,
) -> Result<(), ConvertError> {
    let swapped;
    let commutes = matches!(node.operator, Operator::Add | Operator::Multiply);
    let node = match node.inputs[..] {
        // The operand that is broadcast, such as the weights of channels that squeeze-and-excitation computes, comes second.
        [a, b] if commutes && graph.shape(a) != graph.shape(node.output) => {
            swapped = Node {
                inputs: vec![b, a],
                ..node.clone()
            };
            &swapped
        }
        _ => node,
    };
    let mut lowering = Lowering {
        graph,
        node,
        inputs: node.inputs.iter().map(|id| id.0).collect(),
    };
    if !lowering.takes_any_width(network) {
        let element = network.tensors[node.output.0].element;
        for number in 0..lowering.inputs.len() {
            let input = lowering.inputs[number];
            if network.tensors[input].element != element {
                lowering.inputs[number] = match copies.get(&input) {
                    Some(copy) => *copy,
                    None => {
                        let copy = lowering.in_other_width(network, input, ranges[input])?;
                        copies.insert(input, copy);
                        copy
                    }
                };
            }
        }
    }
    lowering.run(network)
}

struct Lowering<'g> {
    graph: &'g Graph,
    node: &'g Node,
    inputs: Vec<TensorId>,
}

impl Lowering<'_> {
    /// Whether the operator takes its input as it is, however many bits its output has.
    fn takes_any_width(&self, network: &Network) -> bool {
        let (from, to) = (
            &network.tensors[self.inputs[0]],
            &network.tensors[self.node.output.0],
        );
        match &self.node.operator {
            // A clamp is a requantization.
            Operator::Clamp | Operator::Identity | Operator::Softmax { .. } => true,
            // A shift to the left could overflow: steps of the output that are finer than those of the sum.
            operator if (from.element, to.element) == (Element::Int8, Element::Int16) => {
                operator.weights().is_some_and(|weights| {
                    let scales = weights::scales(operator, weights, to.shape.channels as usize, from.scale);
                    scales.iter().all(|scale| from.scale * scale <= to.scale)
                })
            }
            _ => false,
        }
    }

    /// A copy of a tensor: of an int8 one in 16 bits, exactly, or of an int16 one in 8 bits over a range.
    fn in_other_width(
        &self,
        network: &mut Network,
        source: TensorId,
        range: Range,
    ) -> Result<TensorId, ConvertError> {
        let tensor = &network.tensors[source];
        let (element, to) = match tensor.element {
            // Differences from the zero point have nine bits with their sign; seven more are free.
            Element::Int8 => (
                Element::Int16,
                Quantization {
                    scale: tensor.scale / 128.0,
                    zero_point: 0,
                },
            ),
            Element::Int16 => {
                let graph::Quantization { scale, zero_point } = activations::asymmetric(range);
                (Element::Int8, Quantization { scale, zero_point })
            }
        };
        self.requantize(network, source, element, to)
    }

    fn run(&self, network: &mut Network) -> Result<(), ConvertError> {
        let (input_shape, output_shape) = (self.shape(0), self.graph.shape(self.node.output));
        let (from, to) = (
            quantization(network, self.inputs[0]),
            quantization(network, self.node.output.0),
        );
        let operator = &self.node.operator;
        let wide = network.tensors[self.inputs[0]].element == Element::Int16;
        let linear = |operator: &Operator, channels, window| {
            weights::linear(
                &self.node.name,
                operator,
                channels,
                window,
                [from.scale, to.scale],
                wide,
            )
        };
        let operation = match operator {
            Operator::Convolution(c) if c.window.is_pointwise() => {
                Operation::Pointwise(linear(operator, c.out_channels, Window::UNIT)?)
            }
            Operator::Convolution(c) => {
                Operation::Convolution(linear(operator, c.out_channels, window(&c.window))?)
            }
            Operator::Depthwise(d) => {
                Operation::Depthwise(linear(operator, d.channels * d.multiplier, window(&d.window))?)
            }
            Operator::FullyConnected(f) => {
                Operation::FullyConnected(linear(operator, f.outputs, Window::UNIT)?)
            }
            Operator::Affine(affine) => {
                // A factor and a summand for each channel: a depthwise convolution of one tap.
                let depthwise = Operator::Depthwise(Depthwise {
                    window: crate::graph::Window::new(1, 1),
                    channels: affine.scale.len(),
                    multiplier: 1,
                    weights: Weights::new(affine.scale.clone(), affine.offset.clone()),
                });
                Operation::Depthwise(linear(&depthwise, affine.scale.len(), Window::UNIT)?)
            }
            Operator::Add => {
                let other = quantization(network, self.second()?);
                arithmetic::add(from.scale, other.scale, to.scale, wide)
                    .ok_or_else(|| self.scale_error(from.scale, to.scale))?
            }
            Operator::Multiply => {
                let other = quantization(network, self.second()?);
                let ratio = from.scale as f64 * other.scale as f64 / to.scale as f64;
                Operation::Mul {
                    output: self.multiplier(ratio)?,
                    constant: None,
                }
            }
            Operator::Clamp | Operator::Identity => {
                Operation::Requantize(self.multiplier(from.scale as f64 / to.scale as f64)?)
            }
            Operator::Activation(activation) => lookup(activation, from, to, self.node.clamp),
            Operator::MaxPool(pool) => Operation::MaxPool(window(pool)),
            Operator::GlobalMaxPool => Operation::MaxPool(whole(input_shape)),
            Operator::AveragePool {
                window: pool,
                count_padding,
            } => {
                if *count_padding && !pool.padding.is_none() {
                    return self.padded_average(network, pool);
                }
                Operation::AveragePool(window(pool))
            }
            Operator::GlobalAveragePool => {
                let ratio = arithmetic::mean_multiplier(from.scale, to.scale, input_shape.pixels());
                Operation::Mean(ratio.ok_or_else(|| self.scale_error(from.scale, to.scale))?)
            }
            Operator::Pad { padding, value } => pad(padding, to.quantize(*value)),
            Operator::Concat => Operation::Concatenation { axis: 2 },
            Operator::Reshape(_) => Operation::Reshape,
            Operator::Rearrange { map, .. } => {
                Operation::Transpose(permutation(input_shape, output_shape, map).ok_or_else(|| {
                    self.refuse("moves values in a way that is no transposition; remove it from the model")
                })?)
            }
            Operator::Softmax { beta } => arithmetic::softmax(*beta, from.scale)
                .ok_or_else(|| self.refuse("the input's scale is out of range"))?,
            Operator::ResizeNearest(resize) => Operation::ResizeNearest {
                rows: (0..output_shape.height)
                    .map(|y| (y / resize.height) as u16)
                    .collect(),
                columns: (0..output_shape.width)
                    .map(|x| (x / resize.width) as u16)
                    .collect(),
            },
            Operator::ArgMax => Operation::ArgMax,
            Operator::PRelu(_) => {
                return Err(self.refuse("a slope for each channel has no integer form here; use LeakyRelu"));
            }
        };
        self.finish(network, operation)
    }

    /// Appends the operation. One that passes its input's quantization on, where the source demands another for its
    /// output, is followed by a requantization.
    fn finish(&self, network: &mut Network, operation: Operation) -> Result<(), ConvertError> {
        let inputs = if matches!(operation, Operation::Add { .. } | Operation::Mul { .. }) {
            vec![self.inputs[0], self.second()?]
        } else {
            self.inputs.clone()
        };
        let output = self.node.output.0;
        if matches!(operation, Operation::ArgMax) {
            network.tensors[output].element = Element::Int16;
            (network.tensors[output].scale, network.tensors[output].zero_point) = (1.0, 0);
        }
        let moves = matches!(
            operation,
            Operation::MaxPool(_)
                | Operation::AveragePool(_)
                | Operation::Pad { .. }
                | Operation::Concatenation { .. }
                | Operation::Reshape
                | Operation::Transpose(_)
                | Operation::ResizeNearest { .. }
        );
        let mut sources = inputs;
        if moves {
            for source in &mut sources {
                *source = self.requantized(network, *source, output)?;
            }
        }
        if let Operation::Concatenation { axis } = operation {
            sources = self.joined(network, sources, axis);
        }
        let activation = activation(network, output, self.node.clamp);
        let demanded = quantization(network, output);
        let fixed = Quantization {
            scale: PROBABILITY.scale,
            zero_point: PROBABILITY.zero_point,
        };
        if matches!(operation, Operation::Softmax { .. }) && demanded != fixed {
            // Softmax has one output quantization only; the source wants another.
            let name = format!("{} of 256 steps", self.node.name);
            let probabilities = network.add_tensor(Tensor {
                name: name.clone(),
                scale: fixed.scale,
                zero_point: fixed.zero_point,
                ..network.tensors[output].clone()
            });
            network.nodes.push(network::Node {
                name,
                inputs: sources,
                output: probabilities,
                activation: (-128, 127),
                operation,
            });
            network.nodes.push(network::Node {
                name: self.node.name.clone(),
                inputs: vec![probabilities],
                output,
                activation,
                operation: Operation::Requantize(
                    self.multiplier(fixed.scale as f64 / demanded.scale as f64)?,
                ),
            });
            return Ok(());
        }
        network.nodes.push(network::Node {
            name: self.node.name.clone(),
            inputs: sources,
            output,
            activation,
            operation,
        });
        Ok(())
    }

    /// The inputs of a concatenation of channels, joined until there are as many as an operator of the runtime has.
    fn joined(&self, network: &mut Network, mut sources: Vec<TensorId>, axis: u8) -> Vec<TensorId> {
        while sources.len() > MAX_INPUTS {
            let first: Vec<TensorId> = sources.drain(..MAX_INPUTS).collect();
            let mut tensor = network.tensors[first[0]].clone();
            tensor.name = format!("{} of {} inputs", self.node.name, first.len());
            tensor.shape.channels = first
                .iter()
                .map(|source| network.tensors[*source].shape.channels)
                .sum();
            let name = tensor.name.clone();
            let part = network.add_tensor(tensor);
            network.nodes.push(network::Node {
                name,
                inputs: first,
                output: part,
                activation: (-128, 127),
                operation: Operation::Concatenation { axis },
            });
            sources.insert(0, part);
        }
        sources
    }

    /// A tensor in the quantization of another: itself, or the result of a requantization that this appends.
    fn requantized(
        &self,
        network: &mut Network,
        source: TensorId,
        like: TensorId,
    ) -> Result<TensorId, ConvertError> {
        let (from, to) = (quantization(network, source), quantization(network, like));
        if from == to {
            return Ok(source);
        }
        let element = network.tensors[like].element;
        self.requantize(network, source, element, to)
    }

    fn requantize(
        &self,
        network: &mut Network,
        source: TensorId,
        element: Element,
        to: Quantization,
    ) -> Result<TensorId, ConvertError> {
        let from = quantization(network, source);
        let multiplier = self.multiplier(from.scale as f64 / to.scale as f64)?;
        let name = format!("{} requantized", network.tensors[source].name);
        let tensor = Tensor {
            name: name.clone(),
            element,
            scale: to.scale,
            zero_point: to.zero_point,
            ..network.tensors[source].clone()
        };
        let output = network.add_tensor(tensor);
        network.nodes.push(network::Node {
            name,
            inputs: vec![source],
            output,
            activation: limits(element),
            operation: Operation::Requantize(multiplier),
        });
        Ok(output)
    }

    /// Average pooling that counts padding: zeros are padded in, then all of each window counts.
    fn padded_average(&self, network: &mut Network, pool: &crate::graph::Window) -> Result<(), ConvertError> {
        let input = self.requantized(network, self.inputs[0], self.node.output.0)?;
        let (padding, from) = (pool.padding, quantization(network, input));
        let shape = self.shape(0);
        let padded = Shape::new(
            shape.height + padding.top + padding.bottom,
            shape.width + padding.left + padding.right,
            shape.channels,
        );
        let name = format!("{} padded", self.node.name);
        let tensor = Tensor {
            name: name.clone(),
            shape: network_shape(padded),
            ..network.tensors[input].clone()
        };
        let output = network.add_tensor(tensor);
        let operation = pad(&padding, from.zero_point);
        network.nodes.push(network::Node {
            name,
            inputs: vec![input],
            output,
            activation: (-128, 127),
            operation,
        });
        let window = window(&pool.padding(Padding::default()));
        let activation = activation(network, self.node.output.0, self.node.clamp);
        network.nodes.push(network::Node {
            name: self.node.name.clone(),
            inputs: vec![output],
            output: self.node.output.0,
            activation,
            operation: Operation::AveragePool(window),
        });
        Ok(())
    }

    fn shape(&self, input: usize) -> Shape {
        self.graph.shape(self.node.inputs[input])
    }

    /// The second operand of a sum or product, which has the output's shape or is a vector over channels.
    fn second(&self) -> Result<TensorId, ConvertError> {
        let (a, b) = (self.shape(0), self.shape(1));
        let fits = a == self.graph.shape(self.node.output)
            && (a == b || b.pixels() == 1 && (b.channels == a.channels || b.channels == 1));
        if fits {
            Ok(self.inputs[1])
        } else {
            Err(self.refuse("only a vector over channels can be broadcast, as the second operand"))
        }
    }

    fn multiplier(&self, ratio: f64) -> Result<sepconv::fixed_point::Multiplier, ConvertError> {
        arithmetic::multiplier(ratio).ok_or_else(|| ConvertError::Scale {
            node: self.node.name.clone(),
            ratio,
        })
    }

    fn scale_error(&self, from: f32, to: f32) -> ConvertError {
        ConvertError::Scale {
            node: self.node.name.clone(),
            ratio: from as f64 / to as f64,
        }
    }

    fn refuse(&self, reason: &str) -> ConvertError {
        ConvertError::Unsupported {
            node: self.node.name.clone(),
            operator: self.node.operator.name(),
            reason: reason.into(),
        }
    }
}

fn quantization(network: &Network, tensor: TensorId) -> Quantization {
    let tensor = &network.tensors[tensor];
    Quantization {
        scale: tensor.scale,
        zero_point: tensor.zero_point,
    }
}

/// The quantized form of a clamp.
fn activation(network: &Network, output: TensorId, clamp: Clamp) -> (i32, i32) {
    let (least, greatest) = limits(network.tensors[output].element);
    let to = quantization(network, output);
    let bound = |real: f32, unbounded: i32| {
        if real.is_finite() {
            let steps = (real / to.scale).round() as i32;
            to.zero_point.saturating_add(steps).clamp(least, greatest)
        } else {
            unbounded
        }
    };
    (bound(clamp.min, least), bound(clamp.max, greatest))
}

/// The least and greatest values of a type.
fn limits(element: Element) -> (i32, i32) {
    match element {
        Element::Int8 => (-128, 127),
        Element::Int16 => (-32768, 32767),
    }
}

fn window(window: &crate::graph::Window) -> Window {
    Window {
        kernel_height: window.kernel.0,
        kernel_width: window.kernel.1,
        stride_height: window.stride.0,
        stride_width: window.stride.1,
        dilation_height: window.dilation.0,
        dilation_width: window.dilation.1,
        pad_top: window.padding.top,
        pad_left: window.padding.left,
    }
}

/// A window as large as the input.
fn whole(shape: Shape) -> Window {
    Window {
        kernel_height: shape.height,
        kernel_width: shape.width,
        ..Window::UNIT
    }
}

fn pad(padding: &Padding, value: i32) -> Operation {
    Operation::Pad {
        top: padding.top as u32,
        left: padding.left as u32,
        front: 0,
        value,
    }
}

/// The table of a function, its clamp included.
fn lookup(function: &Activation, from: Quantization, to: Quantization, clamp: Clamp) -> Operation {
    let entry = |index: usize| to.quantize(clamp.apply(function.apply(from.real(index as i32 - 128)))) as i8;
    Operation::Lookup(Box::new(std::array::from_fn(entry)))
}

/// The order of axes that a movement of values amounts to, if it is a transposition.
fn permutation(from: Shape, to: Shape, map: &[u32]) -> Option<[u8; 3]> {
    const ORDERS: [[u8; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let extents = [from.height, from.width, from.channels];
    let strides = [from.width * from.channels, from.channels, 1];
    let is = |order: &[u8; 3]| {
        let axes = order.map(|axis| axis as usize);
        if axes.map(|axis| extents[axis]) != [to.height, to.width, to.channels] {
            return false;
        }
        let source =
            |y: usize, x: usize, c: usize| y * strides[axes[0]] + x * strides[axes[1]] + c * strides[axes[2]];
        let positions = (0..to.height)
            .flat_map(|y| (0..to.width).flat_map(move |x| (0..to.channels).map(move |c| (y, x, c))));
        positions
            .zip(map)
            .all(|((y, x, c), index)| source(y, x, c) == *index as usize)
    };
    ORDERS.into_iter().find(is)
}

//! From the graph of a float file to a float graph, to be calibrated and quantized.

use super::TfliteError;
use super::file::{File, Tensor, TensorType};
use super::import::computes_shape;
use super::movement;
use super::node::Node;
use crate::graph::{
    Activation, Affine, Clamp, Convolution, Depthwise, FullyConnected, Graph, Operator, Padding, Resize,
    Shape, TensorId, Weights, Window,
};
use tract_tflite::tflite::{ActivationFunctionType, BuiltinOperator as Code};

/// A graph under construction.
struct Import {
    graph: Graph,
    /// The graph's tensor of each tensor of the file, once it is known.
    tensors: Vec<Option<TensorId>>,
    /// Values of constants that an operator of the file converts to float.
    converted: Vec<Option<Vec<f32>>>,
}

/// What an operator of the file becomes.
struct Computation {
    operator: Operator,
    clamp: Clamp,
    /// Which of the operator's inputs are its tensors.
    inputs: Vec<usize>,
}

/// The float graph of a file. `name` is what reports call it.
pub(super) fn import(file: &File, name: &str) -> Result<Graph, TfliteError> {
    let input = &file.tensors[file.input];
    if input.element != TensorType::FLOAT32 {
        return Err(input.refuse("the input of a float model must be float32"));
    }
    let count = file.tensors.len();
    let graph = Graph::new(name, input.name.clone(), shape(input)?);
    let mut import = Import {
        graph,
        tensors: vec![None; count],
        converted: vec![None; count],
    };
    import.tensors[file.input] = Some(import.graph.input);
    for operator in &file.operators {
        import.operator(&Node { file, operator })?;
    }
    let output = &file.tensors[file.output];
    let computed =
        import.tensors[file.output].ok_or_else(|| output.refuse("the model's output is not computed"))?;
    import.graph.output = computed;
    Ok(import.graph)
}

fn shape(tensor: &Tensor) -> Result<Shape, TfliteError> {
    let shape = tensor.shape()?;
    Ok(Shape::new(
        shape.height as usize,
        shape.width as usize,
        shape.channels as usize,
    ))
}

impl Import {
    fn operator(&mut self, node: &Node) -> Result<(), TfliteError> {
        if computes_shape(node) {
            return Ok(());
        }
        let computation = match node.operator.code {
            Code::DEQUANTIZE => return self.convert(node),
            Code::CONV_2D => self.convolution(node)?,
            Code::DEPTHWISE_CONV_2D => self.depthwise(node)?,
            Code::FULLY_CONNECTED => self.fully_connected(node)?,
            Code::ADD | Code::MUL => self.binary(node)?,
            Code::AVERAGE_POOL_2D | Code::MAX_POOL_2D => pool(node)?,
            Code::MEAN => {
                movement::expect_mean_over_image(node)?;
                plain(Operator::GlobalAveragePool)
            }
            Code::PAD | Code::PADV2 => self.pad(node)?,
            Code::CONCATENATION => concatenation(node)?,
            Code::RESHAPE | Code::SQUEEZE | Code::EXPAND_DIMS => {
                plain(Operator::Reshape(shape(node.output()?)?))
            }
            Code::SOFTMAX => {
                let options = node.options(node.operator.options.builtin_options_as_softmax_options())?;
                plain(Operator::Softmax { beta: options.beta() })
            }
            Code::RELU => clamped(Clamp::RELU),
            Code::RELU6 => clamped(Clamp::RELU6),
            Code::RELU_N1_TO_1 => clamped(Clamp { min: -1.0, max: 1.0 }),
            Code::LEAKY_RELU => {
                let options = node.options(node.operator.options.builtin_options_as_leaky_relu_options())?;
                plain(Operator::Activation(Activation::LeakyRelu {
                    alpha: options.alpha(),
                }))
            }
            Code::ELU => plain(Operator::Activation(Activation::Elu { alpha: 1.0 })),
            Code::HARD_SWISH => plain(Operator::Activation(Activation::HardSwish)),
            Code::LOGISTIC => plain(Operator::Activation(Activation::Sigmoid)),
            Code::TANH => plain(Operator::Activation(Activation::Tanh)),
            Code::RESIZE_NEAREST_NEIGHBOR => resize_nearest(node)?,
            Code::TRANSPOSE => transpose(node)?,
            _ => return Err(node.refuse("this operator is not supported in float models")),
        };
        self.computed(node, computation)
    }

    /// Adds what an operator of the file becomes.
    fn computed(&mut self, node: &Node, computation: Computation) -> Result<(), TfliteError> {
        let output = node.output()?;
        let inputs = computation.inputs.iter().map(|number| {
            let tensor = node.input(*number)?;
            let id = self.tensors[tensor.index];
            id.ok_or_else(|| {
                node.refuse(format!(
                    "input {number}, {}, is not computed before it",
                    tensor.name
                ))
            })
        });
        let inputs: Vec<TensorId> = inputs.collect::<Result<_, _>>()?;
        let id = self.graph.push(
            output.name.clone(),
            computation.operator,
            &inputs,
            output.name.clone(),
        );
        let id = id.map_err(|error| node.refuse(error.to_string()))?;
        if self.graph.shape(id) != shape(output)? {
            return Err(node.refuse(format!(
                "its output would be of shape {}, not {}",
                self.graph.shape(id),
                shape(output)?
            )));
        }
        if let Some(made) = self.graph.nodes.last_mut() {
            made.clamp = computation.clamp;
        }
        self.tensors[output.index] = Some(id);
        Ok(())
    }

    /// Values of a constant that is stored as float16 or int8, to float.
    fn convert(&mut self, node: &Node) -> Result<(), TfliteError> {
        let floats = floats(node.input(0)?)?;
        self.converted[node.output()?.index] = Some(floats);
        Ok(())
    }

    /// The values of a constant.
    fn floats(&self, tensor: &Tensor) -> Result<Vec<f32>, TfliteError> {
        match &self.converted[tensor.index] {
            Some(converted) => Ok(converted.clone()),
            None => floats(tensor),
        }
    }

    fn is_constant(&self, tensor: &Tensor) -> bool {
        tensor.data.is_some() || self.converted[tensor.index].is_some()
    }

    fn weights(&self, node: &Node, channels: u32) -> Result<Weights, TfliteError> {
        let bias = node
            .optional_input(2)
            .map(|bias| self.floats(bias))
            .transpose()?
            .unwrap_or_default();
        if !bias.is_empty() && bias.len() != channels as usize {
            return Err(node.refuse(format!("{} biases for {channels} channels", bias.len())));
        }
        Ok(Weights::new(self.floats(node.input(1)?)?, bias))
    }

    fn convolution(&self, node: &Node) -> Result<Computation, TfliteError> {
        let options = node.options(node.operator.options.builtin_options_as_conv_2_doptions())?;
        let [channels, height, width, depth] = node.input(1)?.sizes()?[..] else {
            return Err(node.refuse("weights of other than four dimensions"));
        };
        let window = window(
            node,
            [height as usize, width as usize],
            [options.stride_h(), options.stride_w()],
            [options.dilation_h_factor(), options.dilation_w_factor()],
            options.padding(),
        )?;
        let operator = Operator::Convolution(Convolution {
            window,
            in_channels: depth as usize,
            out_channels: channels as usize,
            weights: self.weights(node, channels)?,
        });
        Ok(Computation {
            operator,
            clamp: clamp(node, options.fused_activation_function())?,
            inputs: vec![0],
        })
    }

    fn depthwise(&self, node: &Node) -> Result<Computation, TfliteError> {
        let options = node.options(
            node.operator
                .options
                .builtin_options_as_depthwise_conv_2_doptions(),
        )?;
        let [1, height, width, channels] = node.input(1)?.sizes()?[..] else {
            return Err(node.refuse("weights of another shape than [1, height, width, channels]"));
        };
        let input = node.input(0)?.shape()?.channels;
        if !channels.is_multiple_of(input) {
            return Err(node.refuse(format!(
                "{channels} output channels are no multiple of {input} input channels"
            )));
        }
        let window = window(
            node,
            [height as usize, width as usize],
            [options.stride_h(), options.stride_w()],
            [options.dilation_h_factor(), options.dilation_w_factor()],
            options.padding(),
        )?;
        let operator = Operator::Depthwise(Depthwise {
            window,
            channels: input as usize,
            multiplier: (channels / input) as usize,
            weights: self.weights(node, channels)?,
        });
        Ok(Computation {
            operator,
            clamp: clamp(node, options.fused_activation_function())?,
            inputs: vec![0],
        })
    }

    /// A fully connected layer; a pointwise convolution where it keeps more than one pixel.
    fn fully_connected(&self, node: &Node) -> Result<Computation, TfliteError> {
        let options = node.options(node.operator.options.builtin_options_as_fully_connected_options())?;
        let [channels, depth] = node.input(1)?.sizes()?[..] else {
            return Err(node.refuse("weights of other than two dimensions"));
        };
        let (inputs, outputs) = (depth as usize, channels as usize);
        let weights = self.weights(node, channels)?;
        let operator = if node.output()?.shape()?.pixels() == 1 {
            Operator::FullyConnected(FullyConnected {
                inputs,
                outputs,
                weights,
            })
        } else {
            let window = Window::new(1, 1);
            Operator::Convolution(Convolution {
                window,
                in_channels: inputs,
                out_channels: outputs,
                weights,
            })
        };
        Ok(Computation {
            operator,
            clamp: clamp(node, options.fused_activation_function())?,
            inputs: vec![0],
        })
    }

    /// A sum or a product; with a constant, a factor and a summand for each channel.
    fn binary(&self, node: &Node) -> Result<Computation, TfliteError> {
        let options = &node.operator.options;
        let add = node.operator.code == Code::ADD;
        let function = if add {
            node.options(options.builtin_options_as_add_options())?
                .fused_activation_function()
        } else {
            node.options(options.builtin_options_as_mul_options())?
                .fused_activation_function()
        };
        let clamp = clamp(node, function)?;
        let Some(constant) =
            (0..2).find(|number| node.input(*number).is_ok_and(|input| self.is_constant(input)))
        else {
            let operator = if add { Operator::Add } else { Operator::Multiply };
            return Ok(Computation {
                operator,
                clamp,
                inputs: vec![0, 1],
            });
        };
        let channels = node.output()?.shape()?.channels as usize;
        let values = match self.floats(node.input(constant)?)? {
            values if values.len() == channels => values,
            values if values.len() == 1 => vec![values[0]; channels],
            values => {
                return Err(node.refuse(format!(
                    "a constant of {} values: only channels or one",
                    values.len()
                )));
            }
        };
        let affine = if add {
            Affine {
                scale: vec![1.0; channels],
                offset: values,
            }
        } else {
            Affine {
                scale: values,
                offset: vec![0.0; channels],
            }
        };
        Ok(Computation {
            operator: Operator::Affine(affine),
            clamp,
            inputs: vec![1 - constant],
        })
    }

    fn pad(&self, node: &Node) -> Result<Computation, TfliteError> {
        let [[top, bottom], [left, right], channels] =
            movement::padding(node)?.map(|pair| pair.map(|n| n as usize));
        if channels != [0, 0] {
            return Err(node.refuse("padding of channels is not supported in float models"));
        }
        let value = match node
            .optional_input(2)
            .map(|value| self.floats(value))
            .transpose()?
            .as_deref()
        {
            None => 0.0,
            Some([value]) => *value,
            Some(_) => return Err(node.refuse("its value is not one number")),
        };
        let padding = Padding {
            top,
            bottom,
            left,
            right,
        };
        Ok(plain(Operator::Pad { padding, value }))
    }
}

/// The values of a constant that is stored in float32, float16 or int8.
fn floats(tensor: &Tensor) -> Result<Vec<f32>, TfliteError> {
    let count = tensor.values()?;
    match tensor.element {
        TensorType::FLOAT16 => {
            let bytes = tensor.constant(TensorType::FLOAT16, count * 2)?;
            let halves = bytes.as_chunks().0.iter();
            Ok(halves
                .map(|raw| half::f16::from_le_bytes(*raw).to_f32())
                .collect())
        }
        TensorType::INT8 => {
            let bytes = tensor.constant(TensorType::INT8, count)?;
            let (scales, per_scale) = tensor.weight_scales()?;
            let zero_points = &tensor.zero_points;
            let real = |(index, byte): (usize, &u8)| {
                let channel = index / per_scale % scales.len();
                let zero_point = zero_points.get(channel).copied().unwrap_or(0);
                scales[channel] * (i64::from(*byte as i8) - zero_point) as f32
            };
            Ok(bytes.iter().enumerate().map(real).collect())
        }
        _ => {
            let bytes = tensor.constant(TensorType::FLOAT32, count * 4)?;
            let words = bytes.as_chunks().0.iter();
            Ok(words.map(|raw| f32::from_le_bytes(*raw)).collect())
        }
    }
}

/// An operator of input 0 without a clamp.
fn plain(operator: Operator) -> Computation {
    Computation {
        operator,
        clamp: Clamp::NONE,
        inputs: vec![0],
    }
}

/// A clamp that stands alone.
fn clamped(clamp: Clamp) -> Computation {
    Computation {
        operator: Operator::Clamp,
        clamp,
        inputs: vec![0],
    }
}

fn clamp(node: &Node, function: ActivationFunctionType) -> Result<Clamp, TfliteError> {
    match function {
        ActivationFunctionType::NONE => Ok(Clamp::NONE),
        ActivationFunctionType::RELU => Ok(Clamp::RELU),
        ActivationFunctionType::RELU6 => Ok(Clamp::RELU6),
        ActivationFunctionType::RELU_N1_TO_1 => Ok(Clamp { min: -1.0, max: 1.0 }),
        other => Err(node.refuse(format!("fused activation function {other:?} is not supported"))),
    }
}

fn window(
    node: &Node,
    kernel: [usize; 2],
    stride: [i32; 2],
    dilation: [i32; 2],
    padding: tract_tflite::tflite::Padding,
) -> Result<Window, TfliteError> {
    let window = node.window(kernel, stride, dilation, padding)?;
    let (input, output) = (node.input(0)?.shape()?, node.output()?.shape()?);
    let after = |size: u32, made: u32, kernel: usize, stride: usize, dilation: usize, before: usize| {
        let reach = (made as usize - 1) * stride + (kernel - 1) * dilation + 1;
        reach.saturating_sub(size as usize + before)
    };
    let (height, width) = (window.kernel_height, window.kernel_width);
    Ok(Window {
        kernel: (height, width),
        stride: (window.stride_height, window.stride_width),
        dilation: (window.dilation_height, window.dilation_width),
        padding: Padding {
            top: window.pad_top,
            bottom: after(
                input.height,
                output.height,
                height,
                window.stride_height,
                window.dilation_height,
                window.pad_top,
            ),
            left: window.pad_left,
            right: after(
                input.width,
                output.width,
                width,
                window.stride_width,
                window.dilation_width,
                window.pad_left,
            ),
        },
    })
}

fn pool(node: &Node) -> Result<Computation, TfliteError> {
    let options = node.options(node.operator.options.builtin_options_as_pool_2_doptions())?;
    let kernel = [options.filter_height(), options.filter_width()].map(|n| usize::try_from(n).unwrap_or(0));
    let window = window(
        node,
        kernel,
        [options.stride_h(), options.stride_w()],
        [1, 1],
        options.padding(),
    )?;
    let operator = match node.operator.code {
        Code::MAX_POOL_2D => Operator::MaxPool(window),
        _ => Operator::AveragePool {
            window,
            count_padding: false,
        },
    };
    Ok(Computation {
        operator,
        clamp: clamp(node, options.fused_activation_function())?,
        inputs: vec![0],
    })
}

fn concatenation(node: &Node) -> Result<Computation, TfliteError> {
    let options = node.options(node.operator.options.builtin_options_as_concatenation_options())?;
    if node.output()?.axis_of_shape(options.axis()) != Some(2) {
        return Err(node.refuse("only concatenation of channels is supported in float models"));
    }
    let inputs = (0..node.operator.inputs.len()).collect();
    let clamp = clamp(node, options.fused_activation_function())?;
    Ok(Computation {
        operator: Operator::Concat,
        clamp,
        inputs,
    })
}

fn resize_nearest(node: &Node) -> Result<Computation, TfliteError> {
    let options = node.options(
        node.operator
            .options
            .builtin_options_as_resize_nearest_neighbor_options(),
    )?;
    let (from, to) = (shape(node.input(0)?)?, shape(node.output()?)?);
    let whole = to.height.is_multiple_of(from.height) && to.width.is_multiple_of(from.width);
    if !whole || options.align_corners() {
        return Err(node.refuse(
            "only enlargement by whole factors without aligned corners is supported in float models",
        ));
    }
    let (height, width) = (to.height / from.height, to.width / from.width);
    Ok(plain(Operator::ResizeNearest(Resize { height, width })))
}

fn transpose(node: &Node) -> Result<Computation, TfliteError> {
    let [a, b, c] = movement::permutation(node)?.map(usize::from);
    let (from, to) = (shape(node.input(0)?)?, shape(node.output()?)?);
    // The step in the input, in elements, that a step along each output axis takes.
    let steps = [from.width * from.channels, from.channels, 1];
    let (down, right, deep) = (steps[a], steps[b], steps[c]);
    let mut map = Vec::with_capacity(to.elements());
    for y in 0..to.height {
        for x in 0..to.width {
            map.extend((0..to.channels).map(|channel| (y * down + x * right + channel * deep) as u32));
        }
    }
    Ok(plain(Operator::Rearrange { shape: to, map }))
}

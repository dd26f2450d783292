//! The network's operators in ONNX, between real values.

use super::model::{Model, floats, int, integers, ints};
use super::{QdqError, nchw, reshape};
use crate::inference;
use crate::network::{Constant, Linear, Network, Node, Operation, Tensor};
use sepconv::operator::Window;
use sepconv::{Element, Shape};
use tract_onnx::pb::AttributeProto;
use tract_onnx::pb::tensor_proto::DataType;

/// Writes what a node computes and returns the name of its real result, clamped but not yet quantized.
pub(super) fn write(
    model: &mut Model,
    network: &Network,
    node: &Node,
    names: &[String],
) -> Result<String, QdqError> {
    let writer = Writer {
        node,
        from: &network.tensors[node.inputs[0]],
        to: &network.tensors[node.output],
        inputs: node.inputs.iter().map(|id| names[*id].as_str()).collect(),
    };
    let result = writer.operator(model)?;
    Ok(writer.clamped(model, result))
}

struct Writer<'a> {
    node: &'a Node,
    from: &'a Tensor,
    to: &'a Tensor,
    inputs: Vec<&'a str>,
}

impl Writer<'_> {
    fn operator(&self, model: &mut Model) -> Result<String, QdqError> {
        let (x, from, to) = (self.inputs[0], self.from.shape, self.to.shape);
        Ok(match &self.node.operation {
            Operation::Convolution(linear) => {
                let [height, width] = kernel(&linear.window);
                self.convolution(model, linear, [height, width, from.channels as usize], 1)
            }
            Operation::Pointwise(linear) => {
                self.convolution(model, linear, [1, 1, from.channels as usize], 1)
            }
            Operation::FullyConnected(linear) => {
                // A window as large as the image, whose only position is the result.
                let [height, width, channels] = [from.height, from.width, from.channels].map(|n| n as usize);
                let window = Window {
                    kernel_height: height,
                    kernel_width: width,
                    ..Window::UNIT
                };
                let linear = Linear {
                    window,
                    ..linear.clone()
                };
                self.convolution(model, &linear, [height, width, channels], 1)
            }
            Operation::Depthwise(linear) => {
                let [height, width] = kernel(&linear.window);
                self.convolution(model, linear, [height, width, 1], from.channels as usize)
            }
            Operation::Add { a, b, constant, .. } => {
                // The operands' multipliers have the ratio of their scales.
                let scale = self.from.scale as f64 * b.to_real() / a.to_real();
                let other = self.second(model, constant, scale as f32);
                model.step("Add", &[x, &other], vec![])
            }
            Operation::Mul { output, constant } => {
                let scale = output.to_real() * self.to.scale as f64 / self.from.scale as f64;
                let other = self.second(model, constant, scale as f32);
                model.step("Mul", &[x, &other], vec![])
            }
            Operation::AveragePool(pool) => {
                let attributes = self.window(pool);
                model.step("AveragePool", &[x], attributes)
            }
            Operation::MaxPool(pool) => {
                let attributes = self.window(pool);
                model.step("MaxPool", &[x], attributes)
            }
            Operation::Mean(_) => model.step("GlobalAveragePool", &[x], vec![]),
            Operation::Pad {
                top,
                left,
                front,
                value,
            } => {
                let before = [0, *front, *top, *left].map(i64::from);
                let (inner, outer) = (nchw(from), nchw(to));
                let after = (0..4).map(|axis| outer[axis] - inner[axis] - before[axis]);
                let pads = model.constant(integers(DataType::Int64, &[8], before.into_iter().chain(after)));
                let value = model.constant(floats(&[], [self.real(*value)]));
                model.step("Pad", &[x, &pads, &value], vec![])
            }
            Operation::Concatenation { axis } => {
                let axis = onnx_axis(*axis) as i64;
                model.step("Concat", &self.inputs, vec![int("axis", axis)])
            }
            Operation::Reshape => self.reshape(model),
            Operation::Softmax { multiplier, .. } => {
                let beta = multiplier.to_real() / (self.from.scale as f64 * f64::from(1 << 26));
                let mut x = x.to_string();
                if (beta - 1.0).abs() > 1e-6 {
                    let factor = model.constant(floats(&[], [beta as f32]));
                    x = model.step("Mul", &[&x, &factor], vec![]);
                }
                model.step("Softmax", &[&x], vec![int("axis", 1)])
            }
            Operation::Lookup(table) => self.lookup(model, table),
            Operation::Requantize(_) => x.to_string(),
            Operation::ResizeNearest { rows, columns } => {
                let rows = sources(model, rows);
                let taller = model.step("Gather", &[x, &rows], vec![int("axis", 2)]);
                let columns = sources(model, columns);
                model.step("Gather", &[&taller, &columns], vec![int("axis", 3)])
            }
            Operation::Transpose(axes) => {
                let [height, width, channels] = axes.map(onnx_axis);
                model.step(
                    "Transpose",
                    &[x],
                    vec![ints("perm", [0, channels, height, width])],
                )
            }
            Operation::ArgMax => {
                let index = model.step("ArgMax", &[x], vec![int("axis", 1)]);
                model.step("Cast", &[&index], vec![int("to", DataType::Float as i64)])
            }
        })
    }

    /// A convolution; `taps` are the rows, columns and input channels of each output channel's weights. Depthwise weights
    /// have the output channel last, others first.
    fn convolution(&self, model: &mut Model, linear: &Linear, taps: [usize; 3], groups: usize) -> String {
        let [height, width, depth] = taps;
        let channels = linear.bias.len();
        let depthwise = matches!(self.node.operation, Operation::Depthwise(_));
        let mut weights = Vec::with_capacity(linear.weights.len());
        for o in 0..channels {
            for i in 0..depth {
                for tap in 0..height * width {
                    weights.push(
                        linear.weights[if depthwise {
                            tap * channels + o
                        } else {
                            (o * height * width + tap) * depth + i
                        }],
                    );
                }
            }
        }
        // What the multiplier is made of, but for the scale of the weights. A factor of 0 leaves nothing but the zero point.
        let ratio = self.to.scale as f64 / self.from.scale as f64;
        let scales: Vec<f32> = linear
            .multipliers
            .iter()
            .map(|multiplier| ((multiplier.to_real() * ratio) as f32).max(f32::MIN_POSITIVE))
            .collect();
        let dead = |o: usize| linear.multipliers[o].to_real() == 0.0;
        let weights =
            weights
                .iter()
                .enumerate()
                .map(|(index, weight)| match dead(index * channels / weights.len()) {
                    true => 0,
                    false => i64::from(*weight),
                });
        let weights: Vec<i64> = weights.collect();
        let weights = dequantized(
            model,
            integers(DataType::Int8, &[channels, depth, height, width], weights),
            floats(&[channels], scales.iter().copied()),
            integers(DataType::Int8, &[channels], vec![0; channels]),
        );
        let bias_scale = |o: usize| scales[o] as f64 * self.from.scale as f64;
        let live_bias = |o: usize| if dead(o) { 0 } else { linear.bias[o] };
        let bias = if self.from.element == Element::Int16 {
            // Wider than 32 bits, and so stored as real numbers.
            let real = (0..channels).map(|o| (live_bias(o) as f64 * bias_scale(o)) as f32);
            model.constant(floats(&[channels], real))
        } else {
            dequantized(
                model,
                integers(DataType::Int32, &[channels], (0..channels).map(live_bias)),
                floats(
                    &[channels],
                    (0..channels).map(|o| (bias_scale(o) as f32).max(f32::MIN_POSITIVE)),
                ),
                integers(DataType::Int32, &[channels], vec![0; channels]),
            )
        };
        let mut attributes = self.window(&linear.window);
        let window = &linear.window;
        attributes.push(ints("dilations", [window.dilation_height, window.dilation_width]));
        attributes.push(int("group", groups as i64));
        model.step("Conv", &[self.inputs[0], &weights, &bias], attributes)
    }

    /// Kernel, strides, and padding, of which a network states only that before the image.
    fn window(&self, window: &Window) -> Vec<AttributeProto> {
        let after =
            |input: u32, output: u32, kernel: usize, stride: usize, dilation: usize, before: usize| {
                let reach = (output as usize - 1) * stride + (kernel - 1) * dilation + 1;
                reach.saturating_sub(input as usize + before)
            };
        let (from, to) = (self.from.shape, self.to.shape);
        let bottom = after(
            from.height,
            to.height,
            window.kernel_height,
            window.stride_height,
            window.dilation_height,
            window.pad_top,
        );
        let right = after(
            from.width,
            to.width,
            window.kernel_width,
            window.stride_width,
            window.dilation_width,
            window.pad_left,
        );
        vec![
            ints("kernel_shape", kernel(window)),
            ints("strides", [window.stride_height, window.stride_width]),
            ints("pads", [window.pad_top, window.pad_left, bottom, right]),
        ]
    }

    /// The second operand of a sum or product.
    fn second(&self, model: &mut Model, constant: &Option<Constant>, scale: f32) -> String {
        let Some(constant) = constant else {
            return self.inputs[1].to_string();
        };
        let shape = self.from.shape;
        let values = inference::integers(&constant.values, self.from.element);
        let real = |value: i32| scale * (value - constant.zero_point) as f32;
        let tensor = if values.len() == shape.values() && shape.pixels() > 1 {
            let [_, channels, height, width] = nchw(shape).map(|extent| extent as usize);
            let places =
                (0..channels).flat_map(|c| (0..height * width).map(move |pixel| pixel * channels + c));
            floats(
                &[1, channels, height, width],
                places.map(|place| real(values[place])),
            )
        } else {
            floats(&[1, values.len(), 1, 1], values.iter().map(|value| real(*value)))
        };
        model.constant(tensor)
    }

    /// The same values in the order of NHWC, which is the network's, under another shape.
    fn reshape(&self, model: &mut Model) -> String {
        let (x, from, to) = (self.inputs[0], self.from.shape, self.to.shape);
        let is_vector = |shape: Shape| shape.pixels() == 1;
        let mut value = x.to_string();
        if !is_vector(from) {
            value = model.step("Transpose", &[&value], vec![ints("perm", [0, 2, 3, 1])]);
        }
        if is_vector(to) {
            return reshape(model, &value, &nchw(to));
        }
        let [batch, channels, height, width] = nchw(to);
        value = reshape(model, &value, &[batch, height, width, channels]);
        model.step("Transpose", &[&value], vec![ints("perm", [0, 3, 1, 2])])
    }

    /// A table of 256 entries, read by the quantized input.
    fn lookup(&self, model: &mut Model, table: &[i8; 256]) -> String {
        let scale = model.constant(floats(&[], [self.from.scale]));
        let zero_point = model.constant(integers(DataType::Int8, &[], [self.from.zero_point.into()]));
        let integer = model.step("QuantizeLinear", &[self.inputs[0], &scale, &zero_point], vec![]);
        let wide = model.step("Cast", &[&integer], vec![int("to", DataType::Int32 as i64)]);
        let first = model.constant(integers(DataType::Int32, &[], [128]));
        let place = model.step("Add", &[&wide, &first], vec![]);
        let entries = table.iter().map(|entry| self.real((*entry).into()));
        let table = model.constant(floats(&[256], entries));
        model.step("Gather", &[&table, &place], vec![int("axis", 0)])
    }

    /// Clamps a result where the type of the output does not do that already.
    fn clamped(&self, model: &mut Model, result: String) -> String {
        let (least, greatest) = match self.to.element {
            Element::Int8 => (-128, 127),
            Element::Int16 => (-32768, 32767),
        };
        let (min, max) = self.node.activation;
        let exempt = matches!(self.node.operation, Operation::Lookup(_) | Operation::ArgMax);
        if exempt || (min <= least && max >= greatest) {
            return result;
        }
        let limits = [min.max(least), max.min(greatest)].map(|limit| self.real(limit));
        let [min, max] = limits.map(|limit| model.constant(floats(&[], [limit])));
        model.step("Clip", &[&result, &min, &max], vec![])
    }

    /// The real number that a value of the output stands for.
    fn real(&self, value: i32) -> f32 {
        self.to.scale * (value - self.to.zero_point) as f32
    }
}

/// A stored tensor of integers, made real along its first dimension.
fn dequantized(
    model: &mut Model,
    values: tract_onnx::pb::TensorProto,
    scales: tract_onnx::pb::TensorProto,
    zero_points: tract_onnx::pb::TensorProto,
) -> String {
    let inputs = [values, scales, zero_points].map(|tensor| model.constant(tensor));
    let inputs = inputs.each_ref().map(String::as_str);
    model.step("DequantizeLinear", &inputs, vec![int("axis", 0)])
}

fn kernel(window: &Window) -> [usize; 2] {
    [window.kernel_height, window.kernel_width]
}

/// The dimension of NCHW for height, width or channels.
fn onnx_axis(axis: u8) -> usize {
    [2, 3, 1][axis as usize]
}

fn sources(model: &mut Model, places: &[u16]) -> String {
    let values = places.iter().map(|place| i64::from(*place));
    model.constant(integers(DataType::Int64, &[places.len()], values))
}

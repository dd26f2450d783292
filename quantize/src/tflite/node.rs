//! An operator of the file together with the tensors it names.

use super::TfliteError;
use super::arithmetic::{Affine, activation_range};
use super::file::{File, Operator, Tensor, TensorType};
use crate::network::Operation;
use sepconv::operator::Window;
use sepconv::{Element, Shape};
use tract_tflite::tflite::{ActivationFunctionType, Padding};

/// What an operator of the file becomes.
pub(super) struct Computation {
    pub operation: Operation,
    /// The least and greatest output values.
    pub activation: (i32, i32),
    /// Which of the operator's inputs are its tensors.
    pub inputs: Vec<usize>,
}

/// An operator of the file together with the tensors it names.
#[derive(Clone, Copy)]
pub(super) struct Node<'f, 'a> {
    pub file: &'f File<'a>,
    pub operator: &'f Operator<'a>,
}

impl<'f, 'a> Node<'f, 'a> {
    pub fn refuse(&self, reason: impl Into<String>) -> TfliteError {
        self.operator.refuse(reason)
    }

    /// Input number `number`.
    pub fn input(&self, number: usize) -> Result<&'f Tensor<'a>, TfliteError> {
        self.optional_input(number)
            .ok_or_else(|| self.refuse(format!("it lacks input {number}")))
    }

    /// Input number `number`, if it is there.
    pub fn optional_input(&self, number: usize) -> Option<&'f Tensor<'a>> {
        let index = self.operator.inputs.get(number)?;
        self.file.tensors.get(usize::try_from(*index).ok()?)
    }

    /// The only output.
    pub fn output(&self) -> Result<&'f Tensor<'a>, TfliteError> {
        match self.operator.outputs[..] {
            [index] => Ok(&self.file.tensors[index as usize]),
            _ => Err(self.refuse(format!(
                "it has {} outputs where one is expected",
                self.operator.outputs.len()
            ))),
        }
    }

    /// The operator's table of options, if it is of the right kind.
    pub fn options<T>(&self, table: Option<T>) -> Result<T, TfliteError> {
        table.ok_or_else(|| self.refuse("its options are missing or those of another operator"))
    }

    /// The type of an activation.
    pub fn element(&self, tensor: &Tensor) -> Result<Element, TfliteError> {
        match tensor.element {
            TensorType::UINT8 => Err(self.refuse(format!(
                "tensor {} is uint8, which only a model's input and output may be: convert the model to int8",
                tensor.name
            ))),
            TensorType::INT16 if tensor.zero_points.iter().any(|zero_point| *zero_point != 0) => Err(self
                .refuse(format!(
                    "tensor {} is int16 with a zero point other than 0",
                    tensor.name
                ))),
            _ => self.any_element(tensor),
        }
    }

    /// The type of an activation that may also be uint8, which is held as int8, or int16 with any zero point.
    pub fn any_element(&self, tensor: &Tensor) -> Result<Element, TfliteError> {
        match tensor.element {
            TensorType::INT8 | TensorType::UINT8 => Ok(Element::Int8),
            TensorType::INT16 => Ok(Element::Int16),
            other => Err(self.refuse(format!(
                "tensor {} is {other:?} where int8 or int16 is expected",
                tensor.name
            ))),
        }
    }

    /// The types of input 0 and of the output, which must be equal.
    pub fn same_element(&self) -> Result<Element, TfliteError> {
        let (input, output) = (self.element(self.input(0)?)?, self.element(self.output()?)?);
        if input != output {
            return Err(self.refuse(format!(
                "input is {input:?} and output {output:?}, which must be the same type"
            )));
        }
        Ok(input)
    }

    /// Requires int8 input and output.
    pub fn int8(&self) -> Result<(), TfliteError> {
        match self.same_element()? {
            Element::Int8 => Ok(()),
            Element::Int16 => Err(self.refuse("int16 activations are not supported by this operator")),
        }
    }

    /// Requires input 0 and the output to have equal scales and zero points, as the TFLite quantization specification
    /// says of operators that only move values.
    pub fn same_quantization(&self, input: &Tensor) -> Result<Affine, TfliteError> {
        let (from, to) = (affine(input)?, affine(self.output()?)?);
        if from != to {
            return Err(self.refuse(format!(
                "input {} has scale {} and zero point {}, the output {} and {}: they must be the same",
                input.name, from.scale, from.zero_point, to.scale, to.zero_point
            )));
        }
        Ok(from)
    }

    /// The least and greatest value of the output's type.
    pub fn range(&self) -> Result<(i32, i32), TfliteError> {
        Ok(match self.any_element(self.output()?)? {
            Element::Int8 => (i8::MIN.into(), i8::MAX.into()),
            Element::Int16 => (i16::MIN.into(), i16::MAX.into()),
        })
    }

    /// A computation from input 0 with any output of the output's type.
    pub fn unclamped(&self, operation: Operation) -> Result<Computation, TfliteError> {
        Ok(Computation {
            operation,
            activation: self.range()?,
            inputs: vec![0],
        })
    }

    /// The least and greatest output value under a fused activation function.
    pub fn activation(&self, function: ActivationFunctionType) -> Result<(i32, i32), TfliteError> {
        activation_range(function, affine(self.output()?)?, self.range()?)
            .ok_or_else(|| self.refuse(format!("fused activation function {function:?} is not supported")))
    }

    /// The window of an operator from its options, each of which is [height, width].
    pub fn window(
        &self,
        kernel: [usize; 2],
        stride: [i32; 2],
        dilation: [i32; 2],
        padding: Padding,
    ) -> Result<Window, TfliteError> {
        let (input, output) = (self.input(0)?.shape()?, self.output()?.shape()?);
        let positive = |n: i32| usize::try_from(n).ok().filter(|n| *n > 0);
        let axis = |axis: usize, size: u32, written: u32| -> Result<[usize; 3], TfliteError> {
            let (Some(stride), Some(dilation)) = (positive(stride[axis]), positive(dilation[axis])) else {
                return Err(self.refuse("strides and dilations must be positive"));
            };
            let reach = kernel[axis].saturating_sub(1) * dilation + 1;
            let size = size as usize;
            let computed = match padding {
                Padding::SAME => size.div_ceil(stride),
                _ => (size + stride).saturating_sub(reach) / stride,
            };
            if computed != written as usize || kernel[axis] == 0 {
                return Err(self.refuse(format!(
                    "its window gives {input} another size than {output}, the output's"
                )));
            }
            let padding = ((computed - 1) * stride + reach).saturating_sub(size);
            Ok([stride, dilation, padding / 2])
        };
        let [stride_height, dilation_height, pad_top] = axis(0, input.height, output.height)?;
        let [stride_width, dilation_width, pad_left] = axis(1, input.width, output.width)?;
        let [kernel_height, kernel_width] = kernel;
        Ok(Window {
            kernel_height,
            kernel_width,
            stride_height,
            stride_width,
            dilation_height,
            dilation_width,
            pad_top,
            pad_left,
        })
    }

    /// Requires the output's shape to be `expected`.
    pub fn expect_output(&self, expected: Shape) -> Result<(), TfliteError> {
        let found = self.output()?.shape()?;
        if found != expected {
            return Err(self.refuse(format!(
                "its output is of shape {found} where {expected} is expected"
            )));
        }
        Ok(())
    }
}

/// The quantization of an activation as the runtime holds it: uint8 values are int8 values plus 128.
pub(super) fn affine(tensor: &Tensor) -> Result<Affine, TfliteError> {
    let (scale, zero_point) = tensor.quantization()?;
    let shift = if tensor.element == TensorType::UINT8 {
        128
    } else {
        0
    };
    Ok(Affine {
        scale,
        zero_point: zero_point - shift,
    })
}

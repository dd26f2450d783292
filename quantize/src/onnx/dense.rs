//! Gemm, MatMul, Softmax and ArgMax.

use super::error::OnnxError;
use super::importer::{Importer, Value, View};
use super::layout::Axis;
use super::node::OnnxNode;
use super::quantization;
use crate::graph::{Convolution, FullyConnected, Operator, Window};

/// Gemm: an activation of two dimensions times a constant matrix, plus a constant.
pub fn gemm(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let plain =
        node.float("alpha", 1.0) == 1.0 && node.float("beta", 1.0) == 1.0 && node.int("transA", 0) == 0;
    if !plain {
        return Err(node.refuse(
            "alpha, beta or transA is set",
            "alpha = beta = 1 and transA = 0 work",
        ));
    }
    fully_connected(importer, node, node.int("transB", 0) != 0)
}

/// MatMul of an activation and a constant matrix: fully connected, or pointwise where only channels are summed over.
pub fn matmul(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    if matches!(importer.value(node, 0)?, Value::Constant(_))
        || matches!(importer.value(node, 1)?, Value::Activation(_))
    {
        return Err(node.refuse(
            "its second input is not a constant matrix",
            "Products of an activation with constant weights on its right work; attention does not",
        ));
    }
    let view = importer.activation(node, 0)?;
    if view.layout.rank() == 2 {
        return fully_connected(importer, node, false);
    }
    let shape = importer.shape(&view);
    let last = view.layout.rank() - 1;
    let stored = importer.constant(node, 1)?;
    let (&[inputs, outputs], true) = (&stored.dims[..], view.layout.is_whole(last, Axis::Channel, shape))
    else {
        return Err(node.refuse(
            format!("it multiplies {:?} by {:?}", view.layout.sizes(), stored.dims),
            "Products over all channels work",
        ));
    };
    if inputs != shape.channels || !view.layout.batch_is_first() {
        return Err(node.refuse(
            format!("it multiplies {:?} by {:?}", view.layout.sizes(), stored.dims),
            "The number of rows of the matrix must be the number of channels",
        ));
    }
    let order: Vec<_> = (0..outputs)
        .flat_map(|o| (0..inputs).map(move |i| Some(i * outputs + o)))
        .collect();
    let weights = quantization::weights(node, &stored, 1, None, outputs, &order)?;
    let window = Window::new(1, 1);
    let operator = Operator::Convolution(Convolution {
        window,
        in_channels: inputs,
        out_channels: outputs,
        weights,
    });
    let tensor = importer.push(node, operator, &[view.tensor])?;
    let layout = view.layout.with_last_channels(outputs);
    Ok(View { tensor, layout })
}

/// Weights are stored as [inputs, outputs], or the other way round where `transposed`.
fn fully_connected(importer: &mut Importer, node: OnnxNode, transposed: bool) -> Result<View, OnnxError> {
    let view = importer.activation(node, 0)?;
    let stored = importer.constant(node, 1)?;
    let bias = importer.optional_constant(node, 2)?;
    let shape = importer.shape(&view);
    let (inputs, outputs) = match (&stored.dims[..], transposed) {
        (&[outputs, inputs], true) | (&[inputs, outputs], false) => (inputs, outputs),
        _ => (0, 0),
    };
    let fits = view.layout.rank() == 2 && inputs == shape.elements() && view.layout.size(1) == inputs;
    if !fits || outputs == 0 || !view.layout.batch_is_first() {
        return Err(node.refuse(
            format!(
                "it multiplies an activation of shape {:?} by weights {:?}",
                view.layout.sizes(),
                stored.dims
            ),
            "An activation flattened to [batch, features] works",
        ));
    }
    // The graph flattens in NHWC order; `places` says where each ONNX feature lies there.
    let mut feature_at = vec![0; inputs];
    for (feature, place) in view.layout.places(shape).into_iter().enumerate() {
        feature_at[place as usize] = feature;
    }
    let order: Vec<_> = (0..outputs)
        .flat_map(|o| {
            let at = move |i| {
                if transposed {
                    o * inputs + i
                } else {
                    i * outputs + o
                }
            };
            feature_at.iter().map(move |&feature| Some(at(feature)))
        })
        .collect();
    let output_dim = usize::from(!transposed);
    // A bias of one value, or of shape [1, outputs], is broadcast.
    let bias = bias.map(|bias| match bias.len() {
        1 if outputs > 1 => bias.repeated(outputs),
        _ => (*bias).clone(),
    });
    let weights = quantization::weights(node, &stored, output_dim, bias.as_ref(), outputs, &order)?;
    let operator = Operator::FullyConnected(FullyConnected {
        inputs,
        outputs,
        weights,
    });
    let tensor = importer.push(node, operator, &[view.tensor])?;
    Ok(importer.natural(tensor, 2))
}

/// Softmax over channels.
pub fn softmax(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let (view, dim) = over_channels(importer, node, if importer.opset < 13 { 1 } else { -1 })?;
    // Before operator set 13 all dimensions from the axis on were one.
    if importer.opset < 13 && view.layout.sizes()[dim + 1..].iter().any(|&size| size > 1) {
        return Err(node.refuse(
            "it normalizes over pixels and channels together",
            "Export with operator set 13",
        ));
    }
    importer.push_alike(node, Operator::Softmax { beta: 1.0 }, view)
}

/// ArgMax over channels.
pub fn argmax(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    if node.int("select_last_index", 0) != 0 {
        return Err(node.refuse("it selects the last of equals", "Selecting the first works"));
    }
    let (view, dim) = over_channels(importer, node, 0)?;
    let mut layout = view.layout.clone();
    let tensor = importer.push(node, Operator::ArgMax, &[view.tensor])?;
    layout.collapse(dim);
    if node.int("keepdims", 1) == 0 {
        layout.squeeze(dim);
    }
    Ok(View { tensor, layout })
}

/// Input 0 with the dimension that the attribute `axis` names, which must run over all channels.
fn over_channels(importer: &mut Importer, node: OnnxNode, default: i64) -> Result<(View, usize), OnnxError> {
    let view = importer.activation(node, 0)?;
    let dim = node.dimension(node.int("axis", default), view.layout.rank())?;
    if view.layout.is_whole(dim, Axis::Channel, importer.shape(&view)) {
        return Ok((view, dim));
    }
    let arranged = if view.layout.rank() <= 4 {
        importer.arrange(node, view)?
    } else {
        view
    };
    match arranged
        .layout
        .is_whole(dim, Axis::Channel, importer.shape(&arranged))
    {
        true => Ok((arranged, dim)),
        false => Err(node.refuse(
            format!("its axis {dim} is not that of channels"),
            "Work along channels (axis 1 of NCHW)",
        )),
    }
}

//! Conv, and the attributes that windows share.

use super::constant::Constant;
use super::error::OnnxError;
use super::importer::{Importer, View};
use super::node::OnnxNode;
use super::quantization;
use crate::graph::{Convolution, Depthwise, MAX_ELEMENTS, Operator, Padding, Shape, Weights, Window};

/// Conv: depthwise where every group has one input channel, otherwise a convolution. Other groups become a dense
/// convolution with zeros between the groups.
pub fn convolution(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let view = importer.image(node, 0)?;
    let shape = importer.shape(&view);
    let stored = importer.constant(node, 1)?;
    let bias = importer.optional_constant(node, 2)?;
    let (out_channels, group_channels, kernel) = match stored.dims[..] {
        [o, i, h, w] if view.layout.rank() == 4 => (o, i, (h, w)),
        [o, i, w] if view.layout.rank() == 3 => (o, i, (1, w)),
        _ => {
            return Err(node.refuse(
                format!("its weights have the shape {:?}", stored.dims),
                "Weights of 2-D convolutions [out, in, height, width] on images work, and 1-D on sequences",
            ));
        }
    };
    let groups = usize::try_from(node.int("group", 1)).unwrap_or(0);
    let fits = groups > 0 && shape.channels == group_channels * groups && out_channels % groups == 0;
    if !fits || stored.len() == 0 {
        return Err(node.refuse(
            format!(
                "{groups} group(s) and weights of shape {:?} do not fit its input of {} channels",
                stored.dims, shape.channels
            ),
            "The file is damaged; export it again",
        ));
    }
    let window = window(node, kernel, shape)?;
    let (taps, per_group) = (window.taps(), out_channels / groups);
    let at = |o: usize, i: usize, tap: usize| (o * group_channels + i) * taps + tap;
    let operator = if groups == shape.channels && groups > 1 {
        // HWC: tap by tap, output channels last.
        let order = (0..taps).flat_map(|tap| (0..out_channels).map(move |o| Some(at(o, 0, tap))));
        let weights = weights(node, &stored, bias.as_deref(), out_channels, order.collect())?;
        Operator::Depthwise(Depthwise {
            window,
            channels: groups,
            multiplier: per_group,
            weights,
        })
    } else {
        let dense = out_channels.saturating_mul(taps).saturating_mul(shape.channels);
        if dense > MAX_ELEMENTS {
            return Err(node.refuse(
                format!("its {groups} groups as one would have {dense} weights"),
                "Depthwise convolutions (one input channel a group) work at any size",
            ));
        }
        if groups > 1 {
            importer.graph.notes.push(format!(
                "{}: {groups} groups were made one by zeros between them; it costs {groups} times the \
                 multiply-accumulates",
                node.name()
            ));
        }
        let mut order = Vec::with_capacity(out_channels * taps * shape.channels);
        for o in 0..out_channels {
            let first = o / per_group * group_channels;
            for tap in 0..taps {
                for i in 0..shape.channels {
                    let inside = (first..first + group_channels).contains(&i);
                    order.push(inside.then(|| at(o, i - first, tap)));
                }
            }
        }
        let weights = weights(node, &stored, bias.as_deref(), out_channels, order)?;
        Operator::Convolution(Convolution {
            window,
            in_channels: shape.channels,
            out_channels,
            weights,
        })
    };
    let rank = view.layout.rank();
    let tensor = importer.push(node, operator, &[view.tensor])?;
    Ok(importer.natural(tensor, rank))
}

/// Weights in another order: `order` gives for each the index in the file, or `None` for 0. Output channels are
/// dimension 0 of the stored weights.
fn weights(
    node: OnnxNode,
    stored: &Constant,
    bias: Option<&Constant>,
    outputs: usize,
    order: Vec<Option<usize>>,
) -> Result<Weights, OnnxError> {
    quantization::weights(node, stored, 0, bias, outputs, &order)
}

/// The window of a Conv or pool with its padding resolved; `shape` is the input's. One-dimensional windows lie along
/// the width.
pub fn window(node: OnnxNode, kernel: (usize, usize), shape: Shape) -> Result<Window, OnnxError> {
    let stride = pair(node, "strides")?;
    let dilation = pair(node, "dilations")?;
    let mut window = Window {
        kernel,
        stride,
        dilation,
        padding: Padding::default(),
    };
    window.padding = match node.text("auto_pad", "NOTSET") {
        "VALID" => Padding::default(),
        mode @ ("SAME_UPPER" | "SAME_LOWER") => {
            let rows = same(shape.height, kernel.0, stride.0, dilation.0, mode == "SAME_LOWER");
            let columns = same(shape.width, kernel.1, stride.1, dilation.1, mode == "SAME_LOWER");
            Padding {
                top: rows.0,
                bottom: rows.1,
                left: columns.0,
                right: columns.1,
            }
        }
        "NOTSET" | "" => explicit_padding(node)?,
        other => {
            return Err(node.refuse(
                format!("auto_pad is {other:?}"),
                "NOTSET, VALID, SAME_UPPER and SAME_LOWER work",
            ));
        }
    };
    Ok(window)
}

/// Padding that makes `ceil(extent / stride)` outputs: before and after.
fn same(extent: usize, kernel: usize, stride: usize, dilation: usize, more_before: bool) -> (usize, usize) {
    let outputs = extent.div_ceil(stride);
    let total = ((outputs - 1) * stride + (kernel.max(1) - 1) * dilation + 1).saturating_sub(extent);
    if more_before {
        (total.div_ceil(2), total / 2)
    } else {
        (total / 2, total.div_ceil(2))
    }
}

fn explicit_padding(node: OnnxNode) -> Result<Padding, OnnxError> {
    let pads = node.ints("pads").unwrap_or(&[]);
    let pads: Option<Vec<usize>> = pads
        .iter()
        .map(|&p| usize::try_from(p).ok().filter(|&p| p < 1 << 16))
        .collect();
    match pads.as_deref() {
        Some([]) => Ok(Padding::default()),
        Some(&[left, right]) => Ok(Padding {
            left,
            right,
            ..Padding::default()
        }),
        Some(&[top, left, bottom, right]) => Ok(Padding {
            top,
            bottom,
            left,
            right,
        }),
        _ => Err(node.refuse(
            "its pads are not two or four numbers from 0 up",
            "Crop with a Slice before it instead",
        )),
    }
}

/// A pair (rows, columns) of positive numbers; (1, 1) where absent.
pub fn pair(node: OnnxNode, name: &str) -> Result<(usize, usize), OnnxError> {
    let values: Option<Vec<usize>> = node
        .ints(name)
        .unwrap_or(&[])
        .iter()
        .map(|&v| usize::try_from(v).ok().filter(|v| (1..1 << 16).contains(v)))
        .collect();
    match values.as_deref() {
        Some([]) => Ok((1, 1)),
        Some(&[columns]) => Ok((1, columns)),
        Some(&[rows, columns]) => Ok((rows, columns)),
        _ => Err(node.refuse(
            format!("its {name} are not one or two positive numbers"),
            "Two-dimensional windows work, and one-dimensional ones on sequences",
        )),
    }
}

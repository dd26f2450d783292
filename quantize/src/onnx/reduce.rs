//! Reductions over the image.

use super::error::OnnxError;
use super::importer::{Importer, View};
use super::movement::axes;
use super::node::OnnxNode;
use crate::graph::Operator;

/// ReduceMean and ReduceMax over height and width: global pooling.
pub fn reduce(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let view = importer.activation(node, 0)?;
    let rank = view.layout.rank();
    let mut dims: Vec<usize> = match axes(importer, node)? {
        Some(axes) => axes
            .iter()
            .map(|&a| node.dimension(a, rank))
            .collect::<Result<_, _>>()?,
        None if node.int("noop_with_empty_axes", 0) != 0 => return Ok(view),
        None => (0..rank).collect(),
    };
    dims.sort_unstable();
    dims.dedup();
    let shape = importer.shape(&view);
    if !view.layout.covers_pixels(&dims, shape) {
        return Err(node.refuse(
            format!("it reduces dimensions {dims:?} of {:?}", view.layout.sizes()),
            "Reductions over height and width together work (axes 2 and 3 of NCHW)",
        ));
    }
    let operator = match node.proto.op_type.as_str() {
        "ReduceMean" => Operator::GlobalAveragePool,
        _ => Operator::GlobalMaxPool,
    };
    let tensor = importer.push(node, operator, &[view.tensor])?;
    let mut layout = view.layout;
    for dim in dims.into_iter().rev() {
        layout.collapse(dim);
        if node.int("keepdims", 1) == 0 {
            layout.squeeze(dim);
        }
    }
    Ok(View { tensor, layout })
}

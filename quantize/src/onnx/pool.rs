//! Pooling.

use super::convolution::{pair, window};
use super::error::OnnxError;
use super::importer::{Importer, View};
use super::node::OnnxNode;
use crate::graph::{Operator, Padding, Shape, Window};

/// MaxPool.
pub fn max(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let view = importer.image(node, 0)?;
    let shape = importer.shape(&view);
    let window = pool_window(node, shape)?;
    let window = with_ceil(node, window, shape);
    let tensor = importer.push(node, Operator::MaxPool(window), &[view.tensor])?;
    Ok(importer.natural(tensor, view.layout.rank()))
}

/// AveragePool.
pub fn average(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let view = importer.image(node, 0)?;
    let shape = importer.shape(&view);
    let exact = pool_window(node, shape)?;
    let window = with_ceil(node, exact, shape);
    let count_padding = node.int("count_include_pad", 0) != 0 && !exact.padding.is_none();
    if count_padding && window != exact {
        return Err(node.refuse(
            "it counts padding and rounds its extent up",
            "Use ceil_mode = 0 or count_include_pad = 0",
        ));
    }
    let tensor = importer.push(
        node,
        Operator::AveragePool {
            window,
            count_padding,
        },
        &[view.tensor],
    )?;
    Ok(importer.natural(tensor, view.layout.rank()))
}

/// GlobalAveragePool and GlobalMaxPool.
pub fn global(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let view = importer.image(node, 0)?;
    let operator = match node.proto.op_type.as_str() {
        "GlobalAveragePool" => Operator::GlobalAveragePool,
        _ => Operator::GlobalMaxPool,
    };
    let tensor = importer.push(node, operator, &[view.tensor])?;
    Ok(importer.natural(tensor, view.layout.rank()))
}

fn pool_window(node: OnnxNode, shape: Shape) -> Result<Window, OnnxError> {
    if !node.has("kernel_shape") {
        return Err(node.refuse("it has no kernel_shape", "The file is damaged; export it again"));
    }
    window(node, pair(node, "kernel_shape")?, shape)
}

/// With ceil_mode a last window may begin inside the image (or its leading padding) and reach beyond: as if there
/// were more padding at the end.
fn with_ceil(node: OnnxNode, window: Window, shape: Shape) -> Window {
    if node.int("ceil_mode", 0) == 0 {
        return window;
    }
    let more = |extent: usize, before: usize, after: usize, kernel: usize, stride: usize, dilation: usize| {
        let covers = (kernel - 1) * dilation + 1;
        let Some(span) = (extent + before + after).checked_sub(covers) else {
            return 0;
        };
        let last = span.div_ceil(stride);
        if last * stride >= extent + before {
            0
        } else {
            last * stride - span.min(last * stride)
        }
    };
    let p = window.padding;
    let rows = more(
        shape.height,
        p.top,
        p.bottom,
        window.kernel.0,
        window.stride.0,
        window.dilation.0,
    );
    let columns = more(
        shape.width,
        p.left,
        p.right,
        window.kernel.1,
        window.stride.1,
        window.dilation.1,
    );
    let padding = Padding {
        bottom: p.bottom + rows,
        right: p.right + columns,
        ..p
    };
    window.padding(padding)
}

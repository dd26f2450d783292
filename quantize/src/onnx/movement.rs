//! Shapes, views and operators that move data.

use super::constant::Constant;
use super::error::OnnxError;
use super::importer::{Importer, Value, View};
use super::node::OnnxNode;
use crate::graph::{Operator, Padding, Shape};

/// The extents of a value, or of a range of its dimensions, as a constant.
pub fn shape(node: OnnxNode, sizes: &[usize]) -> Constant {
    let rank = sizes.len() as i64;
    let clamp = |i: i64| (if i < 0 { i.saturating_add(rank) } else { i }).clamp(0, rank) as usize;
    let (start, end) = (clamp(node.int("start", 0)), clamp(node.int("end", rank)));
    Constant::integers(sizes[start.min(end)..end].iter().map(|&s| s as i64).collect())
}

/// Reshape, Flatten, Squeeze, Unsqueeze and Transpose: only the layout changes.
pub fn view(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let mut view = importer.activation(node, 0)?;
    let rank = view.layout.rank();
    match node.proto.op_type.as_str() {
        "Transpose" => {
            let order: Vec<usize> = match node.ints("perm") {
                Some(perm) => perm
                    .iter()
                    .map(|&p| node.dimension(p, rank))
                    .collect::<Result<_, _>>()?,
                None => (0..rank).rev().collect(),
            };
            let transposed = view.layout.transpose(&order);
            view.layout = transposed.ok_or_else(|| {
                node.refuse(
                    format!("{order:?} is no order of {rank} dimensions"),
                    "The file is damaged",
                )
            })?;
        }
        "Reshape" => {
            let asked = importer.constant(node, 1)?.to_integers();
            let sizes = resolve(node, &asked, &view.layout.sizes())?;
            view.layout = reshaped(node, &view, &sizes)?;
        }
        "Flatten" => {
            // The axis may be the rank itself.
            let axis = node.int("axis", 1);
            let axis = if axis == rank as i64 {
                rank
            } else {
                node.dimension(axis, rank)?
            };
            let sizes = view.layout.sizes();
            let sizes = [sizes[..axis].iter().product(), sizes[axis..].iter().product()];
            view.layout = reshaped(node, &view, &sizes)?;
        }
        "Squeeze" => {
            let sizes = view.layout.sizes();
            let mut dims: Vec<usize> = match axes(importer, node)? {
                Some(axes) => axes
                    .iter()
                    .map(|&a| node.dimension(a, rank))
                    .collect::<Result<_, _>>()?,
                None => (0..rank).filter(|&dim| sizes[dim] == 1).collect(),
            };
            dims.sort_unstable();
            dims.dedup();
            for dim in dims.into_iter().rev() {
                if sizes[dim] != 1 {
                    return Err(node.refuse(
                        format!("dimension {dim} has {} elements", sizes[dim]),
                        "Only dimensions of 1 can be squeezed",
                    ));
                }
                view.layout.squeeze(dim);
            }
        }
        _ => {
            let axes = axes(importer, node)?.unwrap_or_default();
            let rank = rank + axes.len();
            let mut dims: Vec<usize> = axes
                .iter()
                .map(|&a| node.dimension(a, rank))
                .collect::<Result<_, _>>()?;
            dims.sort_unstable();
            if dims.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(node.refuse("it names an axis twice", "The file is damaged; export it again"));
            }
            for dim in dims {
                view.layout.unsqueeze(dim);
            }
        }
    }
    Ok(view)
}

/// Axes from the attribute (old operator sets) or from input 1.
pub fn axes(importer: &Importer, node: OnnxNode) -> Result<Option<Vec<i64>>, OnnxError> {
    match node.ints("axes") {
        Some(axes) => Ok(Some(axes.to_vec())),
        None => Ok(importer
            .optional_constant(node, 1)?
            .map(|constant| constant.to_integers())),
    }
}

/// Extents of a Reshape: 0 keeps a dimension, -1 is what is left.
fn resolve(node: OnnxNode, asked: &[i64], sizes: &[usize]) -> Result<Vec<usize>, OnnxError> {
    let total: usize = sizes.iter().product();
    let keep_zero = node.int("allowzero", 0) == 0;
    let mut result = Vec::new();
    for (dim, &size) in asked.iter().enumerate() {
        result.push(match size {
            0 if keep_zero && dim < sizes.len() => sizes[dim],
            -1 => 0,
            1.. => size as usize,
            _ => return Err(node.refuse(format!("its target shape is {asked:?}"), "The file is damaged")),
        });
    }
    let known = result
        .iter()
        .filter(|&&s| s > 0)
        .try_fold(1usize, |n, &s| n.checked_mul(s))
        .unwrap_or(usize::MAX);
    let holes = result.iter().filter(|&&s| s == 0).count();
    let fits = if holes == 0 {
        known == total
    } else {
        holes == 1 && total.is_multiple_of(known)
    };
    if !fits {
        return Err(node.refuse(
            format!("it reshapes {sizes:?} to {asked:?}"),
            "The numbers of elements must agree; export with a fixed or symbolic batch, not another one",
        ));
    }
    result
        .iter_mut()
        .filter(|s| **s == 0)
        .for_each(|s| *s = total / known);
    Ok(result)
}

fn reshaped(node: OnnxNode, view: &View, sizes: &[usize]) -> Result<super::layout::Layout, OnnxError> {
    view.layout.reshape(sizes).ok_or_else(|| {
        node.refuse(
            format!(
                "it reshapes {:?} to {sizes:?} across channels and pixels",
                view.layout.sizes()
            ),
            "Reshapes that merge or evenly split dimensions work",
        )
    })
}

/// Constant padding of rows and columns.
pub fn pad(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let mode = node.text("mode", "constant");
    if mode != "constant" {
        return Err(node.refuse(format!("its mode is {mode:?}"), "Padding with a constant works"));
    }
    let view = importer.activation(node, 0)?;
    let rank = view.layout.rank();
    let pads = match node.ints("pads") {
        Some(pads) => pads.to_vec(),
        None => importer.constant(node, 1)?.to_integers(),
    };
    let value = match importer.optional_constant(node, 2)? {
        Some(value) => value.to_floats().first().copied().unwrap_or(0.0),
        None => node.float("value", 0.0),
    };
    let axes: Vec<usize> = match importer.optional_constant(node, 3)? {
        Some(axes) => axes
            .to_integers()
            .iter()
            .map(|&a| node.dimension(a, rank))
            .collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    let valid = pads.len() == 2 * axes.len() && pads.iter().all(|p| (0..1 << 16).contains(p));
    if !valid {
        return Err(node.refuse(
            format!("its pads are {pads:?}"),
            "Pads from 0 up, two a dimension, work",
        ));
    }
    let mut by_dim = vec![(0usize, 0usize); rank];
    for (i, &dim) in axes.iter().enumerate() {
        by_dim[dim] = (pads[i] as usize, pads[i + axes.len()] as usize);
    }
    if by_dim.iter().all(|&pair| pair == (0, 0)) {
        return Ok(view);
    }
    let view = importer.arrange(node, view)?;
    let padding = match by_dim[..] {
        [(0, 0), (0, 0), (top, bottom), (left, right)] => Padding {
            top,
            bottom,
            left,
            right,
        },
        [(0, 0), (0, 0), (left, right)] => Padding {
            left,
            right,
            ..Padding::default()
        },
        _ => {
            return Err(node.refuse(
                format!("its pads are {pads:?}"),
                "Padding of height and width works",
            ));
        }
    };
    let tensor = importer.push(node, Operator::Pad { padding, value }, &[view.tensor])?;
    Ok(importer.natural(tensor, rank))
}

/// Concatenation along channels.
pub fn concat(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let mut parts = Vec::new();
    let mut rank = 0;
    for i in 0..node.proto.input.len() {
        let view = importer.activation(node, i)?;
        rank = view.layout.rank();
        parts.push(importer.arrange(node, view)?.tensor);
    }
    if node.dimension(node.int("axis", 1), rank)? != 1 {
        return Err(node.refuse(
            "it concatenates rows, columns or batches",
            "Concatenation of channels (axis 1 of NCHW) works",
        ));
    }
    if let [only] = parts[..] {
        return Ok(importer.natural(only, rank));
    }
    let tensor = importer.push(node, Operator::Concat, &parts)?;
    Ok(importer.natural(tensor, rank))
}

/// A range of each dimension: start, count and step.
type Ranges = Vec<(usize, usize, usize)>;

/// Slice with constant bounds.
pub fn slice(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let view = importer.activation(node, 0)?;
    let view = importer.arrange(node, view)?;
    let sizes = view.layout.sizes();
    let list = |name: &str, input: usize| -> Result<Option<Vec<i64>>, OnnxError> {
        match node.ints(name) {
            Some(values) => Ok(Some(values.to_vec())),
            None => Ok(importer.optional_constant(node, input)?.map(|c| c.to_integers())),
        }
    };
    let starts = list("starts", 1)?.unwrap_or_default();
    let ends = list("ends", 2)?.unwrap_or_default();
    let axes = list("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()]
        .iter()
        .any(|&n| n != starts.len())
    {
        return Err(node.refuse(
            "its starts, ends, axes and steps differ in number",
            "The file is damaged",
        ));
    }
    let mut ranges: Ranges = sizes.iter().map(|&size| (0, size, 1)).collect();
    for i in 0..starts.len() {
        let dim = node.dimension(axes[i], sizes.len())?;
        let size = sizes[dim] as i64;
        let bound = |v: i64| (if v < 0 { v.saturating_add(size) } else { v }).clamp(0, size);
        let (start, end) = (bound(starts[i]), bound(ends[i]));
        if steps[i] < 1 || end <= start {
            return Err(node.refuse(
                format!(
                    "it takes {}..{} by {} of dimension {dim}",
                    starts[i], ends[i], steps[i]
                ),
                "Forward slices of at least one element work",
            ));
        }
        ranges[dim] = (
            start as usize,
            ((end - start - 1) / steps[i] + 1) as usize,
            steps[i] as usize,
        );
    }
    take(importer, node, &view, &ranges, node.output())
}

/// Split into slices, each an output.
pub fn split(importer: &mut Importer, node: OnnxNode) -> Result<(), OnnxError> {
    let view = importer.activation(node, 0)?;
    let view = importer.arrange(node, view)?;
    let sizes = view.layout.sizes();
    let dim = node.dimension(node.int("axis", 0), sizes.len())?;
    let given = match node.ints("split") {
        Some(split) => Some(split.to_vec()),
        None => importer.optional_constant(node, 1)?.map(|c| c.to_integers()),
    };
    let outputs = &node.proto.output;
    let even = sizes[dim].div_ceil(outputs.len().max(1));
    let mut start = 0;
    for (i, output) in outputs.iter().enumerate() {
        let count = match &given {
            Some(given) => given.get(i).and_then(|&n| usize::try_from(n).ok()).unwrap_or(0),
            None => even.min(sizes[dim].saturating_sub(start)),
        };
        if count == 0 || count > sizes[dim] - start {
            return Err(node.refuse(
                "its parts do not add up to its input",
                "The file is damaged; export it again",
            ));
        }
        let mut ranges: Ranges = sizes.iter().map(|&size| (0, size, 1)).collect();
        ranges[dim] = (start, count, 1);
        let part = take(importer, node, &view, &ranges, output)?;
        importer.set(output, Value::Activation(part));
        start += count;
    }
    Ok(())
}

/// Copies ranges of an arranged view's dimensions.
fn take(
    importer: &mut Importer,
    node: OnnxNode,
    view: &View,
    ranges: &Ranges,
    output: &str,
) -> Result<View, OnnxError> {
    let sizes = view.layout.sizes();
    if ranges
        .iter()
        .zip(&sizes)
        .all(|(&(_, count, _), &size)| count == size)
    {
        return Ok(view.clone());
    }
    if ranges[0].1 != sizes[0] {
        return Err(node.refuse(
            "it slices the batch",
            "Networks that treat every image alike work",
        ));
    }
    let whole = (0, 1, 1);
    let (rows, columns, channels) = match ranges[..] {
        [_, channels, rows, columns] => (rows, columns, channels),
        [_, channels, columns] => (whole, columns, channels),
        _ => (whole, whole, ranges[1]),
    };
    let from = importer.shape(view);
    let each = |(start, count, step): (usize, usize, usize)| (0..count).map(move |i| start + i * step);
    let mut map = Vec::with_capacity(rows.1 * columns.1 * channels.1);
    for y in each(rows) {
        for x in each(columns) {
            map.extend(each(channels).map(|c| ((y * from.width + x) * from.channels + c) as u32));
        }
    }
    let shape = Shape::new(rows.1, columns.1, channels.1);
    let operator = Operator::Rearrange { shape, map };
    let pushed = importer.graph.push(node.name(), operator, &[view.tensor], output);
    let tensor = pushed.map_err(|e| node.refuse(e.to_string(), "Export with fixed shapes"))?;
    Ok(importer.natural(tensor, view.layout.rank()))
}

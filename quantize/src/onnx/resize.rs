//! Nearest-neighbour enlargement.

use super::error::OnnxError;
use super::importer::{Importer, View};
use super::node::OnnxNode;
use crate::graph::{Operator, Resize};

/// Resize and Upsample, where they repeat every pixel a whole number of times.
pub fn resize(importer: &mut Importer, node: OnnxNode) -> Result<View, OnnxError> {
    let mode = node.text("mode", "nearest");
    if mode != "nearest" {
        return Err(node.refuse(
            format!("its mode is {mode:?}"),
            "Nearest-neighbour enlargement works",
        ));
    }
    let view = importer.image(node, 0)?;
    let sizes = view.layout.sizes();
    let rank = sizes.len();
    // Upsample and operator set 10 have the scales in input 1; later sets have a region there, which is unused.
    let scales_input = if node.proto.op_type == "Upsample" || importer.opset < 11 {
        1
    } else {
        2
    };
    let scales = match node.floats("scales") {
        Some(scales) => Some(scales.to_vec()),
        None => importer
            .optional_constant(node, scales_input)?
            .map(|c| c.to_floats()),
    };
    let targets = importer.optional_constant(node, 3)?.map(|c| c.to_integers());
    let mut factors = vec![1; rank];
    for dim in 0..rank {
        let scale = match (&scales, &targets) {
            (Some(scales), _) if scales.len() == rank => scales[dim],
            (_, Some(targets)) if targets.len() == rank => targets[dim] as f32 / sizes[dim] as f32,
            _ => {
                return Err(node.refuse(
                    "it does not give one scale a dimension",
                    "Constant scales or sizes work",
                ));
            }
        };
        let whole = scale.fract() == 0.0 && (1.0..256.0).contains(&scale) && (dim > 1 || scale == 1.0);
        if !whole || !repeats(node, sizes[dim], scale as usize) {
            return Err(node.refuse(
                format!("it scales dimension {dim} by {scale} in a way that is not plain repetition"),
                "Whole factors with coordinate_transformation_mode half_pixel, or asymmetric with nearest_mode floor, \
                 work",
            ));
        }
        factors[dim] = scale as usize;
    }
    let (height, width) = if rank == 4 {
        (factors[2], factors[3])
    } else {
        (1, factors[2])
    };
    if (height, width) == (1, 1) {
        return Ok(view);
    }
    let tensor = importer.push(
        node,
        Operator::ResizeNearest(Resize { height, width }),
        &[view.tensor],
    )?;
    Ok(importer.natural(tensor, rank))
}

/// Whether output pixel `i` is input pixel `i / factor` everywhere, by ONNX's definition of the modes.
fn repeats(node: OnnxNode, extent: usize, factor: usize) -> bool {
    let upsample = node.proto.op_type == "Upsample";
    let transformation = if upsample {
        "asymmetric"
    } else {
        node.text("coordinate_transformation_mode", "half_pixel")
    };
    let rounding = if upsample {
        "floor"
    } else {
        node.text("nearest_mode", "round_prefer_floor")
    };
    (0..extent * factor).all(|i| {
        let (i, scale) = (i as f64, factor as f64);
        let x = match transformation {
            "asymmetric" => i / scale,
            "half_pixel" | "half_pixel_symmetric" => (i + 0.5) / scale - 0.5,
            "pytorch_half_pixel" if extent * factor > 1 => (i + 0.5) / scale - 0.5,
            "pytorch_half_pixel" => 0.0,
            "align_corners" if extent * factor > 1 => {
                i * (extent as f64 - 1.0) / (extent as f64 * scale - 1.0)
            }
            _ => return false,
        };
        let nearest = match rounding {
            "floor" => x.floor(),
            "ceil" => x.ceil(),
            "round_prefer_ceil" => (x + 0.5).floor(),
            _ => (x - 0.5).ceil(),
        };
        nearest.clamp(0.0, extent as f64 - 1.0) == (i / scale).floor()
    })
}

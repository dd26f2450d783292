//! `sepconv inspect`: operators, shapes, scales, flash, arena map, multiply-accumulates.

use super::failure::Failure;
use super::model_file::{ANY_LAYOUT, read};
use super::output::{self, thousands};
use sepconv::Model;
use sepconv_quantize::summary::{Summary, TensorSummary};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// A .sepc file.
    model: PathBuf,
}

pub fn main(arguments: &Arguments, as_json: bool) -> Result<(), Failure> {
    let bytes = read(&arguments.model)?;
    let model =
        Model::with_kernels(&bytes, &ANY_LAYOUT).map_err(|error| Failure::input(&arguments.model, error))?;
    let summary = Summary::of(&model);
    if as_json {
        let object = serde_json::to_value(&summary).expect("figures and names are JSON");
        return output::json(&object);
    }
    output::text(&operators(&summary))?;
    output::text(&arena_map(&summary))?;
    output::text(&totals(&summary))
}

fn shape(shape: [u32; 3]) -> String {
    format!("{}x{}x{}", shape[0], shape[1], shape[2])
}

fn operators(summary: &Summary) -> String {
    let heading = [
        "#",
        "operator",
        "kind",
        "output",
        "scale",
        "zero point",
        "window",
        "constants",
        "MACs",
        "steps",
    ];
    let mut table = output::table(&heading, 3);
    for (number, operator) in summary.ops.iter().enumerate() {
        let tensor = &summary.tensors[operator.output];
        let bits = if operator.weight_bits == 4 { " (int4)" } else { "" };
        table.add_row([
            number.to_string(),
            operator.name.clone(),
            format!("{}{bits}", operator.kind),
            shape(operator.shape),
            format!("{:.6}", tensor.scale),
            tensor.zero_point.to_string(),
            format!("{}x{}", operator.window[0], operator.window[1]),
            thousands(operator.constant_bytes as u64),
            thousands(operator.macs),
            operator.steps.to_string(),
        ]);
    }
    table.to_string()
}

fn arena_map(summary: &Summary) -> String {
    let heading = [
        "tensor",
        "type",
        "rows held",
        "offset",
        "bytes",
        "from step",
        "to step",
    ];
    let mut table = output::table(&heading, 1);
    let mut by_offset: Vec<&TensorSummary> = summary.tensors.iter().collect();
    by_offset.sort_by_key(|tensor| (tensor.offset, tensor.first_step));
    for tensor in by_offset {
        table.add_row([
            tensor.name.clone(),
            tensor.element.to_string(),
            format!("{} of {}", tensor.ring_rows, tensor.shape[0]),
            tensor.offset.to_string(),
            thousands(tensor.bytes as u64),
            tensor.first_step.to_string(),
            tensor.last_step.to_string(),
        ]);
    }
    table.to_string()
}

fn totals(summary: &Summary) -> String {
    let metadata = &summary.metadata;
    let about = |tensor: &TensorSummary| {
        let (scale, zero_point) = (tensor.scale, tensor.zero_point);
        format!(
            "{} {}, scale {scale}, zero point {zero_point}",
            shape(tensor.shape),
            tensor.element
        )
    };
    let mut lines = vec![
        ("input", about(&summary.input)),
        ("output", about(&summary.output)),
        (
            "flash",
            format!("{} bytes", thousands(summary.flash_bytes as u64)),
        ),
        (
            "arena",
            format!("{} bytes", thousands(summary.arena_bytes as u64)),
        ),
        ("MACs", thousands(summary.macs)),
        ("steps", thousands(summary.steps as u64)),
    ];
    if summary.pushes_input {
        lines.push(("input rows", "pushed one by one".into()));
    }
    if let Some(plan) = &metadata.plan {
        let (whole, bound) = (thousands(plan.whole as u64), thousands(plan.lower_bound as u64));
        lines.push((
            "arena if unplanned",
            format!("{whole} bytes with every operator whole"),
        ));
        lines.push(("arena lower bound", format!("{bound} bytes alive at once")));
    }
    if let Some(preprocess) = &metadata.preprocess {
        let crop = preprocess
            .crop
            .map_or(String::new(), |crop| format!(", central {crop}"));
        let (order, resize) = (&preprocess.channel_order, &preprocess.resize);
        let (mean, std) = (&preprocess.mean, &preprocess.std);
        lines.push((
            "preprocessing",
            format!("{order}, {resize}{crop}, (x - {mean:?}) / {std:?}"),
        ));
    }
    for (name, value) in [
        ("source", &metadata.source),
        ("source SHA-256", &metadata.source_sha256),
        ("written by", &metadata.tool),
        ("settings", &metadata.settings),
    ] {
        if !value.is_empty() {
            lines.push((name, value.clone()));
        }
    }
    if !metadata.classes.is_empty() {
        /// As many names as fit on a line.
        const SHOWN: usize = 10;
        let (names, count) = (&metadata.classes, metadata.classes.len());
        let shown = names[..count.min(SHOWN)].join(", ");
        let more = if count > SHOWN { ", ..." } else { "" };
        lines.push(("classes", format!("{count}: {shown}{more}")));
    }
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = lines
        .iter()
        .map(|(name, value)| format!("{name:<width$}  {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

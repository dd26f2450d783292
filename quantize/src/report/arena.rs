//! The arena over time: which tensor lies where, when.

use super::markup::{bytes, escape};
use crate::summary::{Summary, TensorSummary};
use std::fmt::Write;

const WIDTH: f64 = 1040.0;
const HEIGHT: f64 = 380.0;
/// Room for the labels of the axes.
const LEFT: f64 = 76.0;
const BOTTOM: f64 = 24.0;

/// A map as SVG: time in steps to the right, the arena's bytes upwards.
pub fn map(summary: &Summary) -> String {
    let steps = summary.steps.max(1) as f64;
    let arena = summary.arena_bytes.max(1) as f64;
    let x = |step: usize| LEFT + step as f64 / steps * WIDTH;
    let y = |byte: usize| HEIGHT - byte as f64 / arena * HEIGHT;
    let (all_width, all_height) = (LEFT + WIDTH, HEIGHT + BOTTOM);
    let mut svg = format!(
        "<svg viewBox=\"0 -6 {all_width} {}\" role=\"img\">",
        all_height + 6.0
    );
    for quarter in 0..=4 {
        let at = summary.arena_bytes * quarter / 4;
        let (line, label) = (y(at), bytes(at as u64));
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{all_width}\" y1=\"{line:.1}\" y2=\"{line:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 6.0,
            line + 4.0
        );
    }
    for tensor in &summary.tensors {
        let (left, right) = (x(tensor.first_step), x(tensor.last_step + 1).min(all_width));
        let (top, bottom) = (y(tensor.offset + tensor.bytes), y(tensor.offset));
        let (width, height) = ((right - left).max(0.7), (bottom - top).max(0.7));
        let _ = write!(
            svg,
            "<rect class=\"live {}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             stroke-width=\"0.6\"><title>{}</title></rect>",
            class(summary, tensor),
            escape(&describe(tensor)),
        );
        if width > 60.0 && height > 13.0 {
            let fitting = (width / 6.5) as usize;
            let name: String = tensor.name.chars().take(fitting).collect();
            let _ = write!(
                svg,
                "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                left + 4.0,
                top + 12.0,
                escape(&name)
            );
        }
    }
    let _ = write!(
        svg,
        "<text x=\"{LEFT}\" y=\"{0}\">step 0</text>\
         <text x=\"{all_width}\" y=\"{0}\" text-anchor=\"end\">step {1}</text></svg>",
        HEIGHT + 18.0,
        summary.steps
    );
    let key = "<p class=\"key\"><i style=\"background:var(--amber)\"></i>input, output\
               <i style=\"background:var(--blue)\"></i>whole tensor<i style=\"background:var(--teal)\"></i>ring of rows</p>";
    svg + key
}

fn class(summary: &Summary, tensor: &TensorSummary) -> &'static str {
    if tensor.name == summary.input.name || tensor.name == summary.output.name {
        "io"
    } else if tensor.ring_rows < tensor.shape[0] as usize {
        "ring"
    } else {
        "whole"
    }
}

fn describe(tensor: &TensorSummary) -> String {
    format!(
        "{}: {}x{}x{} {}, {} of {} rows held, bytes {} to {}, steps {} to {}",
        tensor.name,
        tensor.shape[0],
        tensor.shape[1],
        tensor.shape[2],
        tensor.element,
        tensor.ring_rows,
        tensor.shape[0],
        tensor.offset,
        tensor.offset + tensor.bytes,
        tensor.first_step,
        tensor.last_step
    )
}

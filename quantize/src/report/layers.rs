//! Operators one by one: work, memory, noise, estimated latency.

use super::board::Board;
use super::markup::{bar, bytes, count, escape, table};
use crate::evaluate::Layer;
use crate::summary::{OperatorSummary, Summary};
use std::collections::HashMap;

/// Cycles that an output value of an operator without multiply-accumulates takes: loads, arithmetic, a store.
const CYCLES_PER_VALUE: f64 = 10.0;

/// Estimated seconds of an operator on a board.
pub fn seconds(operator: &OperatorSummary, board: &Board) -> f64 {
    let values: f64 = operator.shape.iter().map(|length| f64::from(*length)).product();
    let cycles = if operator.macs > 0 {
        operator.macs as f64 * board.cycles_per_mac
    } else {
        values * CYCLES_PER_VALUE
    };
    cycles / board.clock
}

/// The table of operators.
pub fn layers(summary: &Summary, noise: &[Layer], board: &Board) -> String {
    let noise: HashMap<&str, f64> = noise
        .iter()
        .map(|layer| (layer.name.as_str(), layer.decibels))
        .collect();
    let total: f64 = summary.ops.iter().map(|operator| seconds(operator, board)).sum();
    let most = summary
        .ops
        .iter()
        .map(|operator| operator.macs)
        .max()
        .unwrap_or(0)
        .max(1);
    let row = |(number, operator): (usize, &OperatorSummary)| {
        let [height, width, channels] = operator.shape;
        let share = seconds(operator, board) / total;
        vec![
            number.to_string(),
            escape(&operator.name),
            operator.kind.to_string(),
            format!("{height}x{width}x{channels}"),
            bytes(operator.constant_bytes as u64),
            bar(&count(operator.macs), operator.macs as f64 / most as f64, ""),
            bar(
                &format!("{:.2} ms", 1e3 * seconds(operator, board)),
                share,
                "fair",
            ),
            noise
                .get(operator.name.as_str())
                .map_or("–".into(), |db| decibels(*db)),
        ]
    };
    let rows: Vec<Vec<String>> = summary.ops.iter().enumerate().map(row).collect();
    let heading = [
        "#",
        "operator",
        "kind",
        "output",
        "constants",
        "MACs",
        "estimated latency",
        "signal to noise",
    ];
    table(&heading, 4, &rows)
}

/// A ratio on a bar of 0 to 50 dB; 8 bits of a signal that fills its range have about 50.
fn decibels(db: f64) -> String {
    let class = match db {
        25.0.. => "good",
        12.0.. => "fair",
        _ => "poor",
    };
    bar(&format!("{db:.1} dB"), db / 50.0, class)
}

//! The report on a model: one self-contained HTML page.
//!
//! Everything in it comes from the model file itself, and, where given, from the float network and images. It has no
//! scripts and loads nothing.

mod accuracy;
mod arena;
pub mod board;
mod confusion;
mod histogram;
mod layers;
mod markup;

pub use accuracy::{Accuracy, FloatAccuracy};
pub use histogram::{Histogram, activations, weights};

use crate::evaluate::Layer;
use crate::recipe::Trial;
use crate::summary::Summary;
use board::Board;
use markup::{bar, bytes, count, escape, figures, percent, section, table};
use sepconv::Model;

/// What a report shows. Parts that are empty are left out of the page, which says so.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The model, in the plain layout, so that its weights can be seen.
    pub model: &'a Model<'a>,
    /// Accuracy on labelled images.
    pub accuracy: Option<&'a Accuracy>,
    /// The noise of each layer.
    pub noise: &'a [Layer],
    /// Activations of the float network.
    pub activations: &'a [Histogram],
    /// What the recipe tried.
    pub trials: &'a [Trial],
    /// The board that flash, RAM and latency are set against.
    pub board: &'a Board,
}

impl Report<'_> {
    /// The page.
    pub fn html(&self) -> String {
        let summary = Summary::of(self.model);
        let title = match summary.metadata.source.as_str() {
            "" => "sepconv model".to_string(),
            source => format!("{source} in int8"),
        };
        let parts = [
            self.head(&summary, &title),
            self.accuracy_section(&summary),
            self.trials_section(),
            section(
                "layers",
                "Operators",
                &format!(
                    "Latency is an estimate for {}: multiply-accumulates times {} cycles at {} MHz. Signal to noise \
                     compares each int8 activation with the float network's, on real inputs.",
                    self.board.about,
                    self.board.cycles_per_mac,
                    self.board.clock / 1e6
                ),
                &layers::layers(&summary, self.noise, self.board),
            ),
            section(
                "arena",
                "Arena over time",
                "Which tensor lies where, when. Time runs in steps of the schedule. Tensors that overlap share bytes row by \
                 row: one is written where rows of the other are no longer needed.",
                &arena::map(&summary),
            ),
            self.histograms(),
        ];
        markup::page(&title, &parts.concat())
    }

    fn head(&self, summary: &Summary, title: &str) -> String {
        let (flash, ram) = (summary.flash_bytes as u64, summary.arena_bytes as u64);
        let seconds: f64 = summary
            .ops
            .iter()
            .map(|operator| layers::seconds(operator, self.board))
            .sum();
        let mut items = vec![
            (
                bytes(flash),
                "flash",
                format!("of {} on {}", bytes(self.board.flash), self.board.name),
            ),
            (bytes(ram), "arena", format!("of {} RAM", bytes(self.board.ram))),
            (
                count(summary.macs),
                "multiply-accumulates",
                format!("{} operators", summary.ops.len()),
            ),
            (
                format!("{:.1} ms", 1e3 * seconds),
                "estimated latency",
                self.board.about.to_string(),
            ),
        ];
        if let Some(accuracy) = self.accuracy {
            let float = accuracy
                .float
                .map_or(String::new(), |float| format!("float {}", percent(float.top1)));
            items.insert(0, (percent(accuracy.top1), "top-1, int8", float));
        }
        let metadata = &summary.metadata;
        let fit = |name: &str, used: u64, total: u64| {
            let class = if used <= total { "good" } else { "poor" };
            let text = format!("{} of {}", bytes(used), bytes(total));
            vec![name.to_string(), bar(&text, used as f64 / total as f64, class)]
        };
        let fits = table(
            &[&format!("the model on {}", self.board.name), "the board's"],
            9,
            &[
                fit("flash, model only", flash, self.board.flash),
                fit("RAM, arena only", ram, self.board.ram),
            ],
        );
        let plan = metadata.plan.map_or(String::new(), |plan| {
            format!(
                " The arena would be {} with every operator whole; {} are alive at once.",
                bytes(plan.whole as u64),
                bytes(plan.lower_bound as u64)
            )
        });
        format!(
            "<header><h1>{}</h1><p>{} · {}<br><code>SHA-256 of the source {}</code></p></header>\n{}{}",
            escape(title),
            escape(&metadata.tool),
            escape(&metadata.settings),
            escape(&metadata.source_sha256),
            figures(&items),
            section(
                "fit",
                "Flash and RAM",
                &format!("Code and stack come on top.{plan}"),
                &fits
            ),
        )
    }

    fn accuracy_section(&self, summary: &Summary) -> String {
        let Some(accuracy) = self.accuracy else {
            return section(
                "accuracy",
                "Accuracy",
                "Not measured: no labelled images were given.",
                "",
            );
        };
        let row = |name: &str, top1: f64, top5: f64, agreement: String| {
            vec![
                name.into(),
                bar(&percent(top1), top1, "good"),
                bar(&percent(top5), top5, ""),
                agreement,
            ]
        };
        let mut rows = Vec::new();
        if let Some(float) = accuracy.float {
            rows.push(row("float", float.top1, float.top5, String::new()));
        }
        let agreement = accuracy
            .float
            .map_or("–".into(), |float| percent(float.agreement));
        rows.push(row("int8", accuracy.top1, accuracy.top5, agreement));
        let body = table(&["network", "top-1", "top-5", "same class as float"], 1, &rows)
            + "<h3>Confusion of the int8 network: rows are the right class, columns the class found</h3>"
            + &confusion::confusion(accuracy, &summary.metadata.classes);
        section(
            "accuracy",
            "Accuracy",
            &format!("On {} labelled images.", accuracy.count),
            &body,
        )
    }

    fn trials_section(&self) -> String {
        if self.trials.is_empty() {
            return String::new();
        }
        let row = |trial: &Trial| {
            let db = trial.fidelity.decibels;
            vec![
                escape(&trial.technique),
                if trial.kept { "kept".into() } else { String::new() },
                bar(
                    &format!("{db:.2} dB"),
                    f64::from(db) / 50.0,
                    if trial.kept { "good" } else { "" },
                ),
                percent(f64::from(trial.fidelity.agreement)),
            ]
        };
        let rows: Vec<Vec<String>> = self.trials.iter().map(row).collect();
        section(
            "techniques",
            "What each technique changed",
            "Signal to noise of the outputs and agreement with the float network on the calibration inputs. A trial is kept \
             if it is better than all before it.",
            &table(&["technique", "", "signal to noise", "agreement"], 2, &rows),
        )
    }

    fn histograms(&self) -> String {
        let grid = |histograms: &[Histogram], class: &str| {
            let cells: String = histograms.iter().map(|histogram| histogram.cell(class)).collect();
            format!("<div class=\"grid\">{cells}</div>")
        };
        let about = "Heights are square roots of counts. Red lines: what the quantized type can hold.";
        let weights = weights(self.model);
        let activations = if self.activations.is_empty() {
            section(
                "activations",
                "Activations",
                "Not shown: no float network and images were given.",
                "",
            )
        } else {
            section(
                "activations",
                "Activations of the float network",
                about,
                &grid(self.activations, "activations"),
            )
        };
        activations + &section("weights", "Weights", about, &grid(&weights, "weights"))
    }
}

#[cfg(test)]
mod tests;

//! Which classes are taken for which.

use super::Accuracy;
use super::markup::{escape, table};
use std::fmt::Write;

/// More classes than this are shown as a list of the most frequent mistakes.
const MOST_CLASSES: usize = 30;
/// How many mistakes the list has.
const MISTAKES: usize = 20;

/// A matrix as SVG, or a list if there are many classes.
pub fn confusion(accuracy: &Accuracy, classes: &[String]) -> String {
    let highest = accuracy
        .confusion
        .keys()
        .map(|(actual, found)| *actual.max(found))
        .max()
        .unwrap_or(0);
    let count = classes.len().max(highest + 1);
    if count > MOST_CLASSES {
        return mistakes(accuracy, classes);
    }
    matrix(accuracy, classes, count)
}

fn name(classes: &[String], class: usize) -> String {
    escape(classes.get(class).map_or(&class.to_string(), |name| name))
}

fn matrix(accuracy: &Accuracy, classes: &[String], count: usize) -> String {
    let (side, left, top) = (30, 110, 30);
    let of = |actual: usize, found: usize| accuracy.confusion.get(&(actual, found)).copied().unwrap_or(0);
    let (width, height) = (left + side * count, top + side * count);
    let mut svg = format!("<svg viewBox=\"0 0 {width} {height}\" style=\"max-width:{width}px\">");
    for actual in 0..count {
        let total = (0..count).map(|found| of(actual, found)).sum::<usize>().max(1);
        let y = top + side * actual;
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            left - 6,
            y + 19,
            name(classes, actual),
            left + side * actual + side / 2,
            top - 8,
            name(classes, actual).chars().take(4).collect::<String>(),
        );
        for found in 0..count {
            let (x, images) = (left + side * found, of(actual, found));
            let share = images as f64 / total as f64;
            let colour = if actual == found {
                "var(--teal)"
            } else {
                "var(--red)"
            };
            let opacity = if images == 0 { 0.04 } else { 0.15 + 0.85 * share };
            let label = if images == 0 {
                String::new()
            } else {
                images.to_string()
            };
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" fill=\"{colour}\" fill-opacity=\"{opacity:.2}\">\
                 <title>{} taken for {}: {images}</title></rect>\
                 <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" style=\"fill:var(--ink)\">{label}</text>",
                side - 2,
                side - 2,
                name(classes, actual),
                name(classes, found),
                x + side / 2 - 1,
                y + 19,
            );
        }
    }
    svg + "</svg>"
}

fn mistakes(accuracy: &Accuracy, classes: &[String]) -> String {
    let mut wrong: Vec<(&(usize, usize), &usize)> = accuracy
        .confusion
        .iter()
        .filter(|((actual, found), _)| actual != found)
        .collect();
    wrong.sort_by_key(|((actual, found), count)| (usize::MAX - **count, *actual, *found));
    let row = |((actual, found), count): &(&(usize, usize), &usize)| {
        vec![name(classes, *actual), name(classes, *found), count.to_string()]
    };
    let rows: Vec<Vec<String>> = wrong.iter().take(MISTAKES).map(row).collect();
    table(&["class", "taken for", "images"], 2, &rows)
}

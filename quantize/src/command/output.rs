//! What commands print on standard output.

use super::failure::Failure;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use std::io::{ErrorKind, Write};

/// Prints one JSON object.
pub fn json(object: &serde_json::Value) -> Result<(), Failure> {
    text(&format!("{object:#}"))
}

/// Prints lines. A reader that went away (`| head`) is no failure.
pub fn text(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Environment(format!(
            "cannot write to standard output: {error}"
        ))),
        _ => Ok(()),
    }
}

/// No lines but one under the heading.
const RULED: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table without borders: the first column to the left, `text_columns` more likewise, numbers to the right.
pub fn table(heading: &[&str], text_columns: usize) -> Table {
    let mut table = Table::new();
    table.load_style(RULED).set_header(heading.to_vec());
    for (number, column) in table.column_iter_mut().enumerate() {
        let number_column = number > text_columns;
        column.set_cell_alignment(if number_column {
            CellAlignment::Right
        } else {
            CellAlignment::Left
        });
    }
    table
}

/// Bytes with thousands apart.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

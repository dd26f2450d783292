//! `--report`: a page about a model, written by `quantize` and `eval`.

use super::failure::Failure;
use sepconv_quantize::report::Report;
use sepconv_quantize::report::board::{self, BOARDS, Board};
use sepconv_quantize::write::write_file;
use std::path::PathBuf;

/// What page to write, if any.
#[derive(clap::Args)]
pub struct Arguments {
    /// Also write a report: one self-contained HTML page.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// The board that the report sets flash, RAM and latency against.
    #[arg(long, value_name = "NAME", default_value = "mps2-an386", value_parser = board_of)]
    board: &'static Board,
}

impl Arguments {
    /// Whether a report is to be written.
    pub fn wanted(&self) -> bool {
        self.report.is_some()
    }

    /// The board to compare with.
    pub fn board(&self) -> &'static Board {
        self.board
    }

    /// Writes the page: all of it, or the file stays as it was.
    pub fn write(&self, report: &Report) -> Result<(), Failure> {
        match &self.report {
            Some(path) => write_file(path, report.html().as_bytes())
                .map_err(|error| Failure::Environment(error.to_string())),
            None => Ok(()),
        }
    }
}

fn board_of(name: &str) -> Result<&'static Board, String> {
    board::find(name).ok_or_else(|| {
        let names: Vec<&str> = BOARDS.iter().map(|board| board.name).collect();
        format!("the boards are {}", names.join(", "))
    })
}

//! Progress on long steps, on standard error; quiet where that is no terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Shows a spinner with elapsed time while `work` goes on, and a line with the time it took afterwards.
pub fn spinner<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let bar = ProgressBar::new_spinner().with_message(what.to_string());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    let result = work();
    bar.finish_and_clear();
    eprintln!("{what}: {:.1} s", start.elapsed().as_secs_f64());
    result
}

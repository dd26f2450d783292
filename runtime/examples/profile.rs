//! What each operator takes, told by an observer.
//!
//! `cargo run --release -p sepconv --features std --example profile [M.sepc]`

mod tiny;

use sepconv::{AlignedVec, Model, Observer};
use std::time::{Duration, Instant};

/// Time spent in each operator, whatever the number of its steps.
struct Profile {
    started: Instant,
    spent: Vec<Duration>,
}

impl Observer for Profile {
    fn before(&mut self, _operator: usize) {
        self.started = Instant::now();
    }

    fn after(&mut self, operator: usize, _first_row: usize, _rows: &[i8]) {
        self.spent[operator] += self.started.elapsed();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = tiny::model_or_tiny()?;
    let model = Model::new(&file)?;
    let mut arena = AlignedVec::zeroed(model.arena_len());
    let image = vec![0; model.input().bytes()];
    let mut scores = vec![0; model.output().bytes()];
    let mut profile = Profile {
        started: Instant::now(),
        spent: vec![Duration::ZERO; model.operator_count()],
    };
    model.run_observed(&image, &mut arena, &mut scores, &mut profile)?;
    for (number, spent) in profile.spent.iter().enumerate() {
        let (kind, _) = model.operator(number).ok_or("no such operator")?;
        println!(
            "{number:3}  {:16} {:8.1} us",
            kind.name(),
            spent.as_secs_f64() * 1e6
        );
    }
    Ok(())
}

//! `sepconv bench`: the latency of one inference, or of a batch.

use super::failure::Failure;
use super::model_file::ModelFile;
use super::output::{self, thousands};
use super::quantize::float_graph;
use rayon::prelude::*;
use sepconv::parallel::Workers;
use sepconv::{AlignedVec, Model, Observer, RunError};
use sepconv_quantize::float;
use sepconv_quantize::summary::Summary;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// A .sepc file.
    model: PathBuf,
    /// Threads to share the work among: each inference, or the inferences of a batch where there is one for each thread.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Kernels to run with, one of `sepconv isa`.
    #[arg(long, value_name = "NAME")]
    isa: Option<String>,
    /// Show the time of each operator as well.
    #[arg(long)]
    per_op: bool,
    /// Inferences a run.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
    /// The float network that the model was made from, to measure beside it with our own float kernels.
    #[arg(long, value_name = "F.onnx")]
    float: Option<PathBuf>,
    /// Runs to measure; without it, as many as two seconds hold, and at least ten.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
}

/// How long to measure when the number of runs is not given.
const DURATION: Duration = Duration::from_secs(2);
const FEWEST_RUNS: usize = 10;

pub fn main(arguments: &Arguments, as_json: bool) -> Result<(), Failure> {
    let file = ModelFile::open(&arguments.model, arguments.isa.as_deref())?;
    let model = file.model()?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(arguments.threads.into())
        .build();
    let pool = pool.map_err(|error| Failure::Environment(format!("cannot start threads: {error}")))?;
    let inputs: Vec<Vec<i8>> = (0..arguments.batch)
        .map(|seed| noise(model.input().bytes(), seed.into()))
        .collect();
    // All threads share each inference, or each takes the next image of the batch.
    let shared = arguments.batch < arguments.threads;
    let count = if shared { 1 } else { arguments.threads };
    let mut workers: Vec<Worker> = (0..count).map(|_| Worker::new(&model)).collect();
    let timed = if shared {
        let threads = Workers::new(arguments.threads.into());
        let mut threads = threads.map_err(|error| Failure::Environment(error.to_string()))?;
        threads.within(|threads| {
            measure(arguments.runs, &mut workers, |workers| {
                let mut runs = inputs.iter().map(|input| workers[0].run_on(threads, input));
                runs.try_for_each(|outcome| outcome)
            })
        })
    } else {
        measure(arguments.runs, &mut workers, |workers| {
            let next = AtomicUsize::new(0);
            let take = |worker: &mut Worker| worker.run_next(&inputs, &next);
            match workers {
                // Without waking a thread.
                [worker] => take(worker),
                _ => pool.install(|| workers.par_iter_mut().try_for_each(take)),
            }
        })
    };
    let mut times = timed.map_err(|error| Failure::input(&arguments.model, error))?;
    times.sort_by(f64::total_cmp);
    let float_times = match &arguments.float {
        Some(path) => float_times(path, &pool)?,
        None => Vec::new(),
    };
    let operators = per_operator(&model, &workers, times.len() * inputs.len());
    report(arguments, &model, &times, &float_times, &operators, as_json)
}

/// The milliseconds of each run of all workers, so many runs or as many as [`DURATION`] holds.
fn measure<'m>(
    runs: Option<u32>,
    workers: &mut [Worker<'m>],
    mut run: impl FnMut(&mut [Worker<'m>]) -> Result<(), RunError>,
) -> Result<Vec<f64>, RunError> {
    // Once unmeasured: pages are touched and caches filled.
    run(workers)?;
    workers.iter_mut().for_each(Worker::forget_times);
    let mut times = Vec::new();
    let begin = Instant::now();
    while match runs {
        Some(runs) => times.len() < runs as usize,
        None => times.len() < FEWEST_RUNS || begin.elapsed() < DURATION,
    } {
        let start = Instant::now();
        run(workers)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

/// Sorted times of one inference of a float network, in milliseconds.
fn float_times(path: &Path, pool: &rayon::ThreadPool) -> Result<Vec<f64>, Failure> {
    let graph = float_graph(path)?;
    let input = vec![0.5; graph.shape(graph.input).elements()];
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < FEWEST_RUNS || begin.elapsed() < DURATION {
        let start = Instant::now();
        pool.install(|| float::run(&graph, &input))
            .map_err(|error| Failure::input(path, error))?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Memory for one inference at a time, and what all of them took.
struct Worker<'m> {
    model: &'m Model<'m>,
    arena: AlignedVec<i8>,
    output: Vec<i8>,
    times: Times,
}

impl<'m> Worker<'m> {
    fn new(model: &'m Model<'m>) -> Self {
        Worker {
            model,
            arena: AlignedVec::zeroed(model.arena_len()),
            output: vec![0; model.output().bytes()],
            times: Times::new(model.operator_count()),
        }
    }

    fn forget_times(&mut self) {
        self.times = Times::new(self.model.operator_count());
    }

    /// Takes inputs as long as there are any that no other worker has taken.
    fn run_next(&mut self, inputs: &[Vec<i8>], next: &AtomicUsize) -> Result<(), RunError> {
        while let Some(input) = inputs.get(next.fetch_add(1, Ordering::Relaxed)) {
            self.model
                .run_observed(input, &mut self.arena, &mut self.output, &mut self.times)?;
        }
        Ok(())
    }

    fn run_on(&mut self, threads: &mut Workers, input: &[i8]) -> Result<(), RunError> {
        self.model
            .run_parallel(threads, input, &mut self.arena, &mut self.output, &mut self.times)
    }
}

/// The time spent in each operator. Two readings of the clock a step are small beside a step's work.
struct Times {
    started: Instant,
    spent: Vec<Duration>,
}

impl Times {
    fn new(operators: usize) -> Self {
        Times {
            started: Instant::now(),
            spent: vec![Duration::ZERO; operators],
        }
    }
}

impl Observer for Times {
    fn before(&mut self, _operator: usize) {
        self.started = Instant::now();
    }

    fn after(&mut self, operator: usize, _first_row: usize, _rows: &[i8]) {
        self.spent[operator] += self.started.elapsed();
    }
}

/// Values that look random, the same for the same seed: Knuth's linear congruential generator (MMIX).
fn noise(len: usize, seed: u64) -> Vec<i8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as i8
    };
    (0..len).map(|_| next()).collect()
}

/// An operator's name, kind, multiply-accumulates, and milliseconds an inference.
struct OperatorTime {
    name: String,
    kind: &'static str,
    macs: u64,
    ms: f64,
}

fn per_operator(model: &Model, workers: &[Worker], inferences: usize) -> Vec<OperatorTime> {
    let operators = Summary::of(model).ops.into_iter().enumerate();
    let time = |number: usize| {
        workers
            .iter()
            .map(|worker| worker.times.spent[number].as_secs_f64())
            .sum::<f64>()
    };
    operators
        .map(|(number, operator)| OperatorTime {
            name: operator.name,
            kind: operator.kind,
            macs: operator.macs,
            ms: time(number) * 1e3 / inferences as f64,
        })
        .collect()
}

/// The value that a fraction of sorted values does not exceed.
fn quantile(sorted: &[f64], fraction: f64) -> f64 {
    let rank = (sorted.len() as f64 * fraction).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

fn report(
    arguments: &Arguments,
    model: &Model,
    times: &[f64],
    float_times: &[f64],
    operators: &[OperatorTime],
    as_json: bool,
) -> Result<(), Failure> {
    let (min, median, p99) = (times[0], quantile(times, 0.5), quantile(times, 0.99));
    let macs: u64 = operators.iter().map(|operator| operator.macs).sum::<u64>() * arguments.batch as u64;
    if as_json {
        let mut object = json!({
            "isa": model.kernels().name,
            "threads": arguments.threads,
            "batch": arguments.batch,
            "runs": times.len(),
            "min_ms": min,
            "median_ms": median,
            "p99_ms": p99,
            "macs": macs,
        });
        if !float_times.is_empty() {
            object["float_min_ms"] = float_times[0].into();
            object["float_median_ms"] = quantile(float_times, 0.5).into();
        }
        if arguments.per_op {
            let operator =
                |o: &OperatorTime| json!({"name": o.name, "kind": o.kind, "macs": o.macs, "ms": o.ms});
            object["ops"] = operators.iter().map(operator).collect();
        }
        return output::json(&object);
    }
    if arguments.per_op {
        let total: f64 = operators.iter().map(|operator| operator.ms).sum();
        let mut table = output::table(&["#", "operator", "kind", "MACs", "mean ms", "%", "GMAC/s"], 2);
        for (number, operator) in operators.iter().enumerate() {
            let rate = operator.macs as f64 / operator.ms / 1e6;
            table.add_row([
                number.to_string(),
                operator.name.clone(),
                operator.kind.to_string(),
                thousands(operator.macs),
                format!("{:.4}", operator.ms),
                format!("{:.1}", 100.0 * operator.ms / total),
                if operator.macs > 0 {
                    format!("{rate:.1}")
                } else {
                    String::new()
                },
            ]);
        }
        output::text(&table.to_string())?;
    }
    output::text(&format!(
        "kernels {}, threads {}, batch {}, runs {}\nmin {min:.3} ms, median {median:.3} ms, p99 {p99:.3} ms, {:.1} GMAC/s at best",
        model.kernels().name,
        arguments.threads,
        arguments.batch,
        times.len(),
        macs as f64 / min / 1e6,
    ))
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(
            [0.0, 0.5, 0.99, 1.0].map(|fraction| quantile(&sorted, fraction)),
            [1.0, 50.0, 99.0, 100.0]
        );
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
    }
}

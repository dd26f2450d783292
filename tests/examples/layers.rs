//! The milliseconds of each layer on the best kernels of this machine, at least of many runs, as one JSON array. For
//! `tests/peers/layers.py`, which puts the peers' beside them.

use sepconv::kernels;
use sepconv_tests::layers::{CEILING, LAYERS, Layer, Prepared};
use std::time::{Duration, Instant};

/// How long to repeat each layer.
const DURATION: Duration = Duration::from_millis(400);

fn milliseconds(layer: &Layer) -> f64 {
    let mut prepared = Prepared::new(layer, kernels::best()).expect("a packed kernel for every layer");
    prepared.run();
    let begin = Instant::now();
    let mut least = f64::INFINITY;
    while begin.elapsed() < DURATION {
        let start = Instant::now();
        prepared.run();
        least = least.min(start.elapsed().as_secs_f64() * 1e3);
    }
    least
}

fn main() {
    let rate = |layer: &Layer, ms: f64| layer.macs() as f64 / ms / 1e6;
    let ceiling = rate(&CEILING, milliseconds(&CEILING));
    let layers = LAYERS.iter().map(|layer| {
        let ms = milliseconds(layer);
        let rate = rate(layer, ms);
        format!(
            "{{\"name\": \"{}\", \"kind\": \"{:?}\", \"window\": {}, \"stride\": {}, \"pad\": {}, \"size\": {}, \
             \"depth\": {}, \"channels\": {}, \"ms\": {ms:.5}, \"gmacs\": {rate:.1}, \"ceiling\": {:.3}}}",
            layer.name(),
            layer.kind,
            layer.window,
            layer.stride,
            layer.pad,
            layer.size,
            layer.depth,
            layer.channels,
            rate / ceiling,
        )
    });
    println!("[{}]", layers.collect::<Vec<_>>().join(",\n"));
}

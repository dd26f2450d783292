//! Linear kernels of every instruction set of this machine, on layers of Xception, MobileNetV2 and EfficientNet-Lite0.
//! Throughput is in multiply-accumulates a second; the first group is what a kernel reaches at best.

use criterion::{Criterion, Throughput};
use sepconv::kernels;
use sepconv_tests::layers::{CEILING, LAYERS, Prepared};

fn bench(criterion: &mut Criterion) {
    for layer in [CEILING].iter().chain(LAYERS) {
        let mut group = criterion.benchmark_group(layer.name());
        group.throughput(Throughput::Elements(layer.macs() as u64));
        // The reference has no packed layout: it is left out here, which saves minutes.
        for kernels in kernels::ALL.iter().filter(|kernels| (kernels.available)()) {
            if let Some(mut prepared) = Prepared::new(layer, kernels) {
                group.bench_function(kernels.name, |bencher| bencher.iter(|| prepared.run()));
            }
        }
        group.finish();
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion);
    criterion.final_summary();
}

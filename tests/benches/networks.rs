//! Whole inferences on every instruction set of this machine, of networks that are in integers already (see
//! `sepconv_tests::networks`); `cargo xtask peers` measures those that are quantized first.

use criterion::Criterion;
use sepconv::{AlignedVec, Model, kernels, layout};
use sepconv_tests::networks;

fn bench(criterion: &mut Criterion) {
    for (name, file) in networks::integer_networks() {
        let mut group = criterion.benchmark_group(name);
        let plain = Model::with_kernels(&file, &kernels::reference::KERNELS).expect("a sound model");
        for kernels in kernels::ALL
            .iter()
            .skip(1)
            .filter(|kernels| (kernels.available)())
        {
            let packed = layout::pack(&plain, kernels.target);
            let model = Model::with_kernels(&packed, kernels).expect("a packed model");
            let mut arena = AlignedVec::zeroed(model.arena_len());
            let input = vec![7; model.input().bytes()];
            let mut output = vec![0; model.output().bytes()];
            group.bench_function(kernels.name, |bencher| {
                bencher.iter(|| model.run(&input, &mut arena, &mut output));
            });
        }
        group.finish();
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion);
    criterion.final_summary();
}

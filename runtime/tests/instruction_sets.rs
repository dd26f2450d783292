//! Networks packed for each instruction set of this machine give the reference's bytes, whole and in bands, on one thread
//! and on several.

mod support;

use sepconv::kernels::{self, Kernels};
use sepconv::layout;
use sepconv::parallel::Workers;
use sepconv::{AlignedVec, Element, Model, Shape};
use support::net::Net;
use support::{Random, operators, run, schedule};

/// One inference of a file in the plain layout, packed for `kernels`.
fn run_packed(file: &[u8], kernels: &'static Kernels, workers: &mut Workers, input: &[i8]) -> Vec<i8> {
    let plain = Model::with_kernels(file, &kernels::reference::KERNELS).expect("a sound model");
    let packed = layout::pack(&plain, kernels.target);
    let model = Model::with_kernels(&packed, kernels).expect("a packed model");
    let mut arena = AlignedVec::zeroed(model.arena_len());
    // What is left in the arena from before must not matter.
    arena.fill(0x55);
    let mut output = vec![0; model.output().bytes()];
    model
        .run_parallel(workers, input, &mut arena, &mut output, &mut ())
        .expect("fitting buffers");
    output
}

fn check(net: &Net, random: &mut Random, workers: &mut [Workers], what: &dyn std::fmt::Debug) {
    let input = random.bytes(net.input_len());
    let file = net.file();
    let expected = run(&file, &input);
    let scattered = schedule::scatter(net, random).file();
    for kernels in kernels::ALL.iter().filter(|kernels| (kernels.available)()) {
        for workers in workers.iter_mut() {
            for file in [&file, &scattered] {
                let found = run_packed(file, kernels, workers, &input);
                assert!(
                    found == expected,
                    "{} on {} threads: {what:?}",
                    kernels.name,
                    workers.count()
                );
            }
        }
    }
}

fn workers() -> [Workers; 2] {
    [1, 3].map(|count| Workers::new(count).expect("threads"))
}

/// Says which instruction sets are not exercised here, so that nobody takes silence for success.
#[test]
fn say_what_this_machine_lacks() {
    for kernels in kernels::ALL.iter().filter(|kernels| !(kernels.available)()) {
        println!(
            "left out: whole networks on {}, which this machine lacks",
            kernels.name
        );
    }
}

#[test]
fn every_operator_gives_the_same_bytes_on_every_instruction_set() {
    let mut workers = workers();
    for element in [Element::Int8, Element::Int16] {
        for choice in operators::choices(element) {
            for seed in 0..6 {
                let mut random = Random::new(seed);
                let shape = Shape::new(
                    random.within(1, 20) as u32,
                    random.within(1, 12) as u32,
                    random.within(1, 90) as u32,
                );
                let zero_point = random.within(-128, 127) as i32;
                let wide = element == Element::Int16;
                let mut net = Net::new(shape, element, if wide { 0 } else { zero_point });
                operators::add(&mut net, &mut random, choice, 0);
                check(&net, &mut random, &mut workers, &(element, choice, seed, shape));
            }
        }
    }
}

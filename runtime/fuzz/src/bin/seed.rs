//! Gives the fuzzer sound models to start from, in `corpus/view` and `corpus/execute`: every operator, whole and in bands,
//! in the plain layout and packed for each table of kernels that this machine has.

#[allow(dead_code)]
#[path = "../../../tests/support/mod.rs"]
mod support;

use sepconv::kernels::{self, reference};
use sepconv::layout::{Target, pack};
use sepconv::{AlignedVec, Element, Model};
use std::path::Path;
use support::net::Net;
use support::{Random, operators, schedule};

fn main() -> std::io::Result<()> {
    let mut random = Random::new(1);
    let mut files: Vec<AlignedVec<u8>> = Vec::new();
    for element in [Element::Int8, Element::Int16] {
        for choice in operators::choices(element) {
            for in_bands in [false, true] {
                let mut net = Net::random(&mut random, element);
                let last = operators::add(&mut net, &mut random, choice, 0);
                if in_bands && net.element(last) == element {
                    let next = random.pick(&operators::choices(element));
                    operators::add(&mut net, &mut random, next, last);
                    net = schedule::scatter(&net, &mut random);
                }
                let plain = net.file();
                let model = Model::with_kernels(&plain, &reference::KERNELS).expect("a sound model");
                let tables = kernels::ALL.iter().filter(|table| (table.available)());
                let mut targets: Vec<Target> = tables.map(|table| table.target).collect();
                targets.dedup();
                let packed = targets.into_iter().filter(|target| *target != Target::Plain);
                files.extend(packed.map(|target| pack(&model, target)));
                files.push(plain);
            }
        }
    }
    for target in ["view", "execute"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        std::fs::create_dir_all(&folder)?;
        for (number, file) in files.iter().enumerate() {
            std::fs::write(folder.join(format!("sound-{number}.sepc")), &file[..])?;
        }
    }
    println!(
        "{} models in runtime/fuzz/corpus/view and runtime/fuzz/corpus/execute",
        files.len()
    );
    Ok(())
}

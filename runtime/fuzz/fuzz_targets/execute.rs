//! Execution of whatever models the view takes, if they are small, by every table of kernels that takes them: no panic, no
//! byte outside the arena and the output. (The outputs of damaged models differ between tables: where tensors and scratch
//! memory lie over each other, or packed constants contradict themselves, it matters what a kernel reads first.)

#![no_main]

use libfuzzer_sys::fuzz_target;
use sepconv::{AlignedVec, Model, kernels};

/// Bytes of arena, and values times weights, that are still run.
const MOST_MEMORY: usize = 1 << 20;
const MOST_WORK: usize = 1 << 22;

fuzz_target!(|bytes: &[u8]| {
    let file = sepconv_fuzz::file(bytes);
    let tables = kernels::ALL.iter().filter(|table| (table.available)());
    let models = tables.filter_map(|table| Model::with_kernels(&file, table).ok());
    for model in models.filter(is_small) {
        // The sanitizer guards what lies around these.
        let mut arena = AlignedVec::zeroed(model.arena_len());
        arena.fill(0x33);
        let mut output = vec![0; model.output().bytes()];
        let input: Vec<i8> = (0..model.input().bytes()).map(|i| (i * 89) as i8).collect();
        assert_eq!(model.run(&input, &mut arena, &mut output), Ok(()));
    }
});

fn is_small(model: &Model) -> bool {
    let values = |tensor: u16| model.tensor(tensor).shape.values();
    let work = (0..model.operator_count()).filter_map(|number| {
        let record = model.record(number)?;
        // No kernel reads more than all of its input and its weights for one output value.
        let reads = values(record.inputs[0]).saturating_add(record.weights_len as usize);
        Some(values(record.output).saturating_mul(reads))
    });
    model.arena_len() <= MOST_MEMORY && work.fold(0, usize::saturating_add) <= MOST_WORK
}

//! Execution of whatever models the view takes, if they are small: no panic, and no byte outside the arena and the output.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sepconv::crc32::crc32;
use sepconv::format::{CRC_START, Header, MAGIC, VERSION};
use sepconv::kernels::reference;
use sepconv::{AlignedVec, Model};

/// Bytes of arena, and values times weights, that are still run.
const MOST_MEMORY: usize = 1 << 20;
const MOST_WORK: usize = 1 << 24;

fuzz_target!(|bytes: &[u8]| {
    let mut file = AlignedVec::copy_of(bytes);
    if let Some(mut header) = file.first_chunk().map(Header::from_bytes) {
        (header.magic, header.version) = (MAGIC, VERSION);
        if let Some(covered) = file.get(CRC_START..header.file_len as usize) {
            header.crc32 = crc32(covered);
        }
        file[..CRC_START].copy_from_slice(&header.to_bytes()[..CRC_START]);
    }
    let Ok(model) = Model::with_kernels(&file, &reference::KERNELS) else {
        return;
    };
    let values = |tensor: u16| model.tensor(tensor).shape.values();
    let work = (0..model.operator_count()).filter_map(|number| {
        let record = model.record(number)?;
        // No kernel reads more than all of its input and its weights for one output value.
        let reads = values(record.inputs[0]).saturating_add(record.weights_len as usize);
        Some(values(record.output).saturating_mul(reads))
    });
    if model.arena_len() > MOST_MEMORY || work.fold(0, usize::saturating_add) > MOST_WORK {
        return;
    }
    // The sanitizer guards what lies around these.
    let mut arena = AlignedVec::zeroed(model.arena_len());
    let mut output = vec![0; model.output().bytes()];
    let input = vec![0x55; model.input().bytes()];
    assert_eq!(model.run(&input, &mut arena, &mut output), Ok(()));
});

//! The view of whatever bytes: it refuses them or takes them, and does not panic.
//!
//! The CRC is put right first: a fuzzer would not find one, and all other checks lie behind it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sepconv::crc32::crc32;
use sepconv::format::{CRC_START, Header, MAGIC, VERSION};
use sepconv::kernels::reference;
use sepconv::{AlignedVec, Model};

fuzz_target!(|bytes: &[u8]| {
    let mut file = AlignedVec::copy_of(bytes);
    if let Some(mut header) = file.first_chunk().map(Header::from_bytes) {
        (header.magic, header.version) = (MAGIC, VERSION);
        if let Some(covered) = file.get(CRC_START..header.file_len as usize) {
            header.crc32 = crc32(covered);
        }
        // None of the fields set here are covered by the CRC.
        file[..CRC_START].copy_from_slice(&header.to_bytes()[..CRC_START]);
    }
    if let Ok(model) = Model::with_kernels(&file, &reference::KERNELS) {
        for number in 0..model.operator_count() {
            assert!(model.operator(number).is_some());
        }
    }
});

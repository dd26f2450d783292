//! The view of whatever bytes, for every table of kernels: it refuses them or takes them, and does not panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sepconv::{Model, kernels};

fuzz_target!(|bytes: &[u8]| {
    let file = sepconv_fuzz::file(bytes);
    for table in kernels::ALL.iter().filter(|table| (table.available)()) {
        let Ok(model) = Model::with_kernels(&file, table) else {
            continue;
        };
        for number in 0..model.operator_count() {
            assert!(model.operator(number).is_some());
        }
    }
});

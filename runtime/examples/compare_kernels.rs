//! Compares every table of kernels that this processor has with the specification, on random operators.
//!
//! `cargo run --release --example compare_kernels --features std [COUNT]`, on any machine or in an emulator. Ends with exit
//! code 1 if a table differs.

use sepconv::kernels::{self, equality};
use std::process::ExitCode;

fn main() -> ExitCode {
    let count = std::env::args()
        .nth(1)
        .and_then(|count| count.parse().ok())
        .unwrap_or(200);
    for table in kernels::ALL {
        if !(table.available)() {
            println!("{}: this processor has not its instructions", table.name);
            continue;
        }
        match equality::check(table, 1, count) {
            Ok(packed) => println!(
                "{}: {} operators are equal, {packed} of them packed",
                table.name,
                4 * count
            ),
            Err(difference) => {
                println!("{} differs: {difference:?}", table.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

//! Running a case as this project does: import, plan, write, run.

use crate::cases::{Array, Case};
use sepconv::kernels::{self, Kernels};
use sepconv::{AlignedVec, Element, Model};
use sepconv_quantize::network::Network;
use sepconv_quantize::plan::{Options, plan};
use sepconv_quantize::{tflite, write};

/// The plans under which every case runs: whole operators, streamed rows, and streamed rows with the input pushed row by
/// row.
pub const PLANS: [(&str, Options); 3] = [
    ("whole", Options::WHOLE),
    ("streamed", Options::SMALLEST),
    (
        "pushed",
        Options {
            push_input: true,
            ..Options::SMALLEST
        },
    ),
];

/// The tables of kernels that this machine can run, the specification first.
pub fn tables() -> impl Iterator<Item = &'static Kernels> {
    kernels::ALL.iter().copied().filter(|table| (table.available)())
}

/// Imports a case and runs all its inputs under each plan: by the specification, and by every table of kernels that this
/// machine has, packed for it.
///
/// # Errors
///
/// What went wrong, or the first value that differs from the recorded one.
pub fn check(case: &Case) -> Result<(), String> {
    let network = tflite::from_bytes(&case.model).map_err(|error| format!("not imported: {error}"))?;
    for (name, options) in &PLANS {
        for table in tables() {
            check_table(case, &network, options, table)
                .map_err(|error| format!("{name}, {}: {error}", table.name))?;
        }
    }
    Ok(())
}

/// Plans and packs a network for one table of kernels and runs all inputs of a case by it.
fn check_table(
    case: &Case,
    network: &Network,
    options: &Options,
    table: &'static Kernels,
) -> Result<(), String> {
    let target = table.target;
    let plan = plan(network, &Options { target, ..*options });
    let file = write::to_bytes(network, &plan, target).map_err(|error| format!("not written: {error}"))?;
    let model = Model::with_kernels(&file, table).map_err(|error| format!("not accepted: {error}"))?;
    if model.arena_len() > plan.arena {
        return Err(format!(
            "an arena of {} bytes where {} are planned",
            model.arena_len(),
            plan.arena
        ));
    }
    run(&model, case)
}

fn run(model: &Model, case: &Case) -> Result<(), String> {
    let mut arena = AlignedVec::<i8>::zeroed(model.arena_len());
    let mut output = vec![0; model.output().bytes()];
    for (number, (input, expected)) in case.input.rows.iter().zip(&case.output.rows).enumerate() {
        let input = to_bytes(&case.input, input, model.input().element);
        // What an earlier inference left must not matter.
        arena.fill(-86);
        model
            .run(&input, &mut arena, &mut output)
            .map_err(|error| format!("inference {number}: {error}"))?;
        let found = from_bytes(&output, &case.output, model.output().element);
        if found.len() != expected.len() {
            return Err(format!(
                "{} output values where {} are recorded",
                found.len(),
                expected.len()
            ));
        }
        let differing = found
            .iter()
            .zip(expected)
            .filter(|(found, expected)| found != expected)
            .count();
        let first = found
            .iter()
            .zip(expected)
            .position(|(found, expected)| found != expected);
        if let Some(first) = first {
            return Err(format!(
                "inference {number}: {differing} of {} values differ, first value {first}: {} where {} is recorded",
                expected.len(),
                found[first],
                expected[first]
            ));
        }
    }
    Ok(())
}

/// Values of a case as the runtime takes them: uint8 less 128.
fn to_bytes(array: &Array, values: &[i32], element: Element) -> Vec<i8> {
    let shift = if array.element == "|u1" { 128 } else { 0 };
    let bytes = |value: &i32| (value - shift).to_le_bytes().map(|byte| byte as i8);
    values
        .iter()
        .flat_map(|value| bytes(value).into_iter().take(element.bytes()))
        .collect()
}

/// Values of the runtime as a case records them.
fn from_bytes(bytes: &[i8], array: &Array, element: Element) -> Vec<i32> {
    let shift = if array.element == "|u1" { 128 } else { 0 };
    match element {
        Element::Int8 => bytes.iter().map(|byte| i32::from(*byte) + shift).collect(),
        Element::Int16 => {
            let pairs = bytes.chunks_exact(2);
            pairs
                .map(|pair| i16::from_le_bytes([pair[0] as u8, pair[1] as u8]).into())
                .collect()
        }
    }
}

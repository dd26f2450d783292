//! More than a million and a half damaged models: the view refuses them, or they run within their own memory and in bounded time.
//!
//! The models come from sound ones by changes of bits and fields, with the CRC put right again, so that the checks behind
//! it are what is tested. All is made from seeds: a failure names the number of the model to look at.

mod support;

use sepconv::crc32::crc32;
use sepconv::format::{CRC_START, Header, OperatorRecord, Step, TensorRecord};
use sepconv::kernels::{self, Kernels, reference};
use sepconv::layout;
use sepconv::operator::Operator;
use sepconv::{AlignedVec, Element, Model, ModelError, Observer, RunError};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use support::net::Net;
use support::{Random, operators, schedule};

/// Damaged models in each of the four tests of the reference kernels.
const MODELS: usize = 400_000;
/// Models that would take more multiplications or memory than this are viewed but not run.
const MOST_WORK: u64 = 200_000;
const MOST_MEMORY: usize = 1 << 18;
/// Bytes around what a run may write.
const GUARD: usize = 256;

#[test]
fn damaged_models_of_int8_operators_are_harmless() {
    damage(1, Element::Int8, false);
}

#[test]
fn damaged_models_of_int8_operators_in_bands_are_harmless() {
    damage(2, Element::Int8, true);
}

#[test]
fn damaged_models_of_int16_operators_are_harmless() {
    damage(3, Element::Int16, false);
}

#[test]
fn damaged_models_of_int16_operators_in_bands_are_harmless() {
    damage(4, Element::Int16, true);
}

/// Kernels of instruction sets reach into memory by themselves, so that the view's checks of packed constants matter most.
#[test]
fn damaged_models_packed_for_this_machine_are_harmless() {
    let tables: Vec<&'static Kernels> = kernels::ALL
        .iter()
        .copied()
        .filter(|table| !std::ptr::eq(*table, &reference::KERNELS))
        .collect();
    let (here, elsewhere): (Vec<&Kernels>, Vec<&Kernels>) =
        tables.into_iter().partition(|table| (table.available)());
    for table in elsewhere {
        println!("left out: this machine cannot run {}", table.name);
    }
    for (number, table) in here.into_iter().enumerate() {
        let mut random = Random::new(5 + number as u64);
        let plain = originals(&mut random, Element::Int8, number % 2 == 1);
        let packed = plain.iter().map(|file| {
            let model = Model::with_kernels(file, &reference::KERNELS).expect("a sound model");
            layout::pack(&model, table.target)
        });
        damage_originals(random, packed.collect(), table, MODELS / 4);
    }
}

fn damage(seed: u64, element: Element, in_bands: bool) {
    let mut random = Random::new(seed);
    let originals = originals(&mut random, element, in_bands);
    damage_originals(random, originals, &reference::KERNELS, MODELS);
}

fn damage_originals(
    mut random: Random,
    originals: Vec<AlignedVec<u8>>,
    table: &'static Kernels,
    models: usize,
) {
    let mut outcomes = BTreeMap::new();
    let mut slowest = Duration::ZERO;
    for number in 0..models {
        let state = format!("kernels {}, model {number}", table.name);
        let original = &originals[number % originals.len()];
        let file = mutate(&mut random, original);
        let start = Instant::now();
        let outcome = match Model::with_kernels(&file, table) {
            Err(error) => name(error),
            Ok(model) if work(&model) > MOST_WORK || model.arena_len() > MOST_MEMORY => "large".into(),
            Ok(model) => {
                run_guarded(&model, &mut random, &state);
                "run".into()
            }
        };
        slowest = slowest.max(start.elapsed());
        *outcomes.entry(outcome).or_insert(0u32) += 1;
    }
    println!("{outcomes:?}, slowest {slowest:?}");
    // The bound is far above what the largest accepted model takes, so that a busy machine does not fail the test.
    assert!(
        slowest < Duration::from_secs(5),
        "a model took {slowest:?}: a loop is longer than its shapes"
    );
    // Damage reaches every check, and some models survive it.
    for check in [
        "Truncated",
        "Magic",
        "Version",
        "Checksum",
        "Header",
        "Section",
        "Tensor",
        "Kind",
        "Layout",
        "Wiring",
        "Shape",
        "Constants",
        "Parameter",
        "Schedule",
        "run",
    ] {
        assert!(
            outcomes.get(check).is_some_and(|count| *count > 10),
            "no {check}: {outcomes:?}"
        );
    }
}

/// The name of an error's variant.
fn name(error: ModelError) -> String {
    let text = format!("{error:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_string()
}

/// Sound models, small, of every kind of operator by itself, and of a few in a row.
fn originals(random: &mut Random, element: Element, in_bands: bool) -> Vec<AlignedVec<u8>> {
    let mut nets = Vec::new();
    while nets.len() < 80 {
        let mut net = Net::random(random, element);
        let choices = operators::choices(element);
        let first = choices[nets.len() % choices.len()];
        let mut last = operators::add(&mut net, random, first, 0);
        // Linear operators of int16 have no zero points, unlike softmax.
        let continues = element == Element::Int8 || net.zero_point(last) == 0;
        if nets.len() >= 40 && net.element(last) == element && continues {
            let next = random.pick(&choices);
            last = operators::add(&mut net, random, next, last);
        }
        if net.shape(last).values() > 400 || net.image.constants.len() > 1500 {
            continue;
        }
        nets.push(if in_bands {
            schedule::scatter(&net, random)
        } else {
            net
        });
    }
    nets.iter().map(Net::file).collect()
}

/// Where the records are that changes go for: a range of bytes, and the bytes of a record.
fn records(file: &[u8]) -> [(usize, usize, usize); 4] {
    let header = Header::from_bytes(file.first_chunk().unwrap());
    let tensors = header.tensors_offset as usize;
    let operators = header.operators_offset as usize;
    let steps = header.steps_offset as usize;
    [
        (0, Header::SIZE, Header::SIZE),
        (
            tensors,
            header.tensor_count as usize * TensorRecord::SIZE,
            TensorRecord::SIZE,
        ),
        (
            operators,
            header.operator_count as usize * OperatorRecord::SIZE,
            OperatorRecord::SIZE,
        ),
        (steps, header.step_count as usize * Step::SIZE, Step::SIZE),
    ]
}

/// A damaged copy.
fn mutate(random: &mut Random, original: &[u8]) -> AlignedVec<u8> {
    let sections = records(original);
    let mut bytes = original.to_vec();
    for _ in 0..random.pick(&[1, 1, 1, 2, 3]) {
        let (start, len, record) = match random.below(8) {
            0 => (0, bytes.len(), 1),
            1 => sections[0],
            2 | 3 => sections[1],
            4..=6 => sections[2],
            _ => sections[3],
        };
        let at = start + random.below(len);
        match random.below(10) {
            0..=2 => bytes[at] ^= 1 << random.below(8),
            3 => bytes[at] = random.bits() as u8,
            // One record over another, or over itself moved.
            4 => {
                let copied = bytes[start + random.below(len / record) * record..][..record].to_vec();
                let to = start + random.below(len / record) * record;
                bytes[to..to + record].copy_from_slice(&copied);
            }
            _ => set_number(random, &mut bytes, at),
        }
    }
    if random.one_in(200) {
        bytes.truncate(random.below(bytes.len()));
    }
    let mut file = AlignedVec::copy_of(&bytes);
    if file.len() > CRC_START && !random.one_in(200) {
        // The CRC covers what the header says is the file.
        let len = u32::from_le_bytes([file[8], file[9], file[10], file[11]]) as usize;
        if let Some(covered) = file.get(CRC_START..len) {
            let crc = crc32(covered);
            file[12..16].copy_from_slice(&crc.to_le_bytes());
        }
    }
    file
}

/// Sets a number of one, two or four bytes to a value that is likely to be at some check's edge.
fn set_number(random: &mut Random, bytes: &mut [u8], at: usize) {
    let size = random.pick(&[1, 2, 4]);
    let at = at / size * size;
    if at + size > bytes.len() {
        return;
    }
    let mut old = [0; 4];
    old[..size].copy_from_slice(&bytes[at..at + size]);
    let old = u32::from_le_bytes(old);
    let extreme = random.pick(&[
        0,
        1,
        2,
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0x8000,
        0xffff,
        0x7fff_ffff,
        0x8000_0000,
        u32::MAX,
    ]);
    let value = match random.below(5) {
        0 => extreme,
        1 => old.wrapping_add(1),
        2 => old.wrapping_sub(1),
        3 => old.wrapping_mul(2),
        _ => old.wrapping_add(random.within(-20, 20) as u32),
    };
    bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
}

/// Multiplications, or values moved, of one inference.
fn work(model: &Model) -> u64 {
    let values = |tensor: u16| model.tensor(tensor).shape.values() as u64;
    let mut total = model.steps().count() as u64;
    for number in 0..model.operator_count() {
        let record = model.record(number).unwrap();
        let (input, output) = (values(record.inputs[0]), values(record.output));
        let per_value = match model.operator(number).unwrap().1 {
            Operator::Convolution(linear) | Operator::Pointwise(linear) => {
                let taps = linear.window.kernel_height as u64 * linear.window.kernel_width as u64;
                taps * model.tensor(record.inputs[0]).shape.channels as u64
            }
            Operator::Depthwise(linear) => {
                linear.window.kernel_height as u64 * linear.window.kernel_width as u64
            }
            Operator::FullyConnected(_) => input,
            // Windows reach beyond the input, but kernels walk only what is within.
            Operator::AveragePool(pool) | Operator::MaxPool(pool) => {
                let taps = pool.window.kernel_height as u64 * pool.window.kernel_width as u64;
                taps.min(input)
            }
            _ => 1,
        };
        total = total
            .saturating_add(input)
            .saturating_add(output.saturating_mul(per_value));
    }
    total
}

/// Counts the rows that a run computes.
struct Rows(u64);

impl Observer for Rows {
    fn after(&mut self, _operator: usize, _first_row: usize, rows: &[i8]) {
        self.0 += rows.len() as u64;
    }
}

/// Runs a model between guards, which have to stay as they are.
fn run_guarded(model: &Model, random: &mut Random, state: &str) {
    let sentinel = 0x5A;
    let mut memory = AlignedVec::zeroed(model.arena_len() + 2 * GUARD);
    memory.fill(sentinel);
    let mut output = vec![sentinel; model.output().bytes() + 2 * GUARD];
    let input = random.bytes(model.input().bytes());
    let mut rows = Rows(0);
    let outcome = {
        let arena = &mut memory[GUARD..GUARD + model.arena_len()];
        let end = output.len() - GUARD;
        model.run_observed(&input, arena, &mut output[GUARD..end], &mut rows)
    };
    assert_eq!(outcome, Ok::<(), RunError>(()), "{state}");
    let untouched = |bytes: &[i8]| bytes.iter().all(|byte| *byte == sentinel);
    assert!(
        untouched(&memory[..GUARD]) && untouched(&memory[GUARD + model.arena_len()..]),
        "{state}: wrote outside the arena"
    );
    assert!(
        untouched(&output[..GUARD]) && untouched(&output[output.len() - GUARD..]),
        "{state}: wrote outside the output"
    );
    // Every row is computed, and once.
    let outputs = (0..model.operator_count()).map(|number| model.record(number).unwrap().output);
    let wanted: usize = outputs.map(|output| model.tensor(output).bytes()).sum();
    assert_eq!(rows.0, wanted as u64, "{state}");
}

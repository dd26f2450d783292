//! The check of the schedule: every row is computed once, in order, from rows that the arena holds at that time, and no
//! step writes where it reads.
//!
//! It needs no memory: it walks the schedule once for each operator, which [`MAX_WALK`](crate::format::MAX_WALK) bounds.

use super::{Model, ModelError, Tensor};
use crate::format::{MAX_INPUTS, NONE, PUSH_INPUT, Step};
use crate::operator::input_rows;

pub(super) fn check(model: &Model) -> Result<(), ModelError> {
    let pushes = model.pushes_input();
    if pushes {
        check_push(model)?;
    } else if model.input().ring_rows != model.input().shape.height as usize {
        // Rows that nobody pushes.
        return Err(ModelError::Schedule { operator: PUSH_INPUT });
    }
    if let Some(step) = model
        .steps()
        .find(|step| step.operator != PUSH_INPUT && step.operator as usize >= model.operator_count())
    {
        return Err(ModelError::Schedule {
            operator: step.operator,
        });
    }
    for number in 0..model.operator_count() {
        check_operator(model, number as u16, pushes).ok_or(ModelError::Schedule {
            operator: number as u16,
        })?;
    }
    Ok(())
}

fn check_push(model: &Model) -> Result<(), ModelError> {
    let input = model.input();
    let mut next = 0;
    for step in model.steps().filter(|step| step.operator == PUSH_INPUT) {
        next = advance(&step, next, &input).ok_or(ModelError::Schedule { operator: PUSH_INPUT })?;
    }
    if next != input.shape.height as usize {
        return Err(ModelError::Schedule { operator: PUSH_INPUT });
    }
    Ok(())
}

/// The row after a step's, if the step starts at row `next` and its rows lie one after the other in the ring.
fn advance(step: &Step, next: usize, tensor: &Tensor) -> Option<usize> {
    let (first, rows) = (step.first_row as usize, step.rows as usize);
    let end = first + rows;
    let sound = step.reserved == 0
        && first == next
        && rows > 0
        && end <= tensor.shape.height as usize
        && tensor.slot(first) + rows <= tensor.ring_rows;
    sound.then_some(end)
}

/// An input of the operator that is being checked.
struct Source {
    tensor: Tensor,
    /// The operator that computes it.
    producer: u16,
    /// Its rows computed so far.
    computed: usize,
}

/// Walks the schedule for one operator; `None` if a step is wrong.
fn check_operator(model: &Model, number: u16, pushes: bool) -> Option<()> {
    let (_, operator) = model.operator(number as usize)?;
    let record = model.record(number as usize)?;
    let output = model.tensor(record.output);
    let mut sources: [Option<Source>; MAX_INPUTS] = record.inputs.map(|input| source(model, input, pushes));
    let mut next = 0;
    for step in model.steps() {
        if step.operator == number {
            let (first, rows) = (step.first_row as usize, step.rows as usize);
            let after = advance(&step, next, &output)?;
            let written = band(&output, first, rows);
            // Scratch memory begins here.
            let limit = model.arena_len().checked_sub(record.scratch_len())?;
            if written.end > limit {
                return None;
            }
            for (position, source) in sources.iter().flatten().enumerate() {
                let (from, to) = input_rows(&operator, position, source.tensor.shape, first, rows);
                if !is_readable(source, from, to) || !is_disjoint(&written, limit, &source.tensor, from, to) {
                    return None;
                }
            }
            next = after;
        }
        for source in sources.iter_mut().flatten() {
            if step.operator == source.producer {
                source.computed = step.first_row as usize + step.rows as usize;
            }
        }
    }
    (next == output.shape.height as usize).then_some(())
}

/// Whether the ring holds the rows `from..to` of an input.
fn is_readable(source: &Source, from: usize, to: usize) -> bool {
    let held = source.computed.saturating_sub(source.tensor.ring_rows)..=source.computed;
    from <= to && held.contains(&from) && held.contains(&to)
}

/// An input before the first step. The check of operators has found that each input is computed by one.
#[inline(never)]
fn source(model: &Model, input: u16, pushes: bool) -> Option<Source> {
    if input == NONE {
        return None;
    }
    let tensor = model.tensor(input);
    let is_network_input = input == model.input_number();
    let whole = is_network_input && !pushes;
    Some(Source {
        producer: if is_network_input {
            PUSH_INPUT
        } else {
            producer(model, input)?
        },
        computed: if whole { tensor.shape.height as usize } else { 0 },
        tensor,
    })
}

/// The operator that computes a tensor.
fn producer(model: &Model, tensor: u16) -> Option<u16> {
    (0..model.operator_count() as u16).find(|number| {
        model
            .record(*number as usize)
            .is_some_and(|record| record.output == tensor)
    })
}

/// The arena bytes of `rows` rows from `first` on, which do not wrap.
fn band(tensor: &Tensor, first: usize, rows: usize) -> core::ops::Range<usize> {
    let start = tensor.offset + tensor.slot(first) * tensor.row_bytes();
    start..start + rows * tensor.row_bytes()
}

/// Whether a written band, and what lies from `limit` on, keep clear of the input rows `from..to`, whose ring may wrap once
/// between them.
#[inline(never)]
fn is_disjoint(
    written: &core::ops::Range<usize>,
    limit: usize,
    input: &Tensor,
    from: usize,
    to: usize,
) -> bool {
    let until_wrap = input.ring_rows.saturating_sub(input.slot(from));
    let rows = to.saturating_sub(from);
    let head = rows.min(until_wrap);
    let tail = rows - head;
    let clear = |read: core::ops::Range<usize>| {
        read.is_empty() || read.end <= limit && (read.end <= written.start || written.end <= read.start)
    };
    clear(band(input, from, head)) && clear(band(input, from + head, tail))
}

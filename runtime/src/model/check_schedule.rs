//! The check of the schedule: every row is computed once, in order, from rows that the arena holds at that time, and no
//! step writes where it reads.
//!
//! It needs no memory: for each operator and each of its inputs it walks the schedule once.

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
    if model
        .steps()
        .any(|step| step.operator != PUSH_INPUT && step.operator as usize >= model.operator_count())
    {
        return Err(ModelError::Schedule { operator: PUSH_INPUT });
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
        && first % tensor.ring_rows + rows <= tensor.ring_rows;
    sound.then_some(end)
}

/// Walks the schedule for one operator and each of its inputs; `None` if a step is wrong.
fn check_operator(model: &Model, number: u16, pushes: bool) -> Option<()> {
    let (_, operator) = model.operator(number as usize)?;
    let record = model.record(number as usize)?;
    let output = model.tensor(record.output);
    for (position, &input_number) in record.inputs.iter().enumerate().take(MAX_INPUTS) {
        // Operators have at least one input, so each is walked at least once.
        if input_number == NONE {
            break;
        }
        let input = model.tensor(input_number);
        let is_network_input = input_number == model.input_number();
        let producer = if is_network_input {
            PUSH_INPUT
        } else {
            producer(model, input_number)?
        };
        // Rows of the input computed so far.
        let mut computed = if is_network_input && !pushes {
            input.shape.height as usize
        } else {
            0
        };
        let mut next = 0;
        for step in model.steps() {
            if step.operator == number {
                let (from, to) = input_rows(
                    &operator,
                    position,
                    input.shape,
                    step.first_row as usize,
                    step.rows as usize,
                );
                let after = advance(&step, next, &output)?;
                let held = computed.saturating_sub(input.ring_rows)..=computed;
                let disjoint = is_disjoint(&band(&output, next, step.rows as usize), &input, from, to);
                if from > to || !held.contains(&from) || !held.contains(&to) || !disjoint {
                    return None;
                }
                next = after;
            } else if step.operator == producer {
                computed = step.first_row as usize + step.rows as usize;
            }
        }
        if next != output.shape.height as usize {
            return None;
        }
    }
    Some(())
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
    let start = tensor.offset + first % tensor.ring_rows * tensor.row_bytes();
    start..start + rows * tensor.row_bytes()
}

/// Whether a written band keeps clear of the input rows `from..to`, whose ring may wrap once between them.
fn is_disjoint(written: &core::ops::Range<usize>, input: &Tensor, from: usize, to: usize) -> bool {
    let until_wrap = input.ring_rows - from % input.ring_rows;
    let head = (to - from.min(to)).min(until_wrap);
    let tail = to - from.min(to) - head;
    let clear = |read: core::ops::Range<usize>| {
        read.is_empty() || read.end <= written.start || written.end <= read.start
    };
    clear(band(input, from, head)) && clear(band(input, from + head, tail))
}

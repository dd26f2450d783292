//! When rows are alive.

use super::schedule::Schedule;
use crate::network::Network;
use sepconv::format::PUSH_INPUT;

/// For each row of a tensor (for a ring: for the ring as a whole), the step that writes it first and the step that reads
/// it last, both included.
#[derive(Clone, Debug)]
pub struct Lifetime {
    /// The steps that write.
    pub birth: Vec<usize>,
    /// The steps that read last; never earlier than the birth.
    pub death: Vec<usize>,
}

impl Lifetime {
    /// The first and the last step of all rows.
    pub fn span(&self) -> (usize, usize) {
        (
            self.birth.iter().copied().min().unwrap_or(0),
            self.death.iter().copied().max().unwrap_or(0),
        )
    }

    /// Bytes of one entry.
    pub fn unit(&self, row_bytes: usize, ring_rows: usize) -> usize {
        if self.birth.len() == 1 {
            row_bytes * ring_rows
        } else {
            row_bytes
        }
    }
}

/// The lifetimes of all tensors under a schedule.
pub fn lifetimes(network: &Network, schedule: &Schedule, push_input: bool) -> Vec<Lifetime> {
    let heights = network.tensors.iter().map(|tensor| tensor.shape.height as usize);
    let mut lifetimes: Vec<Lifetime> = heights
        .map(|height| Lifetime {
            birth: vec![usize::MAX; height],
            death: vec![0; height],
        })
        .collect();
    let last = schedule.steps.len();
    if !push_input {
        lifetimes[network.input].birth.fill(0);
    }
    for (time, step) in schedule.steps.iter().enumerate() {
        let (first, rows) = (step.first_row as usize, step.rows as usize);
        let output = if step.operator == PUSH_INPUT {
            network.input
        } else {
            let node = &network.nodes[step.operator as usize];
            for (position, &input) in node.inputs.iter().enumerate() {
                let (from, to) =
                    node.operation
                        .input_rows(position, network.tensors[input].shape, first, rows);
                lifetimes[input].death[from..to].fill(time);
            }
            node.output
        };
        lifetimes[output].birth[first..first + rows].fill(time);
        let death = &mut lifetimes[output].death[first..first + rows];
        death.iter_mut().for_each(|death| *death = time.max(*death));
    }
    lifetimes[network.output].death.fill(last);
    // Rows above a row that is still read stay: they are only ever released from the top.
    for (tensor, lifetime) in lifetimes.iter_mut().enumerate() {
        for row in 1..lifetime.death.len() {
            lifetime.death[row] = lifetime.death[row].max(lifetime.death[row - 1]);
        }
        if schedule.ring_rows[tensor] < lifetime.birth.len() {
            let (birth, death) = lifetime.span();
            *lifetime = Lifetime {
                birth: vec![birth],
                death: vec![death],
            };
        }
    }
    lifetimes
}

impl Schedule {
    /// Bytes of scratch memory in use at a step.
    pub fn scratch_at(&self, step: usize) -> usize {
        let node = self.steps.get(step).map(|step| step.operator as usize);
        node.and_then(|node| self.scratch.get(node)).copied().unwrap_or(0)
    }
}

/// The most bytes alive at one step, scratch memory included, and that step.
pub fn lower_bound(network: &Network, schedule: &Schedule, lifetimes: &[Lifetime]) -> (usize, usize) {
    let mut change = vec![0isize; schedule.steps.len() + 2];
    for (tensor, lifetime) in lifetimes.iter().enumerate() {
        let unit = lifetime.unit(network.row_bytes(tensor), schedule.ring_rows[tensor]) as isize;
        for (birth, death) in lifetime.birth.iter().zip(&lifetime.death) {
            change[*birth] += unit;
            change[*death + 1] -= unit;
        }
    }
    let alive = change.iter().scan(0isize, |sum, change| {
        *sum += change;
        Some(*sum as usize)
    });
    let (step, bytes) = alive
        .enumerate()
        .map(|(step, bytes)| (step, bytes + schedule.scratch_at(step)))
        .max_by_key(|(step, bytes)| (*bytes, usize::MAX - step))
        .unwrap_or((0, 0));
    (bytes, step)
}

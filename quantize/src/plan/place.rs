//! Offsets in the arena: first fit over several orders, the best kept.
//!
//! Two tensors whose lifetimes meet may still overlap if one, lying lower, is written only where the other's rows are
//! dead already (tensors are computed and released from their first row down): in place, but for the rows in use. This is
//! the "diagonal" overlap of the TensorFlow Lite Micro planner literature, at the granularity of rows.

use super::lifetime::Lifetime;
use super::schedule::Schedule;
use crate::network::Network;
use sepconv::ALIGNMENT;

/// How far tensors must keep apart.
struct Distances {
    /// Bytes of each tensor's ring.
    sizes: Vec<isize>,
    /// `reach[a][b]`: `Some(d)` if b may lie at any offset up to a's plus d, besides lying clear of a; `None` if their
    /// lifetimes do not meet, so that anything goes.
    reach: Vec<Vec<Option<isize>>>,
}

/// Offsets of all tensors, and what they come to.
#[derive(Clone, Debug)]
pub struct Placed {
    /// An offset for each tensor.
    pub offsets: Vec<usize>,
    /// Bytes up to the end of the last tensor.
    pub activations: usize,
    /// Bytes of the arena: as many, and more where scratch memory does not fit otherwise.
    pub arena: usize,
}

/// Places the tensors so that the arena is small.
pub fn place(network: &Network, schedule: &Schedule, lifetimes: &[Lifetime], alignment: usize) -> Placed {
    let distances = Distances::of(network, schedule, lifetimes);
    let moments = moments(network, schedule, lifetimes);
    let placed = |order: &[usize]| {
        let (offsets, activations) = first_fit(&distances, order, alignment as isize);
        let offsets: Vec<usize> = offsets.into_iter().map(|offset| offset as usize).collect();
        let activations = activations as usize;
        let arena = arena(&moments, &offsets, activations);
        Placed {
            offsets,
            activations,
            arena,
        }
    };
    let count = lifetimes.len();
    let mut orders: Vec<Vec<usize>> = Vec::new();
    let mut sorted_by = |key: &dyn Fn(usize) -> isize| {
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|tensor| key(*tensor));
        orders.push(order);
    };
    let span = |tensor: usize| lifetimes[tensor].span();
    sorted_by(&|tensor| -distances.sizes[tensor]);
    sorted_by(&|tensor| span(tensor).0 as isize);
    sorted_by(&|tensor| -(span(tensor).1 as isize));
    sorted_by(&|tensor| -distances.sizes[tensor] * (span(tensor).1 - span(tensor).0 + 1) as isize);
    sorted_by(&|tensor| -((span(tensor).1 - span(tensor).0) as isize));
    let (mut best, mut best_order) = orders
        .into_iter()
        .map(|order| (placed(&order), order))
        .min_by_key(|(placed, _)| placed.arena)
        .expect("there are orders");
    let bound = super::lifetime::lower_bound(network, schedule, lifetimes).0;
    // Hill climbing by moving one tensor to the front or the back of the order; deterministic.
    let mut improved = count <= 400;
    while improved && best.arena > bound {
        improved = false;
        for position in 0..count {
            for to in [0, count - 1] {
                let mut order = best_order.clone();
                let tensor = order.remove(position);
                order.insert(to, tensor);
                let candidate = placed(&order);
                if candidate.arena < best.arena {
                    (best, best_order, improved) = (candidate, order, true);
                }
            }
        }
    }
    best
}

/// What lies in the arena while scratch memory is in use.
#[derive(PartialEq)]
struct Moment {
    /// Tensors, and how many bytes from their offset on are alive.
    alive: Vec<(usize, usize)>,
    /// Bytes of scratch memory.
    scratch: usize,
}

fn moments(network: &Network, schedule: &Schedule, lifetimes: &[Lifetime]) -> Vec<Moment> {
    let mut moments: Vec<Moment> = Vec::new();
    for step in 0..schedule.steps.len() {
        let scratch = schedule.scratch_at(step);
        if scratch == 0 {
            continue;
        }
        let alive = lifetimes.iter().enumerate().filter_map(|(tensor, lifetime)| {
            let unit = lifetime.unit(network.row_bytes(tensor), schedule.ring_rows[tensor]);
            let written = lifetime.birth.partition_point(|birth| *birth <= step);
            (written > 0 && lifetime.span().1 >= step).then_some((tensor, written * unit))
        });
        let moment = Moment {
            alive: alive.collect(),
            scratch,
        };
        if moments.last() != Some(&moment) {
            moments.push(moment);
        }
    }
    moments
}

/// Bytes of an arena at whose end scratch memory always keeps clear of what is alive.
fn arena(moments: &[Moment], offsets: &[usize], activations: usize) -> usize {
    let needed = moments.iter().map(|moment| {
        let ends = moment
            .alive
            .iter()
            .map(|(tensor, bytes)| offsets[*tensor] + bytes);
        ends.max().unwrap_or(0).next_multiple_of(ALIGNMENT) + moment.scratch
    });
    match needed.max() {
        Some(needed) => needed.max(activations).next_multiple_of(ALIGNMENT),
        None => activations,
    }
}

/// Places tensors in an order, each at the lowest offset that the ones before it leave.
fn first_fit(distances: &Distances, order: &[usize], alignment: isize) -> (Vec<isize>, isize) {
    let up = |offset: isize| (offset + alignment - 1).div_euclid(alignment) * alignment;
    let down = |offset: isize| offset.div_euclid(alignment) * alignment;
    let mut offsets = vec![0isize; order.len()];
    let mut total = 0;
    for (count, &tensor) in order.iter().enumerate() {
        let placed = &order[..count];
        let mut candidates = vec![0];
        for &other in placed {
            let offset = offsets[other];
            if let Some(reach) = distances.reach[other][tensor] {
                candidates.push(up(offset + distances.sizes[other]));
                candidates.push(down(offset + reach));
            }
            if let Some(reach) = distances.reach[tensor][other] {
                candidates.push(up(offset - reach));
            }
        }
        candidates.retain(|offset| *offset >= 0);
        candidates.sort_unstable();
        // The end of everything placed is always clear of everything.
        let offset = candidates
            .into_iter()
            .find(|offset| {
                placed
                    .iter()
                    .all(|other| distances.allow(*other, offsets[*other], tensor, *offset))
            })
            .unwrap_or(up(total));
        offsets[tensor] = offset;
        total = total.max(offset + distances.sizes[tensor]);
    }
    (offsets, total)
}

impl Distances {
    fn of(network: &Network, schedule: &Schedule, lifetimes: &[Lifetime]) -> Self {
        let count = lifetimes.len();
        let sizes = (0..count)
            .map(|t| (network.row_bytes(t) * schedule.ring_rows[t]) as isize)
            .collect::<Vec<_>>();
        let unit = |t: usize| lifetimes[t].unit(network.row_bytes(t), schedule.ring_rows[t]) as isize;
        let reach =
            |a: usize, b: usize| (a != b).then(|| reach(&lifetimes[a], unit(a), &lifetimes[b], unit(b)))?;
        let reach = (0..count)
            .map(|a| (0..count).map(|b| reach(a, b)).collect())
            .collect();
        Self { sizes, reach }
    }

    fn allow(&self, a: usize, a_offset: isize, b: usize, b_offset: isize) -> bool {
        let (Some(b_below), Some(a_below)) = (self.reach[a][b], self.reach[b][a]) else {
            return true;
        };
        b_offset - a_offset <= b_below
            || a_offset - b_offset <= a_below
            || b_offset >= a_offset + self.sizes[a]
            || a_offset >= b_offset + self.sizes[b]
    }
}

/// How far above a's offset b's may be, b lying lower: every row of b ends before the first row of a that is alive at
/// some time together with it. `None` if no two rows are ever alive together.
fn reach(a: &Lifetime, a_unit: isize, b: &Lifetime, b_unit: isize) -> Option<isize> {
    let meets =
        |row_a: usize, row_b: usize| a.birth[row_a] <= b.death[row_b] && b.birth[row_b] <= a.death[row_a];
    let mut least: Option<isize> = None;
    for row_b in 0..b.birth.len() {
        // Deaths never decrease from row to row, so the rows of a still alive begin here.
        let alive = a.death.partition_point(|death| *death < b.birth[row_b]);
        let Some(row_a) = (alive..a.birth.len()).find(|row_a| meets(*row_a, row_b)) else {
            continue;
        };
        let distance = row_a as isize * a_unit - (row_b as isize + 1) * b_unit;
        least = Some(least.map_or(distance, |least| least.min(distance)));
    }
    least
}

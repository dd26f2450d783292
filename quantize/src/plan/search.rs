//! Which nodes to stream together.

use super::lifetime::{lifetimes, lower_bound};
use super::schedule::{Segment, schedule};
use super::{Options, assemble};
use crate::network::{Network, Operation};
use sepconv::format::PUSH_INPUT;
use sepconv::layout::Target;

/// The most nodes of a segment that the search tries; longer chains gain nothing that several segments do not.
const LONGEST: usize = 64;

/// The steps of all schedules that the search tries, at most: some seconds. The largest networks are not searched to the
/// end, and get a larger arena than they could.
const STEPS_TRIED: usize = 30_000_000;

/// A segment for each node.
pub fn whole_segments(network: &Network) -> Vec<Segment> {
    (0..network.nodes.len())
        .map(|node| Segment {
            nodes: node..node + 1,
            rows_per_step: usize::MAX,
        })
        .collect()
}

/// Segments of a depthwise convolution and the pointwise one that alone reads it, in bands of about `bytes` bytes.
pub fn fused(network: &Network, bytes: usize) -> Vec<Segment> {
    let consumers = network.consumers();
    let mut segments: Vec<Segment> = Vec::new();
    for (number, node) in network.nodes.iter().enumerate() {
        let fuses = matches!(node.operation, Operation::Pointwise(_)) && number > 0 && {
            let before = &network.nodes[number - 1];
            matches!(before.operation, Operation::Depthwise(_))
                && before.output == node.inputs[0]
                && consumers[before.output].len() == 1
        };
        if fuses && let Some(last) = segments.last_mut() {
            last.nodes.end = number + 1;
            last.rows_per_step = (bytes / network.row_bytes(node.inputs[0])).max(1);
        } else {
            segments.push(Segment {
                nodes: number..number + 1,
                rows_per_step: usize::MAX,
            });
        }
    }
    segments
}

/// The segments with which the arena is smallest, by steepest descent: as long as it helps, the nodes around the peak are
/// streamed together. Then as many rows a step as the arena allows, since every step costs a little time.
pub fn smallest(network: &Network, options: &Options) -> Vec<Segment> {
    let mut best = whole_segments(network);
    let (mut bytes, mut node, mut tried) = peak(network, &best, options);
    while tried < STEPS_TRIED {
        let mut found = None;
        for from in node.saturating_sub(LONGEST)..=node {
            for to in node + 1..=(from + LONGEST).min(network.nodes.len()) {
                if to - from < 2 || tried >= STEPS_TRIED {
                    continue;
                }
                let candidate = merged(&best, from..to);
                let (candidate_bytes, candidate_node, steps) = peak(network, &candidate, options);
                tried += steps;
                if candidate_bytes < found.as_ref().map_or(bytes, |(bytes, _, _)| *bytes) {
                    found = Some((candidate_bytes, candidate_node, candidate));
                }
            }
        }
        match found {
            Some(better) => (bytes, node, best) = better,
            None => break,
        }
    }
    coarsened(network, best, options)
}

/// Runs more rows a step wherever the arena stays as small as the options want it. Networks of very many tensors are left
/// as they are: each trial places all of them anew, which would take minutes.
fn coarsened(network: &Network, mut segments: Vec<Segment>, options: &Options) -> Vec<Segment> {
    const MOST_TENSORS: usize = 250;
    if network.tensors.len() > MOST_TENSORS {
        return segments;
    }
    let smallest = assemble(network, &segments, options).arena;
    // Scratch memory counts as growth: an arena that is small for any processor stays so when it is packed for one.
    let target = Target::Plain;
    let without_scratch = assemble(network, &segments, &Options { target, ..*options }).arena;
    let most = smallest.max(without_scratch + without_scratch * options.growth_percent / 100);
    for index in 0..segments.len() {
        for rows in [usize::MAX, 8, 4, 3, 2] {
            let mut candidate = segments.clone();
            if rows <= candidate[index].rows_per_step {
                break;
            }
            candidate[index].rows_per_step = rows;
            let plan = assemble(network, &candidate, options);
            if plan.arena <= most {
                segments = candidate;
                break;
            }
        }
    }
    segments
}

/// One segment of the nodes of a range, one row a step; nodes that leave their segment run whole.
fn merged(segments: &[Segment], range: std::ops::Range<usize>) -> Vec<Segment> {
    let outside = |segment: &Segment| segment.nodes.end <= range.start || range.end <= segment.nodes.start;
    let mut all: Vec<Segment> = segments
        .iter()
        .filter(|segment| outside(segment))
        .cloned()
        .collect();
    for cut in segments.iter().filter(|segment| !outside(segment)) {
        for part in [cut.nodes.start..range.start, range.end..cut.nodes.end] {
            if !part.is_empty() {
                all.push(Segment {
                    nodes: part,
                    rows_per_step: 1,
                });
            }
        }
    }
    all.push(Segment {
        nodes: range,
        rows_per_step: 1,
    });
    all.sort_by_key(|segment| segment.nodes.start);
    all
}

/// The most bytes alive at one time, a node that runs then, and the number of steps.
fn peak(network: &Network, segments: &[Segment], options: &Options) -> (usize, usize, usize) {
    let schedule = schedule(network, segments, options);
    let lifetimes = lifetimes(network, &schedule, options.push_input);
    let (bytes, step) = lower_bound(network, &schedule, &lifetimes);
    let later = &schedule.steps[step.min(schedule.steps.len() - 1)..];
    let node = later
        .iter()
        .find(|step| step.operator != PUSH_INPUT)
        .map_or(0, |step| step.operator as usize);
    (bytes, node, schedule.steps.len())
}

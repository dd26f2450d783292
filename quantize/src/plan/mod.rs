//! The memory plan: in which order rows are computed, and where in the arena they live.
//!
//! The nodes are cut into consecutive [segments](schedule::Segment). A segment of one node runs whole. In a longer
//! segment, rows are computed when a later node of the segment asks for them, so a tensor that only the segment uses is
//! kept in a ring of the rows still needed. `search` picks the segments, `place` the offsets.

mod lifetime;
mod place;
pub mod schedule;
mod search;
#[cfg(test)]
mod tests;

use crate::network::Network;
pub use schedule::Segment;
use sepconv::format::Step;
use sepconv::layout::Target;

/// What the planner aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Stream rows where that lowers the peak. Otherwise every node runs whole.
    pub stream: bool,
    /// The caller pushes the input's rows one by one, so that the arena never holds all of them.
    pub push_input: bool,
    /// Tensors start at multiples of this.
    pub alignment: usize,
    /// What the network will be packed for: kernels of some layouts use scratch memory.
    pub target: Target,
    /// Fuse each depthwise convolution with the pointwise one after it, in bands whose depthwise rows take about so many
    /// bytes; 0 for no fusion. For hosts, where caches matter and memory does not.
    pub fuse_bytes: usize,
    /// By how many percent of its smallest size the arena may grow where rows are streamed, so that more rows are computed
    /// at a time: every step costs a little, and a window's rows are read again in every step.
    pub growth_percent: usize,
}

impl Options {
    /// The smallest arena, for microcontrollers.
    pub const SMALLEST: Options = Options {
        stream: true,
        push_input: false,
        alignment: 4,
        target: Target::Plain,
        fuse_bytes: 0,
        growth_percent: 0,
    };
    /// Every node whole.
    pub const WHOLE: Options = Options {
        stream: false,
        push_input: false,
        alignment: 16,
        target: Target::Plain,
        fuse_bytes: 0,
        growth_percent: 0,
    };
}

/// Where a tensor lives in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where its ring starts.
    pub offset: usize,
    /// Rows in the ring.
    pub ring_rows: usize,
}

/// A memory plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// A place for each tensor of the network.
    pub places: Vec<Place>,
    /// The schedule.
    pub steps: Vec<Step>,
    /// Bytes of the arena up to the end of the tensors.
    pub activations: usize,
    /// Bytes of the arena, scratch memory at its end included. It may lie over tensors that are not alive while it is used.
    pub arena: usize,
    /// The most bytes that are alive at one time under this schedule, scratch memory included: no placement can do with less.
    pub lower_bound: usize,
    /// What the arena would be with every node whole.
    pub whole: usize,
    /// The segments chosen.
    pub segments: Vec<Segment>,
    /// For each tensor, the first step that writes it and the last that reads it.
    pub lifetimes: Vec<(usize, usize)>,
}

/// Plans a network.
///
/// ```
/// # let network = sepconv_quantize::network::Network::default();
/// # if network.nodes.is_empty() { return; }
/// use sepconv_quantize::plan::{Options, plan};
/// let plan = plan(&network, &Options::SMALLEST);
/// println!("{} bytes, lower bound {}", plan.activations, plan.lower_bound);
/// ```
pub fn plan(network: &Network, options: &Options) -> Plan {
    let whole = search::whole_segments(network);
    let whole_arena = assemble(
        network,
        &whole,
        &Options {
            push_input: false,
            ..*options
        },
    )
    .arena;
    let candidates = if options.stream {
        // The search goes downhill only: where scratch memory leads it astray, going without may end lower.
        let without_scratch = Options {
            target: Target::Plain,
            ..*options
        };
        let mut candidates = vec![search::smallest(network, options)];
        if options.target != Target::Plain {
            candidates.push(search::smallest(network, &without_scratch));
        }
        candidates
    } else if options.fuse_bytes > 0 {
        vec![search::fused(network, options.fuse_bytes)]
    } else {
        vec![whole]
    };
    let plans = candidates
        .iter()
        .map(|segments| assemble(network, segments, options));
    let best = plans.min_by_key(|plan| plan.arena).expect("there are candidates");
    Plan {
        whole: whole_arena,
        ..best
    }
}

/// The plan that follows from segments.
fn assemble(network: &Network, segments: &[Segment], options: &Options) -> Plan {
    let schedule = schedule::schedule(network, segments, options);
    let lifetimes = lifetime::lifetimes(network, &schedule, options.push_input);
    let placed = place::place(network, &schedule, &lifetimes, options.alignment);
    let (activations, arena) = (placed.activations, placed.arena);
    let places = placed.offsets.into_iter().zip(&schedule.ring_rows);
    Plan {
        places: places
            .map(|(offset, ring_rows)| Place {
                offset,
                ring_rows: *ring_rows,
            })
            .collect(),
        activations,
        arena,
        lower_bound: lifetime::lower_bound(network, &schedule, &lifetimes).0,
        whole: arena,
        segments: segments.to_vec(),
        lifetimes: lifetimes.iter().map(|lifetime| lifetime.span()).collect(),
        steps: schedule.steps,
    }
}

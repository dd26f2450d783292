//! Rewrites that make a float graph smaller and change nothing but rounding in what it computes.
//!
//! [`simplify`] applies all of them until nothing changes. Every rewrite takes the graph and says whether it changed
//! anything; each has a test that the float output stays the same. Tensors whose quantization an already quantized
//! source fixed are only merged where the merged node gives the same integers, and quantized weights are never changed.

mod activation_patterns;
mod affine_chain;
mod affine_into_next;
mod affine_into_previous;
mod affine_to_depthwise;
mod channel_selection;
mod clamp;
mod dead;
mod global_pool;
mod identity;
mod pad;

#[cfg(test)]
pub(crate) mod testing;

pub use activation_patterns::recognize_activations;
pub use affine_chain::merge_affine;
pub use affine_into_next::fold_affine_into_next;
pub use affine_into_previous::fold_affine_into_previous;
pub use affine_to_depthwise::lower_affine;
pub use channel_selection::lower_channel_selection;
pub use clamp::fuse_clamp;
pub use dead::remove_dead;
pub use global_pool::unify_global_pools;
pub use identity::remove_identity;
pub use pad::fold_pad;

use crate::graph::{Graph, TensorId};

/// Applies every rewrite until nothing changes, and drops what is no longer used.
pub fn simplify(graph: &mut Graph) {
    // Folding comes before lowering, which would hide what can be folded.
    let fold: [fn(&mut Graph) -> bool; 8] = [
        remove_identity,
        recognize_activations,
        merge_affine,
        fold_affine_into_previous,
        fold_pad,
        fold_affine_into_next,
        fuse_clamp,
        unify_global_pools,
    ];
    let lower: [fn(&mut Graph) -> bool; 2] = [lower_channel_selection, lower_affine];
    let run_all = |graph: &mut Graph, rewrites: &[fn(&mut Graph) -> bool]| {
        // Every rewrite must run, so no short-circuiting.
        rewrites
            .iter()
            .fold(false, |changed, rewrite| rewrite(graph) | changed)
    };
    loop {
        while run_all(graph, &fold) {}
        if !run_all(graph, &lower) {
            break;
        }
    }
    remove_dead(graph);
}

/// The node that makes `tensor`, if nothing but one node reads the tensor and its quantization is free, so that the two
/// may become one.
fn mergeable_producer(graph: &Graph, tensor: TensorId) -> Option<usize> {
    let free = graph.tensor(tensor).quantization.is_none();
    if free && graph.uses(tensor) == 1 {
        graph.producer(tensor)
    } else {
        None
    }
}

/// Removes node `index`, whose result is that of the node or input that makes its only input: readers of its output
/// read `replacement`.
fn bypass(graph: &mut Graph, index: usize, replacement: TensorId) {
    let output = graph.nodes.remove(index).output;
    graph.replace_uses(output, replacement);
}

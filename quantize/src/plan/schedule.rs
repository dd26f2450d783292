//! From segments to steps and ring heights.

use super::Options;
use crate::network::{Network, Node, Operation, TensorId};
use sepconv::format::{PUSH_INPUT, Step};
use sepconv::layout::{LinearShape, Target};
use sepconv::{ALIGNMENT, Shape};
use std::ops::Range;

/// Consecutive nodes whose rows are computed together, on demand of the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The nodes.
    pub nodes: Range<usize>,
    /// How many rows a step computes at most.
    pub rows_per_step: usize,
}

/// The order of rows, and how many rows of each tensor are needed at a time.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The steps.
    pub steps: Vec<Step>,
    /// The rows that each tensor's ring must hold; all of them where it outlives its segment.
    pub ring_rows: Vec<usize>,
    /// Bytes of scratch memory that the kernel of each node uses.
    pub scratch: Vec<usize>,
}

/// Orders the rows of all nodes, segment by segment.
pub fn schedule(network: &Network, segments: &[Segment], options: &Options) -> Schedule {
    let push_input = options.push_input;
    let mut walk = Walk::new(network, push_input);
    for segment in segments {
        walk.rows_per_step = segment.rows_per_step;
        // The last node asks for rows of the others; what it did not ask for (other outputs of the segment) comes after.
        for node in std::iter::once(segment.nodes.end - 1).chain(segment.nodes.clone()) {
            walk.compute(node, walk.height(network.nodes[node].output));
        }
    }
    if push_input {
        walk.need(network.input, walk.height(network.input));
    }
    let mut ring_rows = walk.ring_rows;
    for (tensor, rows) in ring_rows.iter_mut().enumerate() {
        if !stays_in_a_segment(network, segments, tensor, push_input) {
            *rows = network.tensors[tensor].shape.height as usize;
        }
    }
    let steps = split_at_wraps(network, walk.steps, &ring_rows);
    Schedule {
        scratch: scratch(network, &steps, options.target),
        steps,
        ring_rows,
    }
}

/// Bytes of scratch memory that each node needs, packed for a target, for the most rows that one of its steps computes.
fn scratch(network: &Network, steps: &[Step], target: Target) -> Vec<usize> {
    let mut most_rows = vec![0; network.nodes.len()];
    for step in steps.iter().filter(|step| step.operator != PUSH_INPUT) {
        let most = &mut most_rows[step.operator as usize];
        *most = step.rows.max(*most);
    }
    let scratch_of = |(node, rows): (&Node, u16)| {
        let (Operation::Convolution(linear)
        | Operation::Depthwise(linear)
        | Operation::Pointwise(linear)
        | Operation::FullyConnected(linear)) = &node.operation
        else {
            return 0;
        };
        let (input, output) = (&network.tensors[node.inputs[0]], &network.tensors[node.output]);
        let shape = LinearShape {
            kind: node.operation.kind(),
            window: linear.window,
            element: input.element,
            weight_bits: linear.weight_bits,
            input: input.shape,
            output: output.shape,
        };
        let band = Shape {
            height: rows.into(),
            ..output.shape
        };
        let layout = target.layout(&shape);
        let scratch = layout.scratch_len(&LinearShape {
            output: band,
            ..shape
        });
        scratch.next_multiple_of(ALIGNMENT)
    };
    network.nodes.iter().zip(most_rows).map(scratch_of).collect()
}

/// Whether one segment computes a tensor and reads all of it.
fn stays_in_a_segment(network: &Network, segments: &[Segment], tensor: TensorId, push_input: bool) -> bool {
    let segment_of = |node: usize| segments.iter().position(|segment| segment.nodes.contains(&node));
    let uses = |number: &usize| {
        let node = &network.nodes[*number];
        node.output == tensor || node.inputs.contains(&tensor)
    };
    let mut users = (0..network.nodes.len()).filter(uses).map(segment_of);
    let first = users.next();
    let pushed = tensor == network.input && push_input;
    tensor != network.output
        && (tensor != network.input || pushed)
        && users.all(|segment| Some(segment) == first)
}

struct Walk<'n> {
    network: &'n Network,
    producers: Vec<Option<usize>>,
    consumers: Vec<Vec<(usize, usize)>>,
    rows_per_step: usize,
    /// Rows computed so far, by tensor.
    computed: Vec<usize>,
    ring_rows: Vec<usize>,
    steps: Vec<Step>,
}

impl<'n> Walk<'n> {
    fn new(network: &'n Network, push_input: bool) -> Self {
        let mut walk = Self {
            network,
            producers: network.producers(),
            consumers: network.consumers(),
            rows_per_step: usize::MAX,
            computed: vec![0; network.tensors.len()],
            ring_rows: vec![1; network.tensors.len()],
            steps: Vec::new(),
        };
        if !push_input {
            walk.computed[network.input] = walk.height(network.input);
        }
        walk
    }

    fn height(&self, tensor: TensorId) -> usize {
        self.network.tensors[tensor].shape.height as usize
    }

    /// Computes a node's rows up to `end`.
    fn compute(&mut self, node: usize, end: usize) {
        let network = self.network;
        let output = network.nodes[node].output;
        while self.computed[output] < end {
            let first = self.computed[output];
            let rows = self.rows_per_step.min(end - first);
            for (position, &input) in network.nodes[node].inputs.iter().enumerate() {
                let shape = network.tensors[input].shape;
                let (_, to) = network.nodes[node]
                    .operation
                    .input_rows(position, shape, first, rows);
                self.need(input, to);
            }
            self.step(node as u16, output, first, rows);
        }
    }

    /// Has a tensor's rows up to `end` computed, or pushed.
    fn need(&mut self, tensor: TensorId, end: usize) {
        if let Some(producer) = self.producers[tensor] {
            return self.compute(producer, end);
        }
        while self.computed[tensor] < end {
            self.step(PUSH_INPUT, tensor, self.computed[tensor], 1);
        }
    }

    fn step(&mut self, operator: u16, output: TensorId, first: usize, rows: usize) {
        self.computed[output] = first + rows;
        self.steps.push(Step {
            operator,
            reserved: 0,
            first_row: first as u16,
            rows: rows as u16,
        });
        let oldest = self.oldest_needed(output);
        self.ring_rows[output] = self.ring_rows[output].max(first + rows - oldest.min(first));
    }

    /// The first row of a tensor that some node still has to read.
    fn oldest_needed(&self, tensor: TensorId) -> usize {
        let height = self.height(tensor);
        let needed_by = |&(node, position): &(usize, usize)| {
            let node = &self.network.nodes[node];
            let next = self.computed[node.output];
            if next == self.height(node.output) {
                return height;
            }
            node.operation
                .input_rows(position, self.network.tensors[tensor].shape, next, 1)
                .0
        };
        self.consumers[tensor]
            .iter()
            .map(needed_by)
            .min()
            .unwrap_or(height)
    }
}

/// Cuts steps whose rows would not lie one after the other in their ring.
fn split_at_wraps(network: &Network, steps: Vec<Step>, ring_rows: &[usize]) -> Vec<Step> {
    let mut cut = Vec::with_capacity(steps.len());
    for mut step in steps {
        let tensor = if step.operator == PUSH_INPUT {
            network.input
        } else {
            network.nodes[step.operator as usize].output
        };
        while step.rows > 0 {
            let until_wrap = ring_rows[tensor] - step.first_row as usize % ring_rows[tensor];
            let rows = (step.rows as usize).min(until_wrap) as u16;
            cut.push(Step { rows, ..step });
            step = Step {
                first_row: step.first_row + rows,
                rows: step.rows - rows,
                ..step
            };
        }
    }
    cut
}

//! What the nodes of a network that is being quantized really get.
//!
//! A network is run from the last place that all later nodes depend on alone (the end of a residual block, for instance),
//! for which what the inputs come to is kept.

use crate::calibrate::Range;
use crate::convert::{ConvertError, Precision, convert};
use crate::graph::{Graph, Node, TensorId};
use crate::inference::{dequantize, quantize};
use crate::network::Metadata;
use crate::plan::{Options, plan};
use crate::write::to_bytes;
use rayon::prelude::*;
use sepconv::{AlignedVec, Element, Model, kernels, model::Tensor};
use std::collections::BTreeSet;

/// Inputs that are run before what they give is used up.
const AT_ONCE: usize = 8;

/// The part of a network that is computed once.
pub(super) struct Prefix<'a> {
    ranges: &'a [Range],
    precision: &'a Precision,
    /// For each node, whether all later nodes depend on its output alone.
    is_bottleneck: Vec<bool>,
    /// Nodes that are computed.
    done: usize,
    /// What the last of them made.
    tensor: TensorId,
    /// Its values, for every input.
    values: Vec<Vec<i8>>,
}

impl<'a> Prefix<'a> {
    pub(super) fn new(
        graph: &Graph,
        ranges: &'a [Range],
        precision: &'a Precision,
        inputs: &[Vec<f32>],
    ) -> Self {
        let input = description(graph, graph.input, precision);
        Prefix {
            ranges,
            precision,
            is_bottleneck: (0..graph.nodes.len()).map(|n| is_bottleneck(graph, n)).collect(),
            done: 0,
            tensor: graph.input,
            values: inputs.par_iter().map(|values| quantize(values, &input)).collect(),
        }
    }

    /// Calls `visit` with each input's number and what node `index` reads first, as real numbers. Returns the scale of
    /// what it reads. Nodes before it must not change later; nodes are asked for in order.
    pub(super) fn for_each_input_of(
        &mut self,
        graph: &Graph,
        index: usize,
        mut visit: impl FnMut(usize, &[f32]),
    ) -> Result<f32, ConvertError> {
        self.advance(graph, index)?;
        let wanted = graph.nodes[index].inputs[0];
        let runner = Runner::new(graph, self, index, wanted)?;
        for (number, chunk) in self.values.chunks(AT_ONCE).enumerate() {
            let outputs: Vec<Vec<f32>> = chunk
                .par_iter()
                .map(|input| dequantize(&runner.run(input), &runner.output))
                .collect();
            for (offset, values) in outputs.iter().enumerate() {
                visit(number * AT_ONCE + offset, values);
            }
        }
        Ok(runner.output.scale)
    }

    /// Moves on to the last bottleneck before a node.
    fn advance(&mut self, graph: &Graph, index: usize) -> Result<(), ConvertError> {
        let Some(last) = (self.done..index).rev().find(|node| self.is_bottleneck[*node]) else {
            return Ok(());
        };
        let tensor = graph.nodes[last].output;
        let runner = Runner::new(graph, self, last + 1, tensor)?;
        self.values = self.values.par_iter().map(|input| runner.run(input)).collect();
        (self.done, self.tensor) = (last + 1, tensor);
        Ok(())
    }
}

/// Whether the nodes after node `index` read nothing that it or nodes before it made but its output.
fn is_bottleneck(graph: &Graph, index: usize) -> bool {
    let made: Vec<TensorId> = graph.nodes[..index].iter().map(|node| node.output).collect();
    let reads_earlier = |id: &TensorId| *id == graph.input || made.contains(id);
    !graph.nodes[index + 1..]
        .iter()
        .flat_map(|node| &node.inputs)
        .any(reads_earlier)
}

/// Of nodes in order, those that a tensor depends on.
fn needed(nodes: &[Node], wanted: TensorId) -> Vec<Node> {
    let mut tensors = BTreeSet::from([wanted]);
    let mut kept = Vec::new();
    for node in nodes.iter().rev() {
        if tensors.contains(&node.output) {
            tensors.extend(&node.inputs);
            kept.push(node.clone());
        }
    }
    kept.reverse();
    kept
}

/// A part of a network.
struct Runner {
    /// Nothing where the part is empty.
    file: Option<AlignedVec<u8>>,
    output: Tensor,
}

impl Runner {
    /// The part between what a prefix holds and a tensor that one of the nodes before `end` makes.
    fn new(graph: &Graph, prefix: &Prefix, end: usize, wanted: TensorId) -> Result<Self, ConvertError> {
        if wanted == prefix.tensor {
            return Ok(Runner {
                file: None,
                output: description(graph, wanted, prefix.precision),
            });
        }
        let part = Graph {
            name: String::new(),
            // Tensors keep their numbers: ranges and widths go by them.
            tensors: graph.tensors.clone(),
            nodes: needed(&graph.nodes[prefix.done..end], wanted),
            input: prefix.tensor,
            output: wanted,
            preprocess: None,
            notes: Vec::new(),
        };
        let network = convert(&part, prefix.ranges, prefix.precision, Metadata::default())?;
        let file = to_bytes(&network, &plan(&network, &Options::WHOLE), kernels::best().target)
            .expect("converted networks fit the format");
        let output = Model::new(&file).expect("what was written can be read").output();
        Ok(Runner {
            file: Some(file),
            output,
        })
    }

    fn run(&self, input: &[i8]) -> Vec<i8> {
        let Some(file) = &self.file else {
            return input.to_vec();
        };
        let model = Model::new(file).expect("it could be read before");
        let mut arena = AlignedVec::zeroed(model.arena_len());
        let mut output = vec![0; model.output().bytes()];
        model
            .run(input, &mut arena, &mut output)
            .expect("the buffers have the model's sizes");
        output
    }
}

/// A tensor of a graph as the runtime describes it.
fn description(graph: &Graph, id: TensorId, precision: &Precision) -> Tensor {
    let tensor = graph.tensor(id);
    let quantization = tensor.quantization.expect("activations are pinned");
    let wide = precision.wide.contains(&id);
    Tensor {
        shape: sepconv::Shape::new(
            tensor.shape.height as u32,
            tensor.shape.width as u32,
            tensor.shape.channels as u32,
        ),
        element: if wide { Element::Int16 } else { Element::Int8 },
        zero_point: quantization.zero_point,
        scale: quantization.scale,
        ring_rows: tensor.shape.height,
        offset: 0,
    }
}

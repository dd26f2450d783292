//! Slices, splits and shuffles of channels become part of the convolution that reads them, or a pointwise convolution
//! of zeros and ones where something else does.

use crate::graph::{Convolution, Graph, Operator, Shape, Weights, Window};

/// Replaces rearrangements that only select channels.
pub fn lower_channel_selection(graph: &mut Graph) -> bool {
    let mut changed = false;
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let Operator::Rearrange { shape, map } = &node.operator else {
            continue;
        };
        let from = graph.shape(node.inputs[0]);
        let Some(selected) = selected_channels(from, *shape, map) else {
            continue;
        };
        let (input, output) = (node.inputs[0], node.output);
        let free = graph.tensor(output).quantization.is_none()
            || graph.tensor(output).quantization == graph.tensor(input).quantization;
        if !free {
            continue;
        }
        // Convolutions read the input themselves, with zeros for what is not selected.
        for consumer in graph.consumers(output) {
            if let Operator::Convolution(convolution) = &mut graph.nodes[consumer].operator
                && convolution.weights.quantized.is_none()
            {
                *convolution = reading_from(convolution, from.channels, &selected);
                graph.nodes[consumer].inputs[0] = input;
                changed = true;
            }
        }
        if graph.uses(output) > 0 && graph.tensor(output).quantization.is_none() {
            let mut values = vec![0.0; selected.len() * from.channels];
            for (o, &c) in selected.iter().enumerate() {
                values[o * from.channels + c] = 1.0;
            }
            graph.nodes[index].operator = Operator::Convolution(Convolution {
                window: Window::new(1, 1),
                in_channels: from.channels,
                out_channels: selected.len(),
                weights: Weights::new(values, Vec::new()),
            });
            changed = true;
        }
    }
    if changed {
        super::remove_dead(graph);
    }
    changed
}

/// The input channel behind every output channel, if every pixel stays where it is.
fn selected_channels(from: Shape, to: Shape, map: &[u32]) -> Option<Vec<usize>> {
    if (from.height, from.width) != (to.height, to.width) {
        return None;
    }
    let selected: Vec<usize> = map[..to.channels].iter().map(|&place| place as usize).collect();
    if selected.iter().any(|&c| c >= from.channels) {
        return None;
    }
    let follows = |(pixel, places): (usize, &[u32])| {
        places
            .iter()
            .zip(&selected)
            .all(|(&place, &c)| place as usize == pixel * from.channels + c)
    };
    map.chunks_exact(to.channels)
        .enumerate()
        .all(follows)
        .then_some(selected)
}

fn reading_from(convolution: &Convolution, channels: usize, selected: &[usize]) -> Convolution {
    let old = convolution.in_channels;
    let mut values = vec![0.0; convolution.weights.values.len() / old * channels];
    for (from, to) in convolution
        .weights
        .values
        .chunks_exact(old)
        .zip(values.chunks_exact_mut(channels))
    {
        for (&value, &c) in from.iter().zip(selected) {
            to[c] += value;
        }
    }
    let weights = Weights::new(values, convolution.weights.bias.clone());
    Convolution {
        in_channels: channels,
        weights,
        ..convolution.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Builder, assert_unchanged};
    use super::*;

    fn select(from: Shape, channels: &[usize]) -> Operator {
        let map =
            (0..from.pixels()).flat_map(|p| channels.iter().map(move |c| (p * from.channels + c) as u32));
        Operator::Rearrange {
            shape: Shape {
                channels: channels.len(),
                ..from
            },
            map: map.collect(),
        }
    }

    #[test]
    fn a_convolution_takes_the_selection_in() {
        let from = Shape::new(3, 4, 6);
        let graph = Builder::new(3, 4, 6)
            .operator(select(from, &[5, 0, 2]))
            .convolution(4, 3, 1)
            .finish();
        let after = assert_unchanged(&graph, lower_channel_selection);
        assert_eq!(after.nodes.len(), 1);
    }

    #[test]
    fn elsewhere_it_becomes_a_pointwise_convolution() {
        let from = Shape::new(3, 4, 6);
        let graph = Builder::new(3, 4, 6)
            .operator(select(from, &[1, 0, 3, 2]))
            .depthwise(3, 1)
            .finish();
        let after = assert_unchanged(&graph, lower_channel_selection);
        assert!(matches!(after.nodes[0].operator, Operator::Convolution(_)));
    }

    #[test]
    fn movements_of_pixels_stay() {
        let map = (0..12).rev().collect();
        let operator = Operator::Rearrange {
            shape: Shape::new(3, 4, 1),
            map,
        };
        assert!(!lower_channel_selection(
            &mut Builder::new(3, 4, 1).operator(operator).finish()
        ));
    }
}

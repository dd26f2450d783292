//! Real networks, where the measuring data is at hand.

use crate::graph::{Graph, Operator, Shape};
use crate::rewrite::simplify;
use crate::{float, onnx};
use std::path::PathBuf;

/// A model of the shared folder; `None`, with a line saying so, where it is absent.
fn shared(name: &str) -> Option<Graph> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let folder = std::env::var_os("SEPCONV_SHARED").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let path = folder.join("models").join(name);
    if !path.exists() {
        println!("left out: {} is absent", path.display());
        return None;
    }
    Some(onnx::read(&path).unwrap_or_else(|e| panic!("{name}: {e}")))
}

/// Simplifies a graph and checks that its output stays the same on an image.
fn simplified(graph: &Graph) -> Graph {
    let mut after = graph.clone();
    simplify(&mut after);
    let input = crate::rewrite::testing::random(graph.shape(graph.input).elements(), 1);
    let (before, now) = (
        float::run(graph, &input).unwrap(),
        float::run(&after, &input).unwrap(),
    );
    crate::rewrite::testing::assert_close(&now, &before, 1e-4);
    after
}

fn count(graph: &Graph, is: impl Fn(&Operator) -> bool) -> usize {
    graph.nodes.iter().filter(|node| is(&node.operator)).count()
}

#[test]
fn xception() {
    let Some(graph) = shared("xception-imagenet.onnx") else {
        return;
    };
    assert_eq!(graph.shape(graph.input), Shape::new(299, 299, 3));
    let after = simplified(&graph);
    assert_eq!(count(&after, |o| matches!(o, Operator::Convolution(_))), 40);
    assert_eq!(count(&after, |o| matches!(o, Operator::Depthwise(_))), 34);
    assert_eq!(count(&after, |o| matches!(o, Operator::Affine(_))), 0);
    // Only the ReLUs whose sum is also a shortcut stay alone.
    assert_eq!(count(&after, |o| *o == Operator::Clamp), 11);
    assert!(
        (8.3e9..8.5e9).contains(&(after.macs() as f64)),
        "{}",
        after.macs()
    );
}

#[test]
fn efficientnet_lite0() {
    let Some(graph) = shared("efficientnet-lite0.onnx") else {
        return;
    };
    let after = simplified(&graph);
    assert_eq!(count(&after, |o| *o == Operator::Clamp), 0);
    assert_eq!(
        count(&after, |o| matches!(
            o,
            Operator::Convolution(_) | Operator::Depthwise(_)
        )),
        49
    );
}

#[test]
fn small_xceptions() {
    for name in ["mini-xception-fer2013.onnx", "big-xception-fer2013.onnx"] {
        let Some(graph) = shared(name) else { continue };
        let after = simplified(&graph);
        assert_eq!(
            count(&after, |o| matches!(o, Operator::Affine(_) | Operator::Identity)),
            0
        );
        assert_eq!(after.shape(after.output), Shape::vector(7));
    }
}

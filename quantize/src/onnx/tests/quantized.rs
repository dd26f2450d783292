//! Models in QDQ format.

use super::model::{Model, int, ints};
use crate::convert;
use crate::graph::{Operator, Quantization};
use crate::inference::run_many;
use crate::network::{Metadata, Operation};
use crate::onnx::constant::{Constant, Values};
use tract_onnx::pb::tensor_proto::DataType;

fn integers(dims: &[usize], element: DataType, values: &[i64]) -> Constant {
    Constant {
        dims: dims.to_vec(),
        element,
        values: Values::Integers(values.to_vec()),
        quantized: None,
    }
}

/// A pointwise convolution of 2 channels to 3 with everything quantized, activations as uint8.
fn qdq() -> Model {
    let weights = [-127, 5, 17, 90, -3, 127];
    Model::new(&[1, 2, 3, 3])
        .scalar("xs", 0.5)
        .store("xz", integers(&[], DataType::Uint8, &[131]))
        .store("wq", integers(&[3, 2, 1, 1], DataType::Int8, &weights))
        .floats("ws", &[0.25, 0.5, 1.0])
        .store("wz", integers(&[3], DataType::Int8, &[0, 0, 0]))
        .store("bq", integers(&[3], DataType::Int32, &[1000, -70, 3]))
        .floats("bs", &[0.125, 0.25, 0.5])
        .store("bz", integers(&[3], DataType::Int32, &[0, 0, 0]))
        .scalar("ys", 2.0)
        .store("yz", integers(&[], DataType::Uint8, &[0]))
        .node("QuantizeLinear", &["x", "xs", "xz"], "xq", vec![])
        .node("DequantizeLinear", &["xq", "xs", "xz"], "xd", vec![])
        .node("DequantizeLinear", &["wq", "ws", "wz"], "w", vec![int("axis", 0)])
        .node("DequantizeLinear", &["bq", "bs", "bz"], "b", vec![int("axis", 0)])
        .node(
            "Conv",
            &["xd", "w", "b"],
            "h",
            vec![ints("kernel_shape", &[1, 1])],
        )
        .node("Relu", &["h"], "r", vec![])
        .node("QuantizeLinear", &["r", "ys", "yz"], "yq", vec![])
        .node("DequantizeLinear", &["yq", "ys", "yz"], "y", vec![])
}

#[test]
fn parameters_and_integers_are_kept_exactly() {
    let mut graph = qdq().import();
    crate::rewrite::simplify(&mut graph);
    assert_eq!(graph.nodes.len(), 1, "{graph}");
    assert!(!graph.nodes[0].clamp.is_none(), "the ReLU is fused");
    let quantization = |id| graph.tensor(id).quantization;
    assert_eq!(
        quantization(graph.input),
        Some(Quantization {
            scale: 0.5,
            zero_point: 3
        })
    );
    assert_eq!(
        quantization(graph.output),
        Some(Quantization {
            scale: 2.0,
            zero_point: -128
        })
    );
    let Operator::Convolution(convolution) = &graph.nodes[0].operator else {
        panic!("a convolution")
    };
    let weights = &convolution.weights;
    let quantized = weights.quantized.as_ref().expect("integers are kept");
    assert_eq!(quantized.values, [-127, 5, 17, 90, -3, 127]);
    assert_eq!(quantized.scales, [0.25, 0.5, 1.0]);
    assert_eq!(quantized.bias.as_deref(), Some(&[1000, -70, 3][..]));
    assert_eq!(weights.values, [-31.75, 1.25, 8.5, 45.0, -3.0, 127.0]);
    assert_eq!(weights.bias, [125.0, -17.5, 1.5]);
}

#[test]
fn weights_quantized_in_the_graph_are_folded() {
    let model = Model::new(&[1, 2])
        .store("w", Constant::floats(vec![2, 2], vec![0.26, -0.5, 0.75, 100.0]))
        .scalar("s", 0.5)
        .store("z", integers(&[], DataType::Int8, &[0]))
        .node("QuantizeLinear", &["w", "s", "z"], "q", vec![])
        .node("DequantizeLinear", &["q", "s", "z"], "d", vec![])
        .node("Gemm", &["x", "d"], "y", vec![int("transB", 1)]);
    let graph = model.import();
    let weights = graph.nodes[0].operator.weights().unwrap();
    // 1.5 rounds to the even 2.
    assert_eq!(weights.quantized.as_ref().unwrap().values, [1, -1, 2, 127]);
    assert_eq!(weights.values, [0.5, -0.5, 1.0, 63.5]);
}

#[test]
fn unsigned_weights_around_128_become_signed() {
    let model = Model::new(&[1, 2])
        .store("q", integers(&[2, 1], DataType::Uint8, &[0, 255]))
        .scalar("s", 0.5)
        .store("z", integers(&[], DataType::Uint8, &[128]))
        .node("DequantizeLinear", &["q", "s", "z"], "d", vec![])
        .node("Gemm", &["x", "d"], "y", vec![]);
    let graph = model.import();
    let weights = graph.nodes[0].operator.weights().unwrap();
    assert_eq!(weights.quantized.as_ref().unwrap().values, [-128, 127]);
}

#[test]
fn quantized_weights_are_not_rewritten() {
    let mut model = qdq();
    model.graph().output[0].name = "n".to_string();
    let model = model
        .random("g", &[3])
        .random("be", &[3])
        .random("m", &[3])
        .positive("v", &[3])
        .node("BatchNormalization", &["y", "g", "be", "m", "v"], "n", vec![]);
    let mut graph = model.import();
    crate::rewrite::simplify(&mut graph);
    assert_eq!(graph.nodes.len(), 2);
    assert!(graph.nodes[0].operator.weights().unwrap().quantized.is_some());
}

#[test]
fn a_second_quantization_is_a_step_of_its_own() {
    let mut model = qdq();
    model.graph().output[0].name = "again_d".to_string();
    let model = model
        .scalar("as", 3.0)
        .store("az", integers(&[], DataType::Int8, &[-5]))
        .node("QuantizeLinear", &["y", "as", "az"], "again", vec![])
        .node("DequantizeLinear", &["again", "as", "az"], "again_d", vec![]);
    let mut graph = model.import();
    crate::rewrite::simplify(&mut graph);
    assert_eq!(graph.nodes[1].operator, Operator::Identity);
    assert_eq!(
        graph.tensor(graph.output).quantization,
        Some(Quantization {
            scale: 3.0,
            zero_point: -5
        })
    );
}

#[test]
fn what_is_not_int8_is_refused() {
    let per_channel = Model::new(&[1, 2, 3, 3])
        .floats("s", &[0.5, 0.25])
        .store("z", integers(&[2], DataType::Int8, &[0, 0]))
        .node("QuantizeLinear", &["x", "s", "z"], "q", vec![])
        .node("DequantizeLinear", &["q", "s", "z"], "y", vec![]);
    assert!(per_channel.refusal().contains("several scales"));
    let wide = Model::new(&[1, 2, 3, 3])
        .scalar("s", 0.5)
        .store("z", integers(&[], DataType::Int16, &[0]))
        .node("QuantizeLinear", &["x", "s", "z"], "y", vec![]);
    assert!(wide.refusal().contains("int16"));
    let uneven = Model::new(&[1, 2])
        .store("q", integers(&[2, 1], DataType::Uint8, &[0, 255]))
        .scalar("s", 0.5)
        .store("z", integers(&[], DataType::Uint8, &[3]))
        .node("DequantizeLinear", &["q", "s", "z"], "d", vec![])
        .node("Gemm", &["x", "d"], "y", vec![]);
    assert!(uneven.refusal().contains("do not fit int8"));
}

/// A model that is quantized throughout becomes a network without calibration, and every integer of it is kept.
#[test]
fn nothing_has_to_be_calibrated() {
    let mut graph = qdq().import();
    crate::rewrite::simplify(&mut graph);
    assert_eq!(convert::uncalibrated(&graph), None);
    let network = convert::convert_quantized(&graph, Metadata::default()).unwrap();
    let (input, output) = (&network.tensors[network.input], &network.tensors[network.output]);
    assert_eq!((input.scale, input.zero_point), (0.5, 3));
    assert_eq!((output.scale, output.zero_point), (2.0, -128));
    let [node] = &network.nodes[..] else {
        panic!("{} operators", network.nodes.len());
    };
    let Operation::Pointwise(linear) = &node.operation else {
        panic!("{:?}", node.operation);
    };
    assert_eq!(linear.weights, [-127, 5, 17, 90, -3, 127]);
    assert_eq!(linear.bias, [1000, -70, 3]);
    let factors: Vec<f64> = linear
        .multipliers
        .iter()
        .map(|multiplier| multiplier.to_real())
        .collect();
    assert_eq!(factors, [0.0625, 0.125, 0.25]);
}

/// What lacks a quantization is named.
#[test]
fn a_model_quantized_in_part_has_to_be_calibrated() {
    let mut model = qdq();
    let last = model.graph().node.len() - 2;
    model.graph().node.truncate(last);
    model.graph().output[0].name = "r".into();
    let mut graph = model.import();
    crate::rewrite::simplify(&mut graph);
    assert_eq!(convert::uncalibrated(&graph), Some("r"));
}

/// Softmax has one quantization of its output only; where the file has another, a step of its own makes it.
#[test]
fn another_quantization_of_softmax_is_kept() {
    let model = Model::new(&[1, 4])
        .scalar("xs", 0.5)
        .store("xz", integers(&[], DataType::Int8, &[0]))
        .scalar("ys", 1.0 / 127.0)
        .node("QuantizeLinear", &["x", "xs", "xz"], "xq", vec![])
        .node("DequantizeLinear", &["xq", "xs", "xz"], "xd", vec![])
        .node("Softmax", &["xd"], "s", vec![int("axis", 1)])
        .node("QuantizeLinear", &["s", "ys", "xz"], "yq", vec![])
        .node("DequantizeLinear", &["yq", "ys", "xz"], "y", vec![]);
    let mut graph = model.import();
    crate::rewrite::simplify(&mut graph);
    let network = convert::convert_quantized(&graph, Metadata::default()).unwrap();
    let file = crate::testing::file(&network);
    let outputs = run_many(&sepconv::Model::new(&file).unwrap(), &[2, 2, 2, 2, 100, 0, 0, 0]).unwrap();
    // A quarter each, and all on one, in steps of 1/127: 31.75 and, from 255/256, 126.5.
    assert_eq!(outputs[..4], [32; 4]);
    assert!(outputs[4] >= 126 && outputs[5..] == [0; 3], "{outputs:?}");
}

//! Transposes, reshapes and shape arithmetic as exporters write them.

use super::model::{Model, float_value, int, ints, text};
use crate::graph::{Operator, Shape};
use crate::onnx::constant::{Constant, Values};
use tract_onnx::pb::tensor_proto::DataType;

fn convolved(model: Model) -> Model {
    model
        .random("w", &[4, 3, 3, 3])
        .node("Conv", &["x", "w"], "h", vec![ints("kernel_shape", &[3, 3])])
}

#[test]
fn flatten_before_gemm_reorders_the_weights() {
    let model = convolved(Model::new(&[1, 3, 6, 5])).random("d", &[48, 7]);
    let graph = model
        .node("Flatten", &["h"], "f", vec![])
        .node("Gemm", &["f", "d"], "y", vec![])
        .check();
    assert_eq!(graph.nodes.len(), 2, "no data is moved");
}

#[test]
fn reshape_by_shape_arithmetic() {
    // torch's x.view(x.size(0), -1)
    let model = convolved(Model::new(&[1, 3, 6, 5])).random("d", &[48, 7]);
    let graph = model
        .integers("first", &[0])
        .integers("rest", &[-1])
        .store(
            "zero",
            Constant {
                dims: vec![],
                ..Constant::integers(vec![0])
            },
        )
        .node("Shape", &["h"], "shape", vec![])
        .node("Gather", &["shape", "zero"], "n", vec![int("axis", 0)])
        .node("Unsqueeze", &["n", "first"], "n1", vec![])
        .node("Concat", &["n1", "rest"], "to", vec![int("axis", 0)])
        .node("Reshape", &["h", "to"], "f", vec![])
        .node("Gemm", &["f", "d"], "y", vec![])
        .check();
    assert_eq!(graph.nodes.len(), 2);
}

#[test]
fn symbolic_batch() {
    let mut model = convolved(Model::new(&[1, 3, 6, 5])).node("Relu", &["h"], "y", vec![]);
    model.graph().input[0] = float_value("x", vec![None, Some(3), Some(6), Some(5)]);
    let graph = model.import();
    assert_eq!(graph.shape(graph.input), Shape::new(6, 5, 3));
}

#[test]
fn static_batch_is_left_out() {
    let mut model = convolved(Model::new(&[8, 3, 6, 5]))
        .integers("to", &[8, 48])
        .random("d", &[48, 7])
        .node("Reshape", &["h", "to"], "f", vec![])
        .node("Gemm", &["f", "d"], "y", vec![]);
    assert_eq!(model.import().nodes.len(), 2);
    // The same values as with a batch of one.
    let batched = model.import();
    model.graph().input[0] = float_value("x", vec![Some(1), Some(3), Some(6), Some(5)]);
    model.graph().initializer.retain(|t| t.name != "to");
    let single = model.integers("to", &[1, 48]).import();
    assert_eq!(batched.nodes, single.nodes);
}

#[test]
fn channels_last_input_with_cancelling_transposes() {
    let model = Model::new(&[1, 6, 5, 3]).random("w", &[4, 3, 3, 3]);
    let graph = model
        .node("Transpose", &["x"], "t", vec![ints("perm", &[0, 3, 1, 2])])
        .node("Conv", &["t", "w"], "h", vec![ints("kernel_shape", &[3, 3])])
        .node("Relu", &["h"], "r", vec![])
        .node("Transpose", &["r"], "u", vec![ints("perm", &[0, 2, 3, 1])])
        .node("Transpose", &["u"], "y", vec![ints("perm", &[0, 3, 1, 2])])
        .check();
    assert_eq!(graph.shape(graph.input), Shape::new(6, 5, 3));
    assert_eq!(graph.nodes.len(), 1);
}

#[test]
fn channels_last_flatten_keeps_the_weights_order() {
    let model = convolved(Model::new(&[1, 3, 6, 5]))
        .integers("to", &[1, 48])
        .random("d", &[48, 7]);
    let graph = model
        .node("Transpose", &["h"], "t", vec![ints("perm", &[0, 2, 3, 1])])
        .node("Reshape", &["t", "to"], "f", vec![])
        .node("MatMul", &["f", "d"], "y", vec![])
        .check();
    assert_eq!(graph.nodes.len(), 2);
}

#[test]
fn matmul_over_channels_is_pointwise() {
    let model = convolved(Model::new(&[1, 3, 6, 5]))
        .random("d", &[4, 7])
        .random("b", &[7]);
    let graph = model
        .node("Transpose", &["h"], "t", vec![ints("perm", &[0, 2, 3, 1])])
        .node("MatMul", &["t", "d"], "m", vec![])
        .node("Add", &["m", "b"], "a", vec![])
        .node("Transpose", &["a"], "y", vec![ints("perm", &[0, 3, 1, 2])])
        .check();
    assert_eq!(graph.nodes.len(), 2);
}

#[test]
fn mean_over_flattened_pixels() {
    let model = convolved(Model::new(&[1, 3, 6, 5])).integers("to", &[1, 4, -1]);
    let graph = model
        .node("Reshape", &["h", "to"], "r", vec![])
        .node(
            "ReduceMean",
            &["r"],
            "y",
            vec![ints("axes", &[2]), int("keepdims", 0)],
        )
        .check();
    assert_eq!(graph.nodes[1].operator, Operator::GlobalAveragePool);
}

#[test]
fn squeeze_and_unsqueeze() {
    let model = convolved(Model::new(&[1, 3, 6, 5]))
        .integers("hw", &[2, 3])
        .random("d", &[4, 4, 1, 1]);
    model
        .node("GlobalAveragePool", &["h"], "p", vec![])
        .node("Squeeze", &["p", "hw"], "s", vec![])
        .node("Unsqueeze", &["s", "hw"], "u", vec![])
        .node("Conv", &["u", "d"], "y", vec![ints("kernel_shape", &[1, 1])])
        .check();
    let model = convolved(Model::new(&[1, 3, 6, 5]).opset(11));
    model
        .node("GlobalAveragePool", &["h"], "p", vec![])
        .node("Squeeze", &["p"], "s", vec![ints("axes", &[2, 3])])
        .node("Unsqueeze", &["s"], "u", vec![ints("axes", &[2, 3])])
        .node("Relu", &["u"], "y", vec![])
        .check();
}

#[test]
fn channel_shuffle_goes_into_the_next_convolution() {
    let model = Model::new(&[1, 6, 4, 5])
        .random("w", &[6, 6, 1, 1])
        .random("v", &[3, 6, 3, 3]);
    let graph = model
        .integers("split", &[1, 2, 3, 4, 5])
        .integers("join", &[1, 6, 4, 5])
        .node("Conv", &["x", "w"], "h", vec![ints("kernel_shape", &[1, 1])])
        .node("Reshape", &["h", "split"], "a", vec![])
        .node("Transpose", &["a"], "b", vec![ints("perm", &[0, 2, 1, 3, 4])])
        .node("Reshape", &["b", "join"], "c", vec![])
        .node("Conv", &["c", "v"], "y", vec![ints("kernel_shape", &[3, 3])])
        .check();
    assert_eq!(graph.nodes.len(), 2);
}

#[test]
fn half_precision_initializers_with_casts() {
    let half = |dims: &[usize], seed| {
        let values = crate::rewrite::testing::random(dims.iter().product(), seed);
        Constant::floats(dims.to_vec(), values).cast(DataType::Float16)
    };
    let (weights, bias) = (half(&[4, 3, 1, 1], 1), half(&[4], 2));
    let mut model = Model::new(&[1, 3, 6, 5]);
    for (name, constant) in [("w16", &weights), ("b16", &bias)] {
        let mut tensor = constant.to_proto(name);
        tensor.float_data.clear();
        tensor.data_type = DataType::Float16 as i32;
        let Values::Floats(values) = &constant.values else {
            panic!("floats stay floats")
        };
        tensor.raw_data = values
            .iter()
            .flat_map(|&v| half::f16::from_f32(v).to_le_bytes())
            .collect();
        model.graph().initializer.push(tensor);
    }
    let cast = || vec![int("to", DataType::Float as i64)];
    model
        .node("Cast", &["w16"], "w", cast())
        .node("Cast", &["b16"], "b", cast())
        .node("Conv", &["x", "w", "b"], "y", vec![ints("kernel_shape", &[1, 1])])
        .check();
}

#[test]
fn constants_left_unfolded_are_folded() {
    let model = Model::new(&[1, 3, 6, 5])
        .random("a", &[3, 4])
        .integers("to", &[4, 3, 1, 1]);
    model
        .node("Transpose", &["a"], "b", vec![ints("perm", &[1, 0])])
        .node("Mul", &["b", "b"], "c", vec![])
        .node("Reshape", &["c", "to"], "w", vec![])
        .node("Conv", &["x", "w"], "y", vec![ints("kernel_shape", &[1, 1])])
        .check();
}

#[test]
fn identity_and_dropout_vanish() {
    let graph = convolved(Model::new(&[1, 3, 6, 5]))
        .node("Dropout", &["h"], "d", vec![])
        .node("Identity", &["d"], "i", vec![])
        .node("Relu", &["i"], "y", vec![])
        .check();
    assert_eq!(graph.nodes.len(), 1);
}

#[test]
fn preprocessing_is_read_from_metadata() {
    let mut model = convolved(Model::new(&[1, 3, 6, 5])).node("Relu", &["h"], "y", vec![]);
    let json =
        r#"{"height":6,"width":5,"channels":3,"mean":[127.5,127.5,127.5],"std":[1,2,3],"classes":["a","b"]}"#;
    let property = |value: &str| tract_onnx::pb::StringStringEntryProto {
        key: "sepconv.preprocess".to_string(),
        value: value.to_string(),
    };
    model.proto.metadata_props = vec![property(json)];
    let found = model.import().preprocess.expect("it is there");
    assert_eq!((found.height, found.std[2], &found.classes[1][..]), (6, 3.0, "b"));
    model.proto.metadata_props = vec![property(&json.replace("[1,2,3]", "[1,2]"))];
    assert!(model.refusal().contains("2 standard deviations for 3 channels"));
    model.proto.metadata_props = vec![property("{")];
    assert!(model.refusal().contains("sepconv.preprocess"));
}

#[test]
fn grouped_convolution_says_what_it_costs() {
    let attributes = vec![
        int("group", 3),
        ints("kernel_shape", &[1, 1]),
        text("auto_pad", "VALID"),
    ];
    let model =
        Model::new(&[1, 6, 4, 4])
            .random("w", &[9, 2, 1, 1])
            .node("Conv", &["x", "w"], "y", attributes);
    let graph = model.check();
    assert!(graph.notes[0].contains("3 groups"), "{:?}", graph.notes);
}

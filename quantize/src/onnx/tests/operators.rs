//! Every operator against tract, on odd shapes.

use super::model::{Model, float, int, ints, text};
use crate::graph::Operator;

#[test]
fn convolutions() {
    let cases: [(&[usize], &[usize], Vec<_>); 9] = [
        (&[1, 3, 9, 7], &[5, 3, 3, 3], vec![]),
        (
            &[1, 3, 9, 7],
            &[5, 3, 3, 3],
            vec![ints("pads", &[1, 0, 2, 1]), ints("strides", &[2, 1])],
        ),
        (
            &[1, 3, 11, 12],
            &[5, 3, 3, 2],
            vec![ints("dilations", &[2, 3]), ints("pads", &[2, 2, 2, 2])],
        ),
        (
            &[1, 3, 9, 8],
            &[4, 3, 3, 3],
            vec![text("auto_pad", "SAME_UPPER"), ints("strides", &[2, 2])],
        ),
        (
            &[1, 3, 9, 8],
            &[4, 3, 4, 4],
            vec![text("auto_pad", "SAME_LOWER"), ints("strides", &[2, 3])],
        ),
        (&[1, 6, 9, 8], &[7, 6, 1, 1], vec![]),
        (
            &[1, 6, 9, 8],
            &[6, 1, 3, 3],
            vec![int("group", 6), ints("pads", &[1, 1, 1, 1])],
        ),
        (
            &[1, 5, 9, 8],
            &[10, 1, 5, 5],
            vec![int("group", 5), ints("strides", &[2, 2])],
        ),
        (
            &[1, 6, 9, 8],
            &[8, 3, 3, 3],
            vec![int("group", 2), ints("pads", &[1, 1, 1, 1])],
        ),
    ];
    for (input, weights, mut attributes) in cases {
        attributes.push(ints("kernel_shape", &[weights[2] as i64, weights[3] as i64]));
        let model = Model::new(input).random("w", weights).random("b", &weights[..1]);
        model
            .clone()
            .node("Conv", &["x", "w"], "y", attributes.clone())
            .check();
        model.node("Conv", &["x", "w", "b"], "y", attributes).check();
    }
}

#[test]
fn wide_depthwise_convolution_uses_whole_blocks() {
    let attributes = vec![
        int("group", 70),
        ints("kernel_shape", &[3, 3]),
        ints("pads", &[1, 1, 1, 1]),
    ];
    let model = Model::new(&[1, 70, 5, 4])
        .random("w", &[70, 1, 3, 3])
        .random("b", &[70]);
    let graph = model.node("Conv", &["x", "w", "b"], "y", attributes).check();
    assert!(matches!(graph.nodes[0].operator, Operator::Depthwise(_)));
}

#[test]
fn one_dimensional_convolution() {
    let attributes = vec![
        ints("kernel_shape", &[3]),
        ints("strides", &[2]),
        ints("pads", &[1, 0]),
    ];
    let model = Model::new(&[1, 4, 11]).random("w", &[5, 4, 3]);
    model
        .node("Conv", &["x", "w"], "h", attributes)
        .node("Relu", &["h"], "y", vec![])
        .check();
}

#[test]
fn batch_normalization_is_folded() {
    let model = Model::new(&[1, 3, 6, 5]).random("w", &[4, 3, 3, 3]);
    let model = model
        .random("g", &[4])
        .random("b", &[4])
        .random("m", &[4])
        .positive("v", &[4]);
    let graph = model
        .node("Conv", &["x", "w"], "h", vec![ints("kernel_shape", &[3, 3])])
        .node(
            "BatchNormalization",
            &["h", "g", "b", "m", "v"],
            "n",
            vec![float("epsilon", 1e-3)],
        )
        .node("Relu", &["n"], "y", vec![])
        .check();
    assert_eq!(graph.nodes.len(), 1);
}

#[test]
fn batch_normalization_alone() {
    let model = Model::new(&[1, 4, 6, 5])
        .random("g", &[4])
        .random("b", &[4])
        .random("m", &[4])
        .positive("v", &[4]);
    model
        .node("BatchNormalization", &["x", "g", "b", "m", "v"], "y", vec![])
        .check();
}

#[test]
fn arithmetic_with_constants() {
    for operator in ["Add", "Sub", "Mul", "Div"] {
        for dims in [&[][..], &[1], &[4, 1, 1], &[1, 4, 1, 1]] {
            let model = Model::new(&[1, 4, 3, 5]).positive("c", dims);
            model.clone().node(operator, &["x", "c"], "y", vec![]).check();
            if operator != "Div" {
                model.node(operator, &["c", "x"], "y", vec![]).check();
            }
        }
    }
    Model::new(&[1, 4, 3, 5]).node("Neg", &["x"], "y", vec![]).check();
}

#[test]
fn arithmetic_with_activations() {
    let convolution = |model: Model, output: &str, kernel: &[usize]| {
        let name = format!("w{output}");
        model
            .random(&name, kernel)
            .node("Conv", &["x", &name], output, vec![ints("kernel_shape", &[1, 1])])
    };
    for operator in ["Add", "Sub", "Mul", "Sum"] {
        let model = convolution(Model::new(&[1, 3, 4, 5]), "a", &[6, 3, 1, 1]);
        let model = convolution(model, "b", &[6, 3, 1, 1]);
        model.clone().node(operator, &["a", "b"], "y", vec![]).check();
        // Broadcast over pixels, as squeeze-and-excitation does.
        let model = model.node("GlobalAveragePool", &["b"], "p", vec![]);
        model.clone().node(operator, &["a", "p"], "y", vec![]).check();
        if operator != "Sum" {
            model.node(operator, &["p", "a"], "y", vec![]).check();
        }
    }
    let model = convolution(Model::new(&[1, 3, 4, 5]), "a", &[1, 3, 1, 1]);
    model.node("Mul", &["x", "a"], "y", vec![]).check();
}

#[test]
fn clamps() {
    let model = Model::new(&[1, 4, 3, 5]).scalar("low", -0.5).scalar("high", 1.25);
    model.clone().node("Relu", &["x"], "y", vec![]).check();
    model
        .clone()
        .node("Clip", &["x", "low", "high"], "y", vec![])
        .check();
    model
        .clone()
        .node("Clip", &["x", "", "high"], "y", vec![])
        .check();
    model.clone().node("Clip", &["x", "low"], "y", vec![]).check();
    model.clone().node("Max", &["x", "low"], "y", vec![]).check();
    model.node("Min", &["x", "high"], "y", vec![]).check();
    let attributes = vec![float("min", 0.0), float("max", 6.0)];
    Model::new(&[1, 4, 3, 5])
        .opset(9)
        .node("Clip", &["x"], "y", attributes)
        .check();
}

#[test]
fn activations() {
    let cases = [
        ("Sigmoid", vec![]),
        ("HardSigmoid", vec![]),
        ("HardSigmoid", vec![float("alpha", 0.3), float("beta", 0.4)]),
        ("Tanh", vec![]),
        ("Elu", vec![float("alpha", 0.7)]),
        ("Selu", vec![]),
        ("LeakyRelu", vec![float("alpha", 0.2)]),
        ("Softplus", vec![]),
        ("Softsign", vec![]),
        ("Abs", vec![]),
        ("Exp", vec![]),
    ];
    for (operator, attributes) in cases {
        Model::new(&[1, 4, 3, 5])
            .node(operator, &["x"], "y", attributes)
            .check();
    }
    Model::new(&[1, 4, 3, 5])
        .opset(14)
        .node("HardSwish", &["x"], "y", vec![])
        .check();
    for dims in [&[4, 1, 1][..], &[1]] {
        Model::new(&[1, 4, 3, 5])
            .positive("s", dims)
            .node("PRelu", &["x", "s"], "y", vec![])
            .check();
    }
    Model::new(&[1, 4, 3, 5])
        .scalar("e", 2.0)
        .node("Pow", &["x", "e"], "y", vec![])
        .check();
}

#[test]
fn spelled_out_swish_becomes_one_operator() {
    let model = Model::new(&[1, 4, 3, 5]).random("w", &[4, 4, 1, 1]);
    let graph = model
        .node("Conv", &["x", "w"], "h", vec![ints("kernel_shape", &[1, 1])])
        .node("Sigmoid", &["h"], "s", vec![])
        .node("Mul", &["h", "s"], "y", vec![])
        .check();
    assert_eq!(graph.nodes.len(), 2);
}

#[test]
fn spelled_out_hard_swish_becomes_one_operator() {
    let model = Model::new(&[1, 4, 3, 5]).random("w", &[4, 4, 1, 1]);
    let model = model.scalar("three", 3.0).scalar("zero", 0.0).scalar("six", 6.0);
    let graph = model
        .node("Conv", &["x", "w"], "h", vec![ints("kernel_shape", &[1, 1])])
        .node("Add", &["h", "three"], "a", vec![])
        .node("Clip", &["a", "zero", "six"], "c", vec![])
        .node("Mul", &["h", "c"], "m", vec![])
        .node("Div", &["m", "six"], "y", vec![])
        .check();
    assert_eq!(graph.nodes.len(), 2, "{graph}");
}

#[test]
fn pools() {
    let windows = [
        vec![ints("kernel_shape", &[3, 3])],
        vec![
            ints("kernel_shape", &[3, 2]),
            ints("strides", &[2, 1]),
            ints("pads", &[1, 0, 1, 1]),
        ],
        vec![
            ints("kernel_shape", &[3, 3]),
            ints("strides", &[2, 2]),
            text("auto_pad", "SAME_UPPER"),
        ],
        vec![
            ints("kernel_shape", &[2, 2]),
            ints("strides", &[2, 2]),
            int("ceil_mode", 1),
        ],
        vec![
            ints("kernel_shape", &[3, 3]),
            ints("strides", &[2, 2]),
            ints("pads", &[1, 1, 1, 1]),
            int("ceil_mode", 1),
        ],
    ];
    for attributes in windows {
        for dims in [[1, 4, 9, 7], [1, 4, 8, 10]] {
            Model::new(&dims)
                .node("MaxPool", &["x"], "y", attributes.clone())
                .check();
            Model::new(&dims)
                .node("AveragePool", &["x"], "y", attributes.clone())
                .check();
        }
    }
    let attributes = vec![
        ints("kernel_shape", &[3, 3]),
        ints("pads", &[1, 1, 1, 1]),
        int("count_include_pad", 1),
    ];
    Model::new(&[1, 4, 9, 7])
        .node("AveragePool", &["x"], "y", attributes)
        .check();
    let whole = vec![ints("kernel_shape", &[9, 7])];
    let graph = Model::new(&[1, 4, 9, 7])
        .node("AveragePool", &["x"], "y", whole)
        .check();
    assert_eq!(graph.nodes[0].operator, Operator::GlobalAveragePool);
    Model::new(&[1, 4, 9, 7])
        .node("GlobalAveragePool", &["x"], "y", vec![])
        .check();
    Model::new(&[1, 4, 9, 7])
        .node("GlobalMaxPool", &["x"], "y", vec![])
        .check();
}

#[test]
fn reductions_over_the_image() {
    for keep in [0, 1] {
        let attributes = vec![ints("axes", &[2, 3]), int("keepdims", keep)];
        let graph = Model::new(&[1, 4, 9, 7])
            .node("ReduceMean", &["x"], "y", attributes.clone())
            .check();
        assert_eq!(graph.nodes[0].operator, Operator::GlobalAveragePool);
        Model::new(&[1, 4, 9, 7])
            .node("ReduceMax", &["x"], "y", attributes)
            .check();
        let model = Model::new(&[1, 4, 9, 7]).opset(18).integers("axes", &[-1, -2]);
        model
            .node("ReduceMean", &["x", "axes"], "y", vec![int("keepdims", keep)])
            .check();
    }
}

#[test]
fn padding_is_folded() {
    let model = Model::new(&[1, 3, 6, 5])
        .integers("p", &[0, 0, 1, 0, 0, 0, 2, 1])
        .random("w", &[4, 3, 3, 3]);
    model.clone().node("Pad", &["x", "p"], "y", vec![]).check();
    let graph = model
        .node("Pad", &["x", "p"], "h", vec![])
        .node("Conv", &["h", "w"], "y", vec![ints("kernel_shape", &[3, 3])])
        .check();
    assert_eq!(graph.nodes.len(), 1);
    let model = Model::new(&[1, 3, 6, 5])
        .integers("p", &[0, 0, 1, 0, 0, 0, 2, 1])
        .scalar("v", 2.5);
    model.node("Pad", &["x", "p", "v"], "y", vec![]).check();
}

#[test]
fn concatenations() {
    let model = Model::new(&[1, 3, 6, 5]).random("w", &[4, 3, 1, 1]);
    model
        .node("Conv", &["x", "w"], "h", vec![ints("kernel_shape", &[1, 1])])
        .node("Concat", &["h", "x", "h"], "y", vec![int("axis", 1)])
        .check();
}

#[test]
fn slices_and_splits() {
    let model = Model::new(&[1, 8, 6, 5])
        .integers("s", &[2])
        .integers("e", &[7])
        .integers("a", &[1])
        .integers("t", &[2]);
    model
        .clone()
        .node("Slice", &["x", "s", "e", "a"], "y", vec![])
        .check();
    model
        .node("Slice", &["x", "s", "e", "a", "t"], "y", vec![])
        .check();
    let model = Model::new(&[1, 8, 6, 5])
        .integers("s", &[1, -4])
        .integers("e", &[6, 5])
        .integers("a", &[2, 3]);
    model.node("Slice", &["x", "s", "e", "a"], "y", vec![]).check();
    let mut model = Model::new(&[1, 8, 6, 5]).integers("parts", &[3, 5]);
    model = model.node("Split", &["x", "parts"], "a", vec![int("axis", 1)]);
    model.graph().node[0].output.push("b".to_string());
    model
        .node("Concat", &["b", "a"], "y", vec![int("axis", 1)])
        .check();
}

#[test]
fn resizing() {
    let asymmetric = vec![
        text("coordinate_transformation_mode", "asymmetric"),
        text("nearest_mode", "floor"),
    ];
    let model = Model::new(&[1, 3, 4, 5]).floats("scales", &[1.0, 1.0, 2.0, 3.0]);
    model
        .node("Resize", &["x", "", "scales"], "y", asymmetric)
        .check();
    let half_pixel = vec![text("coordinate_transformation_mode", "half_pixel")];
    let model = Model::new(&[1, 3, 4, 5]).floats("scales", &[1.0, 1.0, 2.0, 2.0]);
    model
        .node("Resize", &["x", "", "scales"], "y", half_pixel)
        .check();
}

#[test]
fn softmax_and_argmax() {
    Model::new(&[1, 10])
        .node("Softmax", &["x"], "y", vec![int("axis", 1)])
        .check();
    Model::new(&[1, 5, 3, 4])
        .node("Softmax", &["x"], "y", vec![int("axis", 1)])
        .check();
    Model::new(&[1, 10])
        .opset(11)
        .node("Softmax", &["x"], "y", vec![])
        .check();
    Model::new(&[1, 10])
        .node("ArgMax", &["x"], "y", vec![int("axis", 1), int("keepdims", 1)])
        .check();
    Model::new(&[1, 5, 3, 4])
        .node("ArgMax", &["x"], "y", vec![int("axis", 1), int("keepdims", 1)])
        .check();
}

#[test]
fn fully_connected() {
    let model = Model::new(&[1, 12])
        .random("w", &[12, 5])
        .random("t", &[5, 12])
        .random("b", &[5]);
    model.clone().node("Gemm", &["x", "w", "b"], "y", vec![]).check();
    model
        .clone()
        .node("Gemm", &["x", "t"], "y", vec![int("transB", 1)])
        .check();
    let graph = model
        .node("MatMul", &["x", "w"], "h", vec![])
        .node("Add", &["h", "b"], "y", vec![])
        .check();
    assert_eq!(graph.nodes.len(), 1);
}

//! Broken and unsupported models: each refusal names the node, the operator, the reason and a way out.

use super::model::{Model, float, float_value, int, ints, text};
use crate::onnx::read_bytes;
use prost::Message;
use tract_onnx::pb::ValueInfoProto;
use tract_onnx::pb::type_proto::Value as TypeValue;

fn convolution() -> Model {
    let attributes = vec![ints("kernel_shape", &[3, 3])];
    Model::new(&[1, 3, 6, 5])
        .random("w", &[4, 3, 3, 3])
        .node("Conv", &["x", "w"], "y", attributes)
}

#[track_caller]
fn refused(model: &Model, parts: &[&str]) {
    let message = model.refusal();
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
}

#[test]
fn damaged_files() {
    let bytes = convolution().bytes();
    assert!(read_bytes(&[]).unwrap_err().to_string().contains("no graph"));
    assert!(
        read_bytes(b"PK\x03\x04 this is a zip file")
            .unwrap_err()
            .to_string()
            .contains("not an ONNX model")
    );
    for cut in 1..bytes.len() {
        assert!(
            read_bytes(&bytes[..cut]).is_err(),
            "cut to {cut} of {} bytes",
            bytes.len()
        );
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let bytes = convolution().bytes();
    for at in 0..bytes.len() {
        for bit in [0, 3, 7] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            // Many flips are harmless; what matters is that none panics or allocates without bound.
            if let Ok(mut graph) = read_bytes(&damaged) {
                crate::rewrite::simplify(&mut graph);
            }
        }
    }
}

#[test]
fn missing_file() {
    let error = crate::onnx::read("no/such/model.onnx".as_ref())
        .unwrap_err()
        .to_string();
    assert!(error.contains("no/such/model.onnx"), "{error}");
}

#[test]
fn old_operator_set() {
    refused(&convolution().opset(6), &["operator set 6", "11 or later"]);
}

#[test]
fn several_inputs_or_outputs() {
    let mut model = convolution();
    model
        .graph()
        .input
        .push(float_value("mask", vec![Some(1), Some(4)]));
    refused(&model, &["2 inputs", "x, mask"]);
    let mut model = convolution();
    model.graph().output.push(ValueInfoProto {
        name: "z".to_string(),
        ..Default::default()
    });
    refused(&model, &["2 outputs", "y, z"]);
}

#[test]
fn dynamic_or_odd_inputs() {
    let mut model = convolution();
    model.graph().input[0] = float_value("x", vec![None, Some(3), None, None]);
    refused(&model, &["[N, 3, N, N]", "fixed height"]);
    model.graph().input[0] = float_value("x", vec![Some(1), Some(3), Some(4), Some(6), Some(5)]);
    refused(&model, &["[1, 3, 4, 6, 5]", "expected [batch, channels"]);
    model.graph().input[0] = float_value("x", vec![Some(1), Some(3), Some(-6), Some(5)]);
    refused(&model, &["-6"]);
    let mut model = convolution();
    if let Some(TypeValue::TensorType(tensor)) = &mut model.graph().input[0].r#type.as_mut().unwrap().value {
        tensor.elem_type = 7;
    }
    refused(&model, &["int64", "float input"]);
}

#[test]
fn unsupported_operators() {
    let cases = [
        ("LSTM", "recurrent"),
        ("ConvTranspose", "Resize followed by Conv"),
        ("LayerNormalization", "BatchNormalization works"),
        ("Loop", "constant folding"),
        ("QLinearConv", "QDQ"),
        ("NoSuchOperator", "not supported"),
    ];
    for (operator, part) in cases {
        let model = Model::new(&[1, 3, 6, 5]).node(operator, &["x"], "y", vec![]);
        refused(&model, &[&format!("{operator}_y"), operator, part]);
    }
    let mut model = Model::new(&[1, 3, 6, 5]).node("FusedConv", &["x"], "y", vec![]);
    model.graph().node[0].domain = "com.microsoft".to_string();
    refused(&model, &["com.microsoft", "standard ONNX operators"]);
}

#[test]
fn unsupported_attributes() {
    let x = || Model::new(&[1, 3, 6, 5]);
    refused(
        &x().node("Softmax", &["x"], "y", vec![int("axis", 2)]),
        &["axis 2", "channels"],
    );
    refused(
        &x().node("ReduceMean", &["x"], "y", vec![ints("axes", &[2])]),
        &["height and width together"],
    );
    let reflect = x().integers("p", &[0, 0, 1, 1, 0, 0, 1, 1]).node(
        "Pad",
        &["x", "p"],
        "y",
        vec![text("mode", "reflect")],
    );
    refused(&reflect, &["reflect", "constant"]);
    let linear = x().floats("s", &[1.0, 1.0, 2.0, 2.0]).node(
        "Resize",
        &["x", "", "s"],
        "y",
        vec![text("mode", "linear")],
    );
    refused(&linear, &["linear", "Nearest"]);
    let uneven = x()
        .floats("s", &[1.0, 1.0, 1.5, 1.5])
        .node("Resize", &["x", "", "s"], "y", vec![]);
    refused(&uneven, &["1.5", "Whole factors"]);
    refused(
        &x().node("Concat", &["x", "x"], "y", vec![int("axis", 2)]),
        &["axis 1"],
    );
    let image = x()
        .random("c", &[1, 3, 6, 5])
        .node("Add", &["x", "c"], "y", vec![]);
    refused(&image, &["[1, 3, 6, 5]", "one value per channel"]);
    refused(
        &x().node("Div", &["x", "x"], "y", vec![]),
        &["divides by an activation"],
    );
    refused(
        &x().node("MatMul", &["x", "x"], "y", vec![]),
        &["attention does not"],
    );
    let scaled =
        Model::new(&[1, 4])
            .random("w", &[4, 2])
            .node("Gemm", &["x", "w"], "y", vec![float("alpha", 2.0)]);
    refused(&scaled, &["alpha"]);
}

#[test]
fn shapes_that_do_not_fit() {
    let attributes = vec![ints("kernel_shape", &[3, 3])];
    let channels = Model::new(&[1, 2, 6, 5]).random("w", &[4, 3, 3, 3]);
    refused(
        &channels.node("Conv", &["x", "w"], "y", attributes.clone()),
        &["Conv_y", "2 channels"],
    );
    let small = Model::new(&[1, 3, 2, 2]).random("w", &[4, 3, 3, 3]);
    refused(
        &small.node("Conv", &["x", "w"], "y", attributes.clone()),
        &["larger than its padded input"],
    );
    let bias = Model::new(&[1, 3, 6, 5])
        .random("w", &[4, 3, 3, 3])
        .random("b", &[3]);
    refused(
        &bias.node("Conv", &["x", "w", "b"], "y", attributes),
        &["bias has 3 values for 4"],
    );
    let features = Model::new(&[1, 5])
        .random("w", &[4, 2])
        .node("Gemm", &["x", "w"], "y", vec![]);
    refused(&features, &["[1, 5]", "[4, 2]"]);
    let reshape = Model::new(&[1, 6])
        .integers("to", &[1, 7])
        .node("Reshape", &["x", "to"], "y", vec![]);
    refused(&reshape, &["[1, 6]", "[1, 7]"]);
}

#[test]
fn damaged_tensors_and_references() {
    let mut model = convolution();
    model.graph().initializer[0].float_data.pop();
    refused(&model, &["\"w\"", "108 values", "107"]);
    let mut model = convolution();
    model.graph().initializer[0].data_type = 999;
    refused(&model, &["\"w\"", "unknown element type 999"]);
    let mut model = convolution();
    model.graph().initializer[0].dims = vec![1 << 40, 1 << 40, 3, 3];
    refused(&model, &["too large to address"]);
    let mut model = convolution();
    model.graph().initializer[0].float_data[0] = f32::NAN;
    refused(&model, &["a weight is NaN"]);
    let mut model = convolution();
    model.graph().node[0].input[0] = "nothing".to_string();
    refused(&model, &["\"nothing\"", "Conv_y"]);
    let mut model = convolution();
    model.graph().output[0].name = "nowhere".to_string();
    refused(&model, &["\"nowhere\""]);
    let mut model = convolution();
    model.graph().initializer.clear();
    model
        .graph()
        .input
        .push(float_value("w", vec![Some(4), Some(3), Some(3), Some(3)]));
    refused(&model, &["2 inputs"]);
}

#[test]
fn external_data_must_lie_beside_the_model() {
    let mut model = convolution();
    let tensor = &mut model.graph().initializer[0];
    let values: Vec<u8> = tensor.float_data.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor.float_data.clear();
    tensor.data_location = Some(1);
    let entry = |key: &str, value: &str| tract_onnx::pb::StringStringEntryProto {
        key: key.to_string(),
        value: value.to_string(),
    };
    tensor.external_data = vec![entry("location", "weights.bin"), entry("offset", "4")];
    refused(&model, &["not read from a file"]);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, model.bytes()).unwrap();
    let error = crate::onnx::read(&path).unwrap_err().to_string();
    assert!(error.contains("weights.bin"), "{error}");
    std::fs::write(folder.path().join("weights.bin"), [&[0; 4][..], &values].concat()).unwrap();
    let graph = crate::onnx::read(&path).unwrap();
    assert_eq!(graph.nodes, convolution().import().nodes);

    model.graph().initializer[0].external_data = vec![entry("location", "../weights.bin")];
    std::fs::write(&path, model.proto.encode_to_vec()).unwrap();
    let error = crate::onnx::read(&path).unwrap_err().to_string();
    assert!(error.contains("outside the model's folder"), "{error}");
}

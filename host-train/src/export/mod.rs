//! Export to ONNX: opset 13, NCHW, any batch size, batch normalization left as nodes of their own.
//!
//! The input is named `image`, [batch, channels, height, width], normalized; the output `logits`, [batch, classes].
//! Nodes and weights are named after their place, as in [`Xception`](crate::Xception). The preprocessing goes into
//! `metadata_props` under [`METADATA_KEY`].

mod check;
mod graph;

use std::collections::HashMap;
use std::path::Path;

use prost::Message;
use sepconv_quantize::dataset::preprocess::METADATA_KEY;
use tch::Tensor;
use tract_onnx::pb::{ModelProto, OperatorSetIdProto, StringStringEntryProto};

use crate::architecture::{self, Feature, Layer, Module, Shortcut};
use crate::model::{NORM_EPSILON, layer_names, module_name};
use crate::network::bytes_of;
use crate::{Network, TrainError, files};
use graph::{GraphBuilder, float, int, ints};

pub use check::{ALLOWED_DIFFERENCE, check};

const OPSET: i64 = 13;
/// The version of the file format that came with opset 13.
const IR_VERSION: i64 = 7;

/// The network as an ONNX file.
pub fn to_onnx(network: &Network) -> Vec<u8> {
    let config = network.xception.config();
    let mut exporter = Exporter {
        graph: GraphBuilder::new("xception"),
        weights: network.store.variables(),
    };
    exporter
        .graph
        .input("image", &[config.channels, config.height, config.width]);
    let mut x = "image".to_string();
    for (index, module) in architecture::modules(config).iter().enumerate() {
        x = exporter.module(&module_name(index), module, &x);
    }
    let pooled = exporter.graph.node("GlobalAveragePool", "pool", &[&x], vec![]);
    let features = exporter
        .graph
        .node("Flatten", "features", &[&pooled], vec![int("axis", 1)]);
    let (weight, bias) = (
        exporter.weight("classifier.weight"),
        exporter.weight("classifier.bias"),
    );
    exporter.graph.node(
        "Gemm",
        "logits",
        &[&features, &weight, &bias],
        vec![int("transB", 1)],
    );
    exporter.graph.output("logits", &[config.classes]);

    let model = ModelProto {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: OPSET,
        }],
        producer_name: env!("CARGO_PKG_NAME").to_string(),
        producer_version: env!("CARGO_PKG_VERSION").to_string(),
        graph: Some(exporter.graph.finish()),
        metadata_props: vec![StringStringEntryProto {
            key: METADATA_KEY.to_string(),
            value: network.preprocess.to_json(),
        }],
        ..Default::default()
    };
    model.encode_to_vec()
}

/// Exports the network to `path` after checking that tract computes the same from it as libtorch does.
///
/// Returns the largest difference found, as [`check`] does; when that is too large, nothing is written.
pub fn export(network: &Network, path: &Path) -> Result<f32, TrainError> {
    let onnx = to_onnx(network);
    let difference = check(network, &onnx)?;
    files::write(path, &onnx)?;
    Ok(difference)
}

struct Exporter {
    graph: GraphBuilder,
    weights: HashMap<String, Tensor>,
}

impl Exporter {
    /// Adds a weight as a constant of its own name.
    fn weight(&mut self, name: &str) -> String {
        let tensor = &self.weights[name];
        self.graph.constant(name, tensor.size(), bytes_of(tensor))
    }

    fn module(&mut self, name: &str, module: &Module, input: &str) -> String {
        let mut x = input.to_string();
        let mut shape = module.input;
        for (layer_name, layer) in layer_names(&module.layers).iter().zip(&module.layers) {
            x = self.layer(&format!("{name}.{layer_name}"), *layer, &x, shape);
            shape = layer.output(shape);
        }
        let shortcut = match module.shortcut {
            Shortcut::None => return x,
            Shortcut::Identity => input.to_string(),
            Shortcut::Projection => {
                let name = format!("{name}.shortcut");
                let projected = self.convolution(&format!("{name}.convolution"), input, 1, 2, 0, 1);
                self.norm(&format!("{name}.norm"), &projected)
            }
        };
        self.graph
            .node("Add", &format!("{name}.add"), &[&x, &shortcut], vec![])
    }

    fn layer(&mut self, name: &str, layer: Layer, x: &str, shape: Feature) -> String {
        match layer {
            Layer::Convolution { stride, .. } => {
                let x = self.convolution(&format!("{name}.convolution"), x, 3, i64::from(stride), 0, 1);
                self.norm(&format!("{name}.norm"), &x)
            }
            Layer::Separable { .. } => {
                let channels = i64::from(shape.channels);
                let x = self.convolution(&format!("{name}.depthwise"), x, 3, 1, 1, channels);
                let x = self.convolution(&format!("{name}.pointwise"), &x, 1, 1, 0, 1);
                self.norm(&format!("{name}.norm"), &x)
            }
            Layer::Relu => self.graph.node("Relu", name, &[x], vec![]),
            Layer::MaxPool => {
                // As in `model::max_pool`: odd sizes are padded on both sides, even ones after the image.
                let (top, left) = (i64::from(shape.height % 2), i64::from(shape.width % 2));
                let attributes = vec![
                    ints("kernel_shape", &[3, 3]),
                    ints("strides", &[2, 2]),
                    ints("pads", &[top, left, 1, 1]),
                ];
                self.graph.node("MaxPool", name, &[x], attributes)
            }
        }
    }

    fn convolution(
        &mut self,
        name: &str,
        x: &str,
        kernel: i64,
        stride: i64,
        padding: i64,
        groups: i64,
    ) -> String {
        let weight = self.weight(&format!("{name}.weight"));
        let attributes = vec![
            ints("kernel_shape", &[kernel; 2]),
            ints("strides", &[stride; 2]),
            ints("pads", &[padding; 4]),
            int("group", groups),
        ];
        self.graph.node("Conv", name, &[x, &weight], attributes)
    }

    fn norm(&mut self, name: &str, x: &str) -> String {
        let parameters = ["weight", "bias", "running_mean", "running_var"]
            .map(|parameter| self.weight(&format!("{name}.{parameter}")));
        let [scale, bias, mean, variance] = &parameters;
        let attributes = vec![float("epsilon", NORM_EPSILON as f32)];
        self.graph.node(
            "BatchNormalization",
            name,
            &[x, scale, bias, mean, variance],
            attributes,
        )
    }
}

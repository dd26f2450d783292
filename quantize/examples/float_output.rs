//! The float output of a network as it is imported and simplified, to compare with what another runtime gives:
//!
//! ```sh
//! cargo run --release -p sepconv-quantize --example float_output -- model.onnx input.npy output.npy
//! ```
//!
//! Arrays are float32, channels last, one inference a row.

use npyz::WriterBuilder;
use sepconv_quantize::{convert, float, onnx, rewrite, tflite};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, input, output] = &arguments[..] else {
        return Err("usage: float_output MODEL INPUT.npy OUTPUT.npy".into());
    };
    let mut graph = if model.ends_with(".tflite") {
        tflite::read_float(Path::new(model))?
    } else {
        onnx::read(Path::new(model))?
    };
    rewrite::simplify(&mut graph);
    if let Some(tensor) = convert::uncalibrated(&graph) {
        eprintln!(
            "to be calibrated: {tensor} and others; {} operators",
            graph.nodes.len()
        );
    }
    let inputs: Vec<f32> = npyz::NpyFile::new(&std::fs::read(input)?[..])?.into_vec()?;
    let each = graph.shape(graph.input).elements();
    let (mut values, count) = (Vec::new(), inputs.len() / each);
    for input in inputs.chunks_exact(each) {
        values.extend(float::run(&graph, input)?);
    }
    let shape = [count as u64, (values.len() / count.max(1)) as u64];
    let mut file = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&shape)
        .writer(&mut file)
        .begin_nd()?;
    writer.extend(values)?;
    writer.finish()?;
    std::fs::write(output, file)?;
    Ok(())
}

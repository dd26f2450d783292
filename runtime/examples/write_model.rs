//! Writes a `.sepc` file by hand; `sepconv quantize` does it from an ONNX or TFLite file.
//!
//! `cargo run -p sepconv --features std --example write_model -- OUT.sepc [streamed]`

mod tiny;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("usage: write_model OUT.sepc [streamed]")?;
    let streamed = std::env::args().nth(2).is_some_and(|word| word == "streamed");
    let image = if streamed {
        tiny::streamed()
    } else {
        tiny::network()
    };
    let bytes = image.to_bytes();
    sepconv::Model::new(&bytes)?;
    std::fs::write(&path, &bytes[..]).map_err(|error| format!("{path}: {error}"))?;
    println!("{path}: {} bytes", bytes.len());
    Ok(())
}

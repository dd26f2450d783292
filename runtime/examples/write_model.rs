//! Writes a `.sepc` file by hand; `sepconv quantize` does it from an ONNX or TFLite file.
//!
//! `cargo run -p sepconv --features std --example write_model -- OUT.sepc`

mod tiny;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: write_model OUT.sepc")?;
    let bytes = tiny::network().to_bytes();
    sepconv::Model::new(&bytes)?;
    std::fs::write(&path, &bytes[..]).map_err(|error| format!("{path}: {error}"))?;
    println!("{path}: {} bytes", bytes.len());
    Ok(())
}

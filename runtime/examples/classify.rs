//! One inference, start to end: view a model, run it, read the scores.
//!
//! `cargo run -p sepconv --features std --example classify [M.sepc]`

mod tiny;

use sepconv::{AlignedVec, Model};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = tiny::model_or_tiny()?;
    let model = Model::new(&file)?;
    println!(
        "{} in, {} out, arena of {} bytes, kernels: {}",
        model.input().shape,
        model.output().shape,
        model.arena_len(),
        model.kernels().name
    );

    let mut arena = AlignedVec::zeroed(model.arena_len());
    let mut scores = vec![0; model.output().bytes()];
    // An image that is a ramp. Real pixels are quantized with the input's scale and zero point.
    let image: Vec<i8> = (0..model.input().bytes()).map(|number| number as i8).collect();
    model.run(&image, &mut arena, &mut scores)?;

    let best = (0..scores.len()).max_by_key(|class| scores[*class]);
    println!("scores {scores:?}: class {best:?}");
    Ok(())
}

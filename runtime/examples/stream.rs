//! An inference on rows that come one by one, as a camera gives them: the image is never whole in memory.
//!
//! `cargo run -p sepconv --features std --example stream`

mod tiny;

use sepconv::{AlignedVec, Model};

/// A row of an image that is a ramp.
fn camera_row(number: usize, row: &mut [i8]) {
    let len = row.len();
    for (position, value) in row.iter_mut().enumerate() {
        *value = (number * len + position) as i8;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let streamed = tiny::streamed().to_bytes();
    let model = Model::new(&streamed)?;
    let mut arena = AlignedVec::zeroed(model.arena_len());
    let mut session = model.start(&mut arena)?;
    let mut number = 0;
    while let Some(rows) = session.next_rows() {
        camera_row(number, rows);
        number += 1;
    }
    let scores = session.output().to_vec();
    println!("{number} rows, arena of {} bytes: {scores:?}", model.arena_len());

    // The same network on the whole image gives the same bytes from more memory.
    let whole = tiny::network().to_bytes();
    let model = Model::new(&whole)?;
    let image: Vec<i8> = (0..model.input().bytes()).map(|number| number as i8).collect();
    let mut arena = AlignedVec::zeroed(model.arena_len());
    let mut wanted = vec![0; scores.len()];
    model.run(&image, &mut arena, &mut wanted)?;
    println!("whole, arena of {} bytes: {wanted:?}", model.arena_len());
    if scores != wanted {
        return Err("the streamed scores differ".into());
    }
    Ok(())
}

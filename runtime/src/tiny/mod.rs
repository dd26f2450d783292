//! A tiny model to try things with; the examples of this documentation run it.
//!
//! An image of 8 × 8 × 3 goes through a 3 × 3 convolution to 8 channels, a separable convolution (depthwise, then pointwise
//! to 16 channels), the mean over the image, a fully connected layer to 4 classes, and softmax. The weights are made up.
//! `examples/write_model.rs` writes the files.
//!
//! ```
//! use sepconv::{Aligned, Model, tiny};
//!
//! let model = Model::new(&tiny::WHOLE.0)?;
//! let mut arena = Aligned([0; 2304]);
//! let mut scores = [0; 4];
//! model.run(&[0; 8 * 8 * 3], &mut arena.0, &mut scores)?;
//! assert_eq!(scores.iter().map(|score| *score as i32 + 128).sum::<i32>(), 256); // probabilities in 256ths
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::Aligned;

/// The model with every operator run whole.
pub static WHOLE: Aligned<[u8; include_bytes!("whole.sepc").len()]> = Aligned(*include_bytes!("whole.sepc"));

/// The same model, streamed: the caller pushes input rows, and convolutions keep only the rows that are still needed.
///
/// ```
/// use sepconv::{Model, tiny};
/// let (whole, streamed) = (Model::new(&tiny::WHOLE.0)?, Model::new(&tiny::STREAMED.0)?);
/// assert!(streamed.pushes_input() && streamed.arena_len() < whole.arena_len());
/// # Ok::<(), sepconv::ModelError>(())
/// ```
pub static STREAMED: Aligned<[u8; include_bytes!("streamed.sepc").len()]> =
    Aligned(*include_bytes!("streamed.sepc"));

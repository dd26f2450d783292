//! int8 inference for image classifiers built from depthwise separable convolutions.
//!
//! A model is a [`.sepc` file](format) in flash or memory. [`Model::new`] checks every field of it once and copies
//! nothing; after that, execution cannot fail and cannot panic. It needs no heap: all activations live in one caller-owned
//! [arena](Model::arena_len). It needs no floating point, and gives the same bits on every processor.
//!
//! ```
//! use sepconv::{Aligned, Model, tiny};
//!
//! let model = Model::new(&tiny::WHOLE.0)?; // or your own file; see `build` for compiling one in
//! let mut arena = Aligned([0; 2304]); // model.arena_len() bytes or more
//! model.input_mut(&mut arena.0)?.fill(0); // the image
//! let scores = model.invoke(&mut arena.0)?;
//! assert_eq!(scores.len(), 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![deny(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod align;
#[cfg(feature = "std")]
pub mod build;
pub mod crc32;
mod exec;
pub mod fixed_point;
pub mod format;
#[cfg(feature = "alloc")]
pub mod image;
pub mod kernels;
pub mod layout;
pub mod model;
mod observer;
pub mod operator;
#[cfg(feature = "parallel")]
pub mod parallel;
mod rows;
mod shape;
pub mod tiny;

#[cfg(feature = "alloc")]
pub use align::AlignedVec;
pub use align::{ALIGNMENT, Aligned};
pub use exec::{RunError, Session};
pub use model::{Model, ModelError};
pub use observer::Observer;
pub use rows::{Band, Rows};
pub use shape::{Element, Shape};

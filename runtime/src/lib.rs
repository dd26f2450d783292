//! int8 inference for image classifiers built from depthwise separable convolutions.
//!
//! A model is a [`.sepc` file](format) in flash or memory. [`Model::new`] checks every field of it once and copies
//! nothing; after that, execution cannot fail and cannot panic. It needs no heap: all activations live in one caller-owned
//! [arena](Model::arena_len). It needs no floating point, and gives the same bits on every processor.
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

#[cfg(feature = "alloc")]
pub use align::AlignedVec;
pub use align::{ALIGNMENT, Aligned};
pub use exec::{RunError, Session};
pub use model::{Model, ModelError};
pub use observer::Observer;
pub use rows::{Band, Rows};
pub use shape::{Element, Shape};

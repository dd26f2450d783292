//! Small models made here, imported, simplified, run, and compared with tract.

mod layouts;
mod model;
mod operators;
mod quantized;
mod refused;
mod shared_models;

//! The tasks, one module each.

pub mod accuracy;
pub mod conformance;
pub mod demo;
pub mod doctor;
pub mod emulated_pc;
pub mod flash;
pub mod icount;
pub mod memory;
pub mod peers;
pub mod qdq;
pub mod runtime_size;
pub mod sanitize;
pub mod test;

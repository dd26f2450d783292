//! The tasks, one module each.

pub mod doctor;
pub mod flash;
pub mod icount;
pub mod test;

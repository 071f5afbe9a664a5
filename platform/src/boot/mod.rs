//! From reset to a described machine, step by step.

pub mod fdt;
pub mod openfirmware;
pub mod tree;

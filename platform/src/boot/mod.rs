//! From reset to a described machine, step by step.

mod claims;
pub mod fdt;
pub mod openfirmware;
pub mod tree;

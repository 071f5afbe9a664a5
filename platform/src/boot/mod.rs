//! From reset to a described machine, step by step.

mod claims;
pub mod fdt;
pub mod frames;
pub mod openfirmware;
pub mod payload;
pub mod refusal;
pub mod slots;
pub mod tree;

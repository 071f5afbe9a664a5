//! From reset to a described machine, step by step.

pub mod fdt;
pub mod frames;
mod name;
pub mod openfirmware;
pub mod payload;
pub mod refusal;
pub mod slots;

//! x
pub mod openfirmware;

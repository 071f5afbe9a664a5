//! Radix tables (Power ISA 3.1B Book III 6.7): the shape of a tree ([`geometry`]), what an entry says ([`entry`]), and the
//! partition table entry that points at the root ([`pate`]).
//!
//! All entries are big-endian doublewords in memory. The types here hold them in native order; whoever stores them swaps.

pub mod entry;
pub mod geometry;
pub mod identity;
pub mod pate;

pub use entry::{Absent, Entry, Leaf, Rights, Table};
pub use geometry::Level;

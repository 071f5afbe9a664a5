//! A plain model of a hash guest's table, and sequences of calls, accesses and events that run hv-core's table on hostile hardware against it.
//!
//! ```text
//!                  ┌─► registers ─► guest::hcall ─► Tables on Hardware and Regions ─┐
//!   bytes ─► Ops ──┤                                                                ├─ registers, entries, accesses: the same?
//!                  └─► Model: a map of entries ─────────────────────────────────────┘
//! ```
//!
//! | file | what |
//! | --- | --- |
//! | [`op`] | one operation, decoded from twenty bytes: calls with every argument good or at its extremes |
//! | [`model`] | what PAPR says of each call, on a plain map and with numbers instead of types |
//! | [`pte`] | what the numbers of an entry mean |
//! | [`hardware`] | a search of the table, cached translations, R and C by late stores of bytes; memory for tables |
//! | [`regions`] | a guest's memory that comes and goes |
//! | [`guest`] | a guest with one processor, which calls and faults |
//! | `world`, `access`, `checks` | the two side by side |
//!
//! Property tests and the fuzz target differ only in where the bytes come from: both call [`run`].

mod access;
mod checks;
pub mod guest;
pub mod hardware;
pub mod model;
pub mod op;
pub mod pte;
pub mod regions;
mod world;

pub use op::Op;
pub use world::{Tally, run};

/// The partition.
pub const LPID: u32 = 5;

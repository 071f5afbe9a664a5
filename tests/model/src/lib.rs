//! A plain model of guest memory, and sequences of operations that run hv-core's memory core on the fake machine against it.
//!
//! ```text
//!                        ┌─► Space, Seats on a Machine ─┐
//!   bytes ─► Setup, Ops ─┤                              ├─ results, contents, books: the same?
//!                        └─► Model: a map of pages ─────┘
//! ```
//!
//! | file | what |
//! | --- | --- |
//! | [`setup`] | which hardware, granule, budget and slots a run begins with |
//! | [`op`] | one operation, decoded from eight bytes |
//! | [`memory`] | the model: slots, and the pages that differ from what their slot is made of |
//! | [`image`] | what images hold |
//! | [`log`](mod@log) | the model of the dirty log |
//! | [`world`] | the model and the real thing side by side |
//! | `access`, `mutation`, `logging`, `upkeep` | how each operation is done on both, and what has to agree |
//! | `checks` | what has to hold between operations, and at the end |
//!
//! [`hash`] is the same for a hash guest's table and the calls about it.
//!
//! Property tests and the fuzz target differ only in where the bytes come from: both call [`run`].

mod access;
mod checks;
pub mod hash;
pub mod image;
pub mod log;
mod logging;
pub mod memory;
mod mutation;
pub mod op;
pub mod setup;
mod upkeep;
pub mod world;

pub use op::Op;
pub use setup::Setup;
pub use world::{Tally, run};

//! What the fault path and the mutations cost.
//!
//! | module | what |
//! | --- | --- |
//! | [`arena`], [`hardware`] | a machine that costs next to nothing itself |
//! | [`baselines`] | one lock, and a read-write lock, in place of the pins |
//! | [`guest`] | guests of any size |
//! | [`faults`] | kinds of faults, as lists of them to be taken |
//! | [`growth`] | mutations on guests of different sizes |
//! | [`threads`] | faults per second with several threads |
//!
//! `benches/instructions.rs` counts instructions under callgrind, `src/bin/measure.rs` takes the time with several threads, `tests` holds what does not depend
//! on the machine: cache lines that threads write in turns, and what becomes of pages on which several threads fault at once.
//! `scripts/bench mmu` runs it all and draws it.

pub mod arena;
pub mod baselines;
pub mod faults;
pub mod growth;
pub mod guest;
pub mod hardware;
pub mod threads;

pub use hardware::Bench;

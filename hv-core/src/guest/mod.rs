//! One guest, seen from the guest: its processors, the calls it makes, its interrupts, and the tree that describes
//! them to it.
//!
//! ```text
//!   World::enter ──► Exit ──► run ──┬─ Storage ──► the memory half ([`crate::mmu`])
//!                                   ├─ Hcall   ──► hcall ──► rtas, xics, vty, vpa
//!                                   └─ the rest ─► inject
//! ```
//!
//! Whatever the guest says is a [`claim::Claim`] until it was checked.
#![forbid(unsafe_code)]

pub mod bundle;
pub mod claim;
pub mod cmdline;
pub mod devtree;
pub mod hcall;
pub mod host;
pub mod image;
pub mod inject;
pub mod layout;
pub mod machine;
pub mod processors;
pub mod regs;
pub mod rtas;
pub mod run;
pub mod sched;
pub mod stats;
#[cfg(test)]
mod testing;
pub mod vcpu;
pub mod vpa;
pub mod vty;
pub mod xics;

pub use host::{
    Exit, FaultHandler, GuestMemory, HashAnswer, Host, MachineError, MemoryError, Upkeep, UpkeepError, World,
};
pub use machine::{Flow, Machine, StopReason};
pub use regs::{HvState, Regs};
pub use run::{Ended, Parting, Runner};
pub use stats::Counters;
pub use vcpu::Vcpu;

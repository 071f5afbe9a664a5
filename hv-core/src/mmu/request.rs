//! What goes into the fault path and what comes out of it.

use ppc64_arch::addr::{EffAddr, GuestReal};

/// What the guest tried to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Access {
    /// A load.
    Read = 0,
    /// A store, or a walk that sets R or C in a guest's own table.
    Write = 1,
    /// An instruction fetch.
    Fetch = 2,
}

/// A guest storage interrupt as the platform decoded it. Everything in it is a *claim*: registers can be stale, and the guest can be
/// hostile, so the fault path looks for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageFault {
    /// Load, store or fetch.
    pub access: Access,
    /// The effective address (HDAR; for a fetch the next instruction address).
    pub ea: EffAddr,
    /// The guest real address (ASDR), low bits as they came.
    pub claim: GuestReal,
    /// The hardware was reading or updating the guest's own translation tables: `claim` is an address inside them.
    pub table_walk: bool,
    /// HDSISR, or HSRR1's cause bits for a fetch; `None` where the platform loses them.
    pub cause: Option<u32>,
}

/// What the fault path decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Resolution {
    /// The access can be tried again.
    Resume,
    /// Another CPU is at work on that page, or on the guest's memory; the ticket says what to wait for.
    Wait(Ticket),
    /// The address is in no memory slot, or the slot does not allow the access: the guest's own interrupt.
    Reflect(Reflect),
    /// No frame was left.
    OutOfMemory,
    /// The tables hold what nobody wrote there: a bug or broken memory. The guest has to end.
    MachineError,
}

/// Why the guest is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reflect {
    /// Outside every slot.
    NoSlot,
    /// The slot is read-only and this was a store.
    ReadOnly,
    /// The hardware reported a cause that no mapping can cure (bad tree, unsupported attribute): bits of HDSISR.
    Unsupported(u32),
}

/// Names a page that cannot be had right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The page that is waited for.
    pub page: GuestReal,
    /// What ends the wait.
    pub on: Awaited,
}

/// What somebody who waits for a page waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Another CPU has the page in transit: its entry will have another value than this one.
    Entry(u64),
    /// A mutation, or a fault that keeps mutations out, is under way: its lock will be given back.
    Mutation,
}

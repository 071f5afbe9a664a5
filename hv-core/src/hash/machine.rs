//! What a hashed table needs from the hardware, and from the guest's memory.

use crate::mmu::{Access, Resolution};
use ppc64_arch::addr::{GuestReal, HostReal};
use ppc64_arch::hash::PageSize;
use ppc64_arch::hash::tlbie::Operands;

/// The hardware below a table.
///
/// # Safety
/// An implementation upholds that [`forget`](Self::forget) returns only when no CPU can use a translation that it names, and when no CPU will store R or C of an entry that it found by one.
pub unsafe trait Translations: Sync {
    /// Drops translations on every CPU: all stores of entries before, then these operations, completed (`ptesync`, `tlbie` for each, `eieio; tlbsync; ptesync`).
    fn forget(&self, what: &[Operands]);
}

/// What stands at guest real addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The guest's memory.
    Memory,
    /// A device: entries for it are never shown to hardware, each access is the hypervisor's.
    Device,
    /// Nothing that is the guest's.
    Nothing,
}

/// A page that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its host real address, aligned to its size.
    pub frame: HostReal,
    /// Whether stores need nothing more: no copy, no mark in the dirty log.
    pub stores: bool,
}

/// The guest's memory, as a table sees it.
pub trait Backing {
    /// While this lives, frames that [`look`](Self::look) named are given to nobody else.
    type Pin<'a>
    where
        Self: 'a;

    /// Begins that.
    fn pin(&self) -> Self::Pin<'_>;

    /// The largest page that an entry may map.
    fn largest(&self) -> PageSize;

    /// What stands at `at..at + size`, all of it. It stays so for as long as the guest lives, but that memory may have slots or not.
    fn kind(&self, at: GuestReal, size: PageSize) -> Kind;

    /// The page of `size` at `at`, if it is in one piece of memory right now. An Acquire load of whatever says so.
    fn look(&self, at: GuestReal, size: PageSize) -> Option<Page>;

    /// Makes the page of `size` at `at` such that the access can go on and [`look`](Self::look) finds it, as a fault of a radix guest would: [`Resolution::Resume`] if that was done. Not
    /// pinned, no lock held.
    fn prepare(&self, at: GuestReal, size: PageSize, access: Access) -> Resolution;
}

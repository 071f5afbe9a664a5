//! What hardware walks of a hash guest in place of its space's tree: a hashed table, whose entries are made of what the tree says.
//!
//! The tree is then the hypervisor's own account of the guest's memory, and no hardware knows it. Whatever a space owes as a flush (`Owed`, reclaim) is paid here: entries of the hashed table that
//! map a part of what changed are taken from the hardware, and flushed. That the change stands in the tree before is the order that everything here keeps anyway.
//!
//! Granules: an entry of a hashed table maps one piece of host memory, so the tree has to have it in one piece. What the guest is told that it may use (`ibm,segment-page-sizes`) is what the tree can keep:
//!
//! | space | leaves | pages of the table |
//! | --- | --- | --- |
//! | a budget, or granule 4k | as ever | 4 KiB |
//! | anything else | 64 KiB, always | 4 KiB, 64 KiB |
//!
//! A kernel with pages of 64 KiB runs on either: without segments of 64 KiB Linux makes sixteen entries of 4 KiB of each of its pages. 16 MiB pages are not offered, since no tree has such leaves; without them
//! Linux maps its memory in the next smaller size.

use super::slot::Granule;
use core::fmt::Debug;
use ppc64_arch::addr::LeafSize;

/// The table of a hash guest, as its space sees it.
pub trait Hashed: Debug + Sync {
    /// Doubleword 0 of the partition table entry. Real mode has the largest pages that the guest may have: of 64 KiB, if `medium`.
    fn scoped(&self, medium: bool) -> u64;

    /// Hardware has nothing of guest real `from..to` any more. The space says already what that memory is by now.
    ///
    /// # Safety
    /// The caller keeps the table where it is: it holds the space's lock, or a pin under which its slots were open.
    unsafe fn evict(&self, from: u64, to: u64);

    /// From now on who comes to the table is turned away. Those that are there are waited for by a grace period.
    fn close(&self);

    /// Ends that.
    fn open(&self);

    /// Frees every entry.
    ///
    /// # Safety
    /// The table is closed, a grace period has gone by since, and the caller holds the space's lock: nobody is there. No vCPU runs.
    unsafe fn empty(&self);
}

/// The granule of a hash guest's space.
#[must_use]
pub(super) const fn granule(wanted: Granule, budget: bool) -> Granule {
    match wanted {
        Granule::Fixed(LeafSize::Size4K) => wanted,
        _ if budget => wanted,
        _ => Granule::Fixed(LeafSize::Size64K),
    }
}

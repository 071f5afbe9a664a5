//! What tables need from the machine: memory by host real address, and the flush. Everything else in [`mmu`](super) is plain Rust.

use crate::sync::AtomicU64;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};

/// What has to leave every CPU's translation caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Translations of leaves of one size in a range of a partition. What the page-walk cache knows of tables stays.
    Range {
        /// Whose.
        lpid: u32,
        /// The first guest real address, aligned to `size`.
        from: GuestReal,
        /// The first one behind, aligned likewise.
        to: GuestReal,
        /// The leaves' size.
        size: LeafSize,
    },
    /// Everything of a partition, cached table entries (page-walk cache) included.
    Partition {
        /// Whose.
        lpid: u32,
    },
}

impl Flush {
    /// Whose translations.
    #[must_use]
    pub const fn lpid(self) -> u32 {
        match self {
            Self::Range { lpid, .. } | Self::Partition { lpid } => lpid,
        }
    }
}

/// The machine below the tables.
///
/// # Safety
/// An implementation upholds: 1. for a frame that [`FramePool`](super::FramePool) handed out, the accessors reach that very memory;
/// 2. `flush` returns only when no CPU that it reaches can use a translation that it names; 3. none of them unwinds.
pub unsafe trait Hardware: Sync {
    /// The doublewords of the table at `table`, as they stand in memory: big-endian.
    ///
    /// # Safety
    /// `table..table + 8 * count` is a live table page of the caller's.
    unsafe fn entries(&self, table: HostReal, count: usize) -> &[AtomicU64];

    /// Zeroes `bytes` (a multiple of 4 KiB) at `at` (as aligned).
    ///
    /// # Safety
    /// The range is the caller's and nobody else accesses it.
    unsafe fn zero(&self, at: HostReal, bytes: u64);

    /// Copies `bytes` from `from` to `to`; the ranges do not overlap.
    ///
    /// # Safety
    /// `to` is the caller's alone, and `from` is not written meanwhile.
    unsafe fn copy(&self, to: HostReal, from: HostReal, bytes: u64);

    /// Makes what was just stored to a frame visible to instruction fetch on every CPU.
    ///
    /// # Safety
    /// The range is the caller's.
    unsafe fn make_executable(&self, at: HostReal, bytes: u64);

    /// Reads guest memory for the hypervisor. The guest may write it at the same time: the bytes are whatever was seen.
    ///
    /// # Safety
    /// The range lies in one frame that cannot be freed during the call.
    unsafe fn read(&self, at: HostReal, into: &mut [u8]);

    /// Writes guest memory for the hypervisor; the guest may access it at the same time.
    ///
    /// # Safety
    /// As for [`read`](Self::read), and the frame is not shared with an image.
    unsafe fn write(&self, at: HostReal, from: &[u8]);

    /// The contents of a frame that nobody else accesses.
    ///
    /// # Safety
    /// `at..at + bytes` lies in one frame of the caller's, which no guest and no other CPU can reach for as long as the slice lives.
    unsafe fn bytes(&self, at: HostReal, bytes: usize) -> &[u8];

    /// The same, to be written.
    ///
    /// # Safety
    /// As for [`bytes`](Self::bytes), and no other slice of the frame lives.
    #[allow(clippy::mut_from_ref, reason = "the memory is the caller's, not the hardware's")]
    unsafe fn bytes_mut(&self, at: HostReal, bytes: usize) -> &mut [u8];

    /// Whether it sets R when it uses a leaf, and goes on. If not, a page's use is noticed by taking its entry away for a while.
    fn sets_reference(&self) -> bool;

    /// Whether [`flush`](Self::flush) reaches every CPU, as `tlbie` does. If not it reaches the CPU that calls; the others are made to leave the guest, and
    /// flush before they enter it again.
    fn broadcasts(&self) -> bool;

    /// Completes the flush before it returns: on every CPU, or on this one ([`broadcasts`](Self::broadcasts)).
    fn flush(&self, what: Flush);

    /// Makes CPU number `cpu` leave the guest soon if it is in one, without waiting for it. Asked only where flushes do not reach every CPU.
    fn kick(&self, cpu: usize);

    /// CPU number `cpu` was kicked and has not left the guest in 2^20 looks at it: asked once after each so many, by whoever waits for it and goes on waiting. To be reported.
    fn stuck(&self, cpu: usize) {
        _ = cpu;
    }

    /// Writes a partition's entry in the partition table (two doublewords, native order here) and makes every CPU forget the old one.
    fn set_partition(&self, lpid: u32, scoped: u64, process: u64);
}

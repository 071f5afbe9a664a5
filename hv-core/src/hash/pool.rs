//! Memory for hashed tables out of the pool that guests' frames come from: one extent for a table and all that belongs to it.
//!
//! ```text
//!   extent   │ the table, aligned to its size │ sides, as many bytes │ heads │ to the end of the last block │
//! ```

use super::table::Parts;
use super::tables::HptMemory;
use crate::mmu::{Extent, Hardware, Memory};
use crate::sync::{AtomicU64, Ordering};
use core::fmt::{self, Debug, Formatter};
use ppc64_arch::addr::{HostReal, LeafSize};
use ppc64_arch::hash::Shape;

/// Tables in a pool, out of what is promised to nobody. A guest asks for tables as it likes: what it has there must not be missing later where it, or another one, was promised memory.
pub struct FromPool<'m, H> {
    memory: &'m Memory<H>,
    /// Bytes that are promised to nobody. Relaxed throughout: nothing is published by it.
    spare: AtomicU64,
}

/// How many bytes a table of `shape` takes, with its sides and `heads` heads: whole blocks.
#[must_use]
pub const fn bytes_of(shape: Shape, heads: usize) -> u64 {
    (2 * shape.bytes() + 8 * heads as u64).next_multiple_of(LeafSize::Size2M.bytes())
}

impl<H> Debug for FromPool<'_, H> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromPool").field("spare", &self.spare).finish_non_exhaustive()
    }
}

impl<'m, H: Hardware> FromPool<'m, H> {
    /// All that is free in this memory is promised to nobody yet.
    #[must_use]
    pub fn new(memory: &'m Memory<H>) -> Self {
        Self { memory, spare: AtomicU64::new(memory.pool.free_bytes()) }
    }

    /// Where they are.
    #[must_use]
    pub const fn memory(&self) -> &'m Memory<H> {
        self.memory
    }

    /// Bytes that are promised to nobody.
    #[must_use]
    pub fn spare(&self) -> u64 {
        self.spare.load(Ordering::Relaxed)
    }

    /// Promises so many bytes: no table takes them. False, and nothing promised, if there are fewer.
    #[must_use]
    pub fn promise(&self, bytes: u64) -> bool {
        let less = |spare: u64| spare.checked_sub(bytes);
        self.spare.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn release(&self, bytes: u64) {
        self.spare.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl<'m, H: Hardware> HptMemory<'m> for FromPool<'m, H> {
    fn take(&self, shape: Shape, heads: usize) -> Option<Parts<'m>> {
        let (memory, bytes) = (self.memory, bytes_of(shape, heads));
        if !self.promise(bytes) {
            return None;
        }
        let Some(extent) = memory.pool.take_extent(bytes, shape.bytes()) else {
            self.release(bytes);
            return None;
        };
        let at = extent.into_raw();
        let words = 2 * shape.entries() as usize;
        let part = |offset, count| {
            // SAFETY: 1. The extent is ours until `give`, and large enough for all three parts. 2. Everyone reaches them by atomics.
            unsafe { memory.hardware.entries(HostReal::new(at.raw() + offset), count) }
        };
        let (sides, tail) = (shape.bytes(), 2 * shape.bytes());
        Some(Parts { shape, at, entries: part(0, words), sides: part(sides, words), heads: part(tail, heads) })
    }

    fn give(&self, parts: Parts<'m>) {
        let bytes = bytes_of(parts.shape, parts.heads.len());
        // SAFETY: 1. Made by `take`, of the same shape and as many heads. 2. Nobody uses it any more, by the caller.
        let extent = unsafe { Extent::from_raw(parts.at, bytes) };
        self.memory.pool.put_extent(extent);
        self.release(bytes);
    }
}

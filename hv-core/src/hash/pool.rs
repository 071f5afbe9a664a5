//! Memory for hashed tables out of the pool that guests' frames come from: one extent for a table and all that belongs to it.
//!
//! ```text
//!   extent   │ the table, aligned to its size │ sides, as many bytes │ heads │ to the end of the last block │
//! ```

use super::table::Parts;
use super::tables::HptMemory;
use crate::mmu::{Extent, Hardware, Memory};
use core::fmt::{self, Debug, Formatter};
use ppc64_arch::addr::HostReal;
use ppc64_arch::hash::Shape;

/// Tables in this memory.
pub struct FromPool<'m, H>(pub &'m Memory<H>);

/// How many bytes a table of `shape` takes, with its sides and `heads` heads.
#[must_use]
pub const fn bytes_of(shape: Shape, heads: usize) -> u64 {
    2 * shape.bytes() + 8 * heads as u64
}

impl<H> Debug for FromPool<'_, H> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromPool").finish_non_exhaustive()
    }
}

impl<'m, H: Hardware> HptMemory<'m> for FromPool<'m, H> {
    fn take(&self, shape: Shape, heads: usize) -> Option<Parts<'m>> {
        let Self(memory) = *self;
        let at = memory.pool.take_extent(bytes_of(shape, heads), shape.bytes())?.into_raw();
        let words = 2 * shape.entries() as usize;
        let part = |offset, count| {
            // SAFETY: 1. The extent is ours until `give`, and large enough for all three parts. 2. Everyone reaches them by atomics.
            unsafe { memory.hardware.entries(HostReal::new(at.raw() + offset), count) }
        };
        let (sides, tail) = (shape.bytes(), 2 * shape.bytes());
        Some(Parts { shape, at, entries: part(0, words), sides: part(sides, words), heads: part(tail, heads) })
    }

    fn give(&self, parts: Parts<'m>) {
        // SAFETY: 1. Made by `take`, of the same shape and as many heads. 2. Nobody uses it any more, by the caller.
        let extent = unsafe { Extent::from_raw(parts.at, bytes_of(parts.shape, parts.heads.len())) };
        self.0.pool.put_extent(extent);
    }
}

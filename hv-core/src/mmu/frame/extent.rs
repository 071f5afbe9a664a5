//! Contiguous memory larger than a frame, for hashed page tables: whole 2 MiB blocks side by side, aligned as a table has to be.
//!
//! The pool hands out its blocks in no particular order, so there are many such stretches while a guest begins, and there may be none later: whoever asks has to live with that.
//! Finding one looks at each block once, under the pool's lock. No fault does it: only a guest's start, and a resize that the guest asked for.

use ppc64_arch::addr::{HostReal, LeafSize};

/// Contiguous blocks, owned. Dropping them without giving them back leaks them.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "memory that is dropped is lost"]
pub struct Extent {
    at: HostReal,
    blocks: usize,
}

impl Extent {
    /// How many blocks `bytes` bytes take.
    pub(super) const fn blocks_of(bytes: u64) -> usize {
        bytes.div_ceil(LeafSize::Size2M.bytes()) as usize
    }

    /// `blocks` blocks at `at`, which the caller has taken out of the pool.
    pub(super) const fn of(at: HostReal, blocks: usize) -> Self {
        Self { at, blocks }
    }

    /// Where it is.
    #[must_use]
    pub const fn at(&self) -> HostReal {
        self.at
    }

    /// How large it is.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.blocks as u64 * LeafSize::Size2M.bytes()
    }

    /// Each of its blocks.
    pub(super) fn each(&self) -> impl Iterator<Item = HostReal> + use<> {
        let from = self.at.raw();
        (0..self.blocks as u64).map(move |block| HostReal::new(from + block * LeafSize::Size2M.bytes()))
    }

    /// Gives it to something that remembers where it is.
    #[must_use]
    pub fn into_raw(self) -> HostReal {
        self.at
    }

    /// Takes it back.
    ///
    /// # Safety
    /// It was given away by [`into_raw`](Self::into_raw), is at `at`, and was taken for `bytes` bytes; nobody uses it any more.
    pub const unsafe fn from_raw(at: HostReal, bytes: u64) -> Self {
        Self { at, blocks: Self::blocks_of(bytes) }
    }
}

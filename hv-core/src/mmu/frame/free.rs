//! Which pages of a 2 MiB block are free, a bit each, and a run of them that one CPU has for itself.

use super::Frame;
use ppc64_arch::addr::{HostReal, LeafSize};

/// Pages of a block.
pub(super) const PAGES: u32 = (LeafSize::Size2M.bytes() / LeafSize::Size4K.bytes()) as u32;
const WORDS: usize = PAGES.div_ceil(64) as usize;

/// The free pages of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Free([u64; WORDS]);

/// `count` pages from `first` on: a power of two, `first` a multiple of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    first: u32,
    count: u32,
}

impl Span {
    pub(super) const fn new(first: u32, count: u32) -> Self {
        Self { first, count }
    }

    /// The words that it has bits in, and which.
    fn words(self) -> impl Iterator<Item = (usize, u64)> {
        let bits = u64::MAX >> (64 - self.count.min(64)) << (self.first % 64);
        let first = (self.first / 64) as usize;
        (first..first + self.count.div_ceil(64) as usize).map(move |word| (word, bits))
    }
}

impl Free {
    /// No page.
    pub(super) const NONE: Self = Self([0; WORDS]);
    /// The pages of one 64 KiB piece.
    pub(super) const LANE_PAGES: u32 = (LeafSize::Size64K.bytes() / LeafSize::Size4K.bytes()) as u32;
    const LANE: u64 = (1 << Self::LANE_PAGES) - 1;

    pub(super) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// The first free page, which is so no longer.
    #[inline]
    pub(super) fn take_page(&mut self) -> Option<u32> {
        let word = self.0.iter().position(|&bits| bits != 0)?;
        let bit = self.0[word].trailing_zeros();
        self.0[word] &= self.0[word] - 1;
        Some(word as u32 * 64 + bit)
    }

    /// The first page of the first 64 KiB piece that is free as a whole, which is so no longer.
    pub(super) fn take_lane(&mut self) -> Option<u32> {
        for (word, bits) in (0u32..).zip(self.0.iter_mut()) {
            for bit in (0..64).step_by(Self::LANE_PAGES as usize) {
                if *bits >> bit & Self::LANE == Self::LANE {
                    *bits &= !(Self::LANE << bit);
                    return Some(word * 64 + bit);
                }
            }
        }
        None
    }

    /// All of them; none is left.
    pub(super) fn take_all(&mut self) -> Self {
        core::mem::replace(self, Self::NONE)
    }

    /// Those of the first word that has any.
    pub(super) fn take_word(&mut self) -> Self {
        let mut taken = Self::NONE;
        if let Some(word) = self.0.iter().position(|&bits| bits != 0) {
            taken.0[word] = core::mem::take(&mut self.0[word]);
        }
        taken
    }

    /// Makes `span` free; false, and nothing changed, if one of its pages is already.
    pub(super) fn put(&mut self, span: Span) -> bool {
        if span.words().any(|(word, bits)| self.0[word] & bits != 0) {
            return false;
        }
        span.words().for_each(|(word, bits)| self.0[word] |= bits);
        true
    }
}

/// Small frames of one block, owned together: an iterator that gives them out one by one.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "frames that are dropped are lost"]
pub struct Run {
    block: HostReal,
    free: Free,
}

impl Run {
    /// No frame.
    pub const EMPTY: Self = Self { block: HostReal::new(0), free: Free::NONE };

    /// The pages of the block at `block` that `free` has: nobody else has them.
    pub(super) const fn new(block: HostReal, free: Free) -> Self {
        Self { block, free }
    }
}

impl Default for Run {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Iterator for Run {
    type Item = Frame;

    #[inline]
    fn next(&mut self) -> Option<Frame> {
        let page = self.free.take_page()?;
        let at = self.block.checked_add(u64::from(page) * LeafSize::Size4K.bytes())?;
        Some(Frame { at, size: LeafSize::Size4K })
    }
}

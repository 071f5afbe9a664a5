//! What has to be flushed, gathered while entries change, and paid at once.
//!
//! ```text
//!   Owed ── page, page, page, tables ──► pay ──► Paid
//! ```
//!
//! Neighbouring pages become one range. Past [`PAGES`] pages or [`RANGES`] ranges, or when a table went away (the page-walk cache knows tables), the whole
//! partition is flushed instead. What is freed asks for [`Paid`], so that nothing is freed while some CPU may still translate to it.

use super::discipline::Discipline;
use super::hardware::{Flush, Hardware};
use super::seat::Cpu;
use super::space::Space;
use heapless::Vec;
use ppc64_arch::addr::{GuestReal, LeafSize};

/// Flushing more pages one by one costs more than filling the caches again (Linux draws the line at 33 for the same reason).
const PAGES: u64 = 32;
const RANGES: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    from: u64,
    to: u64,
    size: LeafSize,
}

/// A debt of flushes. Nothing that it names may be freed, and no promise about it given, until it is paid.
#[derive(Debug)]
#[must_use = "translations that are owed a flush are stale"]
pub(super) struct Owed {
    ranges: Vec<Range, RANGES>,
    pages: u64,
    everything: bool,
    /// All that is owed lies from here,
    from: u64,
    /// to here. Nothing: a hash guest's hardware knows no tables of ours.
    to: u64,
}

/// Every translation that was owed a flush is gone from every CPU.
#[derive(Debug)]
#[must_use = "a flush that was paid allows something to be freed"]
pub(super) struct Paid(());

impl Default for Owed {
    fn default() -> Self {
        Self::nothing()
    }
}

impl Owed {
    pub const fn nothing() -> Self {
        Self { ranges: Vec::new(), pages: 0, everything: false, from: u64::MAX, to: 0 }
    }

    /// One leaf.
    pub fn leaf(at: GuestReal, size: LeafSize) -> Self {
        let mut owed = Self::nothing();
        owed.page(at, size);
        owed
    }

    /// A leaf at `at` (its first byte) lost rights, or went away.
    pub fn page(&mut self, at: GuestReal, size: LeafSize) {
        self.pages += 1;
        let (from, to) = (at.raw(), at.raw() + size.bytes());
        self.hold(from, to);
        if self.everything || self.pages > PAGES {
            return self.tables();
        }
        if let Some(last) = self.ranges.last_mut().filter(|last| last.to == from && last.size == size) {
            last.to = to;
        } else if self.ranges.push(Range { from, to, size }).is_err() {
            self.tables();
        }
    }

    /// A table of leaves went away, which mapped `bytes` bytes from `at`.
    pub fn table_of_leaves(&mut self, at: GuestReal, bytes: u64) {
        self.hold(at.raw(), at.raw() + bytes);
        self.tables();
    }

    fn hold(&mut self, from: u64, to: u64) {
        (self.from, self.to) = (self.from.min(from), self.to.max(to));
    }

    /// A table went away that mapped nothing, or so much that it makes no difference.
    pub fn tables(&mut self) {
        self.everything = true;
    }

    /// Flushes what is owed, on every CPU.
    pub fn pay<H: Hardware, D: Discipline>(self, space: &Space<'_, H, D>, cpu: &mut Cpu) -> Paid {
        let lpid = space.lpid();
        if self.everything {
            space.flush_area(cpu, self.from, self.to);
        } else if !self.ranges.is_empty() {
            let range = |Range { from, to, size }: &Range| {
                let (from, to) = (GuestReal::new(*from), GuestReal::new(*to));
                Flush::Range { lpid, from, to, size: *size }
            };
            let ranges: Vec<Flush, RANGES> = self.ranges.iter().map(range).collect();
            space.flush_ranges(cpu, &ranges);
        }
        Paid(())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const PAGE: u64 = LeafSize::Size4K.bytes();

    fn pages(numbers: impl IntoIterator<Item = u64>) -> Owed {
        let mut owed = Owed::nothing();
        numbers.into_iter().for_each(|page| owed.page(GuestReal::new(page * PAGE), LeafSize::Size4K));
        owed
    }

    #[test]
    fn neighbours_become_one_range() {
        let owed = pages([4, 5, 6, 9]);
        let ranges: std::vec::Vec<_> = owed.ranges.iter().map(|range| (range.from / PAGE, range.to / PAGE)).collect();
        assert_eq!((ranges, owed.everything), (vec![(4, 7), (9, 10)], false));
    }

    #[test]
    fn an_area_holds_all_that_is_owed() {
        let owed = pages([9, 4, 2000]);
        assert_eq!((owed.from / PAGE, owed.to / PAGE), (4, 2001));
        let mut owed = Owed::nothing();
        owed.tables();
        assert!(owed.from > owed.to);
        owed.table_of_leaves(GuestReal::new(2 << 20), 2 << 20);
        assert_eq!((owed.from, owed.to, owed.everything), (2 << 20, 4 << 20, true));
    }

    #[test]
    fn sizes_are_not_mixed() {
        let mut owed = pages([15]);
        owed.page(GuestReal::new(16 * PAGE), LeafSize::Size64K);
        assert_eq!(owed.ranges.len(), 2);
    }

    #[test]
    fn too_many_pages_or_ranges_are_everything() {
        assert!(!pages(0..32).everything);
        assert!(pages(0..33).everything);
        assert!(!pages([0, 2, 4, 6]).everything);
        assert!(pages([0, 2, 4, 6, 8]).everything);
    }
}

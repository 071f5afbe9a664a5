//! From a guest page to the entries that map it.
//!
//! ```text
//!   heads   one for each 64 KiB of guest real address | one for each 16 MiB, for pages of that size
//!             lock bit, first entry
//!   links   in each entry's side: next and previous entry of its list
//! ```
//!
//! Entries are named by their number plus one; 0 is none. A list is changed, and walked, under the lock of its head; an entry is linked and unlinked by whoever has its lock. New entries go to the front.

use crate::sync::{AtomicU64, Ordering, relax};
use ppc64_arch::hash::{PageSize, Pages, Word1};

const LOCK: u64 = 1 << 63;
const SMALL: u32 = PageSize::Size64K.shift();
const LARGE: u32 = PageSize::Size16M.shift();

/// How many heads addresses below `end` take.
pub(super) const fn blocks(end: u64) -> usize {
    small_blocks(end) + end.div_ceil(1 << LARGE) as usize
}

const fn small_blocks(end: u64) -> usize {
    end.div_ceil(1 << SMALL) as usize
}

/// The reverse map.
#[derive(Debug)]
pub(super) struct Reverse<'m> {
    heads: &'m [AtomicU64],
    sides: &'m [AtomicU64],
    end: u64,
}

/// The number of an entry, if it is one.
const fn entry(link: u64) -> Option<u64> {
    (link & 0xffff_ffff).checked_sub(1)
}

/// Next in the low half, previous in the high one.
const fn links(next: Option<u64>, previous: Option<u64>) -> u64 {
    link(next) | link(previous) << 32
}

const fn link(entry: Option<u64>) -> u64 {
    match entry {
        Some(index) => index + 1,
        None => 0,
    }
}

impl<'m> Reverse<'m> {
    pub const fn new(heads: &'m [AtomicU64], sides: &'m [AtomicU64], end: u64) -> Self {
        Self { heads, sides, end }
    }

    /// The list of the entry with this view; `None` for what is no memory.
    #[inline]
    pub fn list(&self, view: Word1, pages: Pages) -> Option<List<'m>> {
        let at = view.real(pages);
        if at >= self.end {
            return None;
        }
        let head = match pages.actual() {
            PageSize::Size16M => small_blocks(self.end) + (at >> LARGE) as usize,
            _ => (at >> SMALL) as usize,
        };
        self.list_at(head)
    }

    /// Every list with entries that may map a part of `from..to`.
    pub fn lists(&self, from: u64, to: u64) -> impl Iterator<Item = List<'m>> {
        let to = to.min(self.end);
        let range = |shift: u32| if from < to { from >> shift..to.div_ceil(1 << shift) } else { 0..0 };
        let large = small_blocks(self.end);
        let small = range(SMALL).map(|block| block as usize);
        let heads = small.chain(range(LARGE).map(move |block| large + block as usize));
        heads.filter_map(|head| self.list_at(head))
    }

    fn list_at(&self, head: usize) -> Option<List<'m>> {
        Some(List { head: self.heads.get(head)?, sides: self.sides })
    }
}

/// One list.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'m> {
    head: &'m AtomicU64,
    sides: &'m [AtomicU64],
}

impl<'m> List<'m> {
    /// Takes its lock. Who has it looks at some entries and waits for nobody, so this is soon.
    #[inline]
    pub fn lock(self) -> LockedList<'m> {
        loop {
            // Relaxed: whatever was seen is tried for, and compared.
            let head = self.head.load(Ordering::Relaxed) & !LOCK;
            // Acquire: what the last holder did to the list.
            if self.head.compare_exchange(head, head | LOCK, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return LockedList { list: self, first: head };
            }
            relax();
        }
    }
}

/// A list that nobody else changes or walks.
#[derive(Debug)]
pub(super) struct LockedList<'m> {
    list: List<'m>,
    first: u64,
}

impl Drop for LockedList<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the acquire of the next holder.
        self.list.head.store(self.first, Ordering::Release);
    }
}

impl LockedList<'_> {
    /// Its first entry.
    pub const fn first(&self) -> Option<u64> {
        entry(self.first)
    }

    /// The entry behind this one.
    pub fn next(&self, index: u64) -> Option<u64> {
        entry(self.load(index))
    }

    /// Links an entry, whose lock the caller has.
    #[inline]
    pub fn link(&mut self, index: u64) {
        let first = self.first();
        self.store(index, links(first, None));
        if let Some(first) = first {
            self.store(first, links(self.next(first), Some(index)));
        }
        self.first = link(Some(index));
    }

    /// Unlinks one, whose lock the caller has.
    #[inline(always)]
    pub fn unlink(&mut self, index: u64) {
        let own = self.load(index);
        let (next, previous) = (entry(own), entry(own >> 32));
        match previous {
            Some(previous) => self.store(previous, links(next, self.previous(previous))),
            None => self.first = link(next),
        }
        if let Some(next) = next {
            self.store(next, links(self.next(next), previous));
        }
        self.store(index, 0);
    }

    fn previous(&self, index: u64) -> Option<u64> {
        entry(self.load(index) >> 32)
    }

    // Relaxed: links are read and written under the list's lock only.
    fn load(&self, index: u64) -> u64 {
        self.side(index).map_or(0, |side| side.load(Ordering::Relaxed))
    }

    fn store(&self, index: u64, links: u64) {
        if let Some(side) = self.side(index) {
            side.store(links, Ordering::Relaxed);
        }
    }

    fn side(&self, index: u64) -> Option<&AtomicU64> {
        self.list.sides.get(2 * index as usize + 1)
    }
}

//! Looking without locks: from the root down to the entry that says what is at an address.
//!
//! To be called under a pin, which keeps every table that can be met alive. An entry is read once; what is done with it later is decided by
//! [`super::commit`], which compares.

use super::hardware::Hardware;
use crate::sync::{AtomicU64, Ordering, entry};
use core::ptr;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::geometry::{GIGABYTES, PAGES_4K, REGIONS, ROOT};
use ppc64_arch::radix::{Entry, Level};

/// An entry in a table: where it is, and at which level.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    cell: &'a AtomicU64,
    table: HostReal,
    /// The level of the table that it stands in.
    pub level: &'static Level,
}

impl<'a> Place<'a> {
    /// The place of `at`'s entry in the table of `level` at `table`.
    ///
    /// # Safety
    /// `table` is a live table of that level, and stays so for `'a`.
    #[inline]
    pub unsafe fn in_table<H: Hardware>(
        hardware: &'a H,
        table: HostReal,
        level: &'static Level,
        at: GuestReal,
    ) -> Self {
        // SAFETY: 1. The caller vouches for the table.
        let entries = unsafe { hardware.entries(table, level.entries()) };
        Self { cell: &entries[level.index(at.raw())], table, level }
    }

    /// The entries beside it.
    pub fn siblings<H: Hardware>(self, hardware: &'a H) -> Siblings<'a> {
        // SAFETY: 1. Whoever made the place vouched for its table.
        Siblings { entries: unsafe { hardware.entries(self.table, self.level.entries()) }, place: self }
    }

    /// What stands there now.
    #[inline]
    pub fn look(self) -> Seen<'a> {
        let seen = self.look_through();
        entry::acquire();
        seen
    }

    /// The same for whoever goes on to the table behind it: ordered before what is read there, and before nothing else.
    #[inline]
    fn look_through(self) -> Seen<'a> {
        // Pairs with the release of whoever linked a table here, whose zeroed entries we read next.
        Seen { place: self, raw: entry::follow(self.cell) }
    }

    /// Swaps `from` for `to`, or tells what stands there instead.
    #[inline]
    pub(super) fn swap(self, from: Entry, to: Entry) -> Result<(), Entry> {
        // Release: the frame's or table's contents before the entry. Acquire on failure: we go on with what the other one published.
        self.cell
            .compare_exchange(in_memory(from), in_memory(to), Ordering::Release, Ordering::Acquire)
            .map(|_| ())
            .map_err(|raw| Entry::decode(u64::from_be(raw)))
    }

    /// Writes an entry of a table that is not linked yet: whoever links it publishes what was written.
    #[inline]
    pub(super) fn write_unlinked(self, entry: Entry) {
        self.cell.store(in_memory(entry), Ordering::Relaxed);
    }

    /// Puts `to` there whatever stood there, and tells what it was. For entries that nobody else changes: those in transit, and those that a mutation has to itself.
    #[inline]
    pub(super) fn replace(self, to: Entry) -> Entry {
        Entry::decode(u64::from_be(self.cell.swap(in_memory(to), Ordering::AcqRel)))
    }
}

/// An entry as it stands in memory.
#[inline]
fn in_memory(entry: Entry) -> u64 {
    entry::in_memory(entry.encode())
}

/// The entries of a table.
#[derive(Clone, Copy, Debug)]
pub struct Siblings<'a> {
    entries: &'a [AtomicU64],
    /// One of them.
    place: Place<'a>,
}

impl<'a> Siblings<'a> {
    /// The other entries of the aligned group of `many` that holds `at`'s: each with the address of its first byte, and what stands there.
    pub fn around(self, at: GuestReal, many: usize) -> impl Iterator<Item = (GuestReal, Seen<'a>)> {
        let (span, own) = (self.place.level.entry_span(), self.place.level.index(at.raw()));
        let many = many.min(self.entries.len());
        let first = own & !(many - 1);
        let base = (at.raw() & !(span - 1)).wrapping_sub((own - first) as u64 * span);
        let group = self.entries[first..first + many].iter().enumerate();
        group
            .filter(move |(index, _)| first + index != own)
            .map(move |(index, cell)| (GuestReal::new(base + index as u64 * span), self.at(cell).look()))
    }

    /// Up to `many` entries behind `at`'s: each with the address of its first byte, and what stands there when it is come to.
    pub fn behind(self, at: GuestReal, many: usize) -> impl Iterator<Item = (GuestReal, Seen<'a>)> {
        let (span, first) = (self.place.level.entry_span(), self.place.level.index(at.raw()) + 1);
        let base = (at.raw() & !(span - 1)).wrapping_add(span);
        let cells = self.entries[first..].iter().take(many).enumerate();
        cells.map(move |(index, cell)| (GuestReal::new(base + index as u64 * span), self.at(cell).look()))
    }

    const fn at(self, cell: &'a AtomicU64) -> Place<'a> {
        Place { cell, ..self.place }
    }
}

/// An entry as it was seen.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Where.
    pub place: Place<'a>,
    /// What: the doubleword, native order.
    raw: u64,
}

impl<'a> Seen<'a> {
    /// What was there.
    #[must_use]
    #[inline(always)]
    pub const fn entry(&self) -> Entry {
        Entry::decode(self.raw)
    }

    /// The same place, if this is what was found there later.
    pub(super) const fn now(self, entry: Entry) -> Self {
        Self { raw: entry.encode(), ..self }
    }

    /// A copy of its own for a function that stands aside: what is handed over by memory is written there only where it is.
    #[inline(always)]
    pub(super) const fn aside(&self) -> Self {
        Self { place: Place { cell: self.place.cell, table: self.place.table, level: self.place.level }, raw: self.raw }
    }
}

/// Walks from the root (a table of `level` at `root`) to the entry for `at`: a leaf, an absent entry, or a table entry of a size that no level has, which nobody wrote.
///
/// # Safety
/// `root` is a live tree, and a pin that began before keeps every table of it alive for `'a`.
pub unsafe fn walk<'a, H: Hardware>(hardware: &'a H, root: HostReal, level: &'static Level, at: GuestReal) -> Seen<'a> {
    // SAFETY: 1. The caller's duties are the same.
    unsafe { walk_here(hardware, root, level, at) }
}

/// The same as part of its caller: for the fault path, where what a call hands over by memory costs as much as a level.
///
/// # Safety
/// As for [`walk`].
#[inline(always)]
pub(super) unsafe fn walk_here<'a, H: Hardware>(
    hardware: &'a H,
    root: HostReal,
    level: &'static Level,
    at: GuestReal,
) -> Seen<'a> {
    // SAFETY: 1. The caller vouches for the root, and for the pin.
    let mut seen = unsafe {
        if ptr::eq(level, &raw const ROOT) {
            walk_usual(hardware, root, at)
        } else {
            Place::in_table(hardware, root, level, at).look_through()
        }
    };
    if let Entry::Table(_) = seen.entry() {
        // SAFETY: 1. The caller vouches for the pin.
        seen = unsafe { walk_on(hardware, seen.aside(), at) }.aside();
    }
    entry::acquire();
    seen
}

/// Walks on through tables of any level.
///
/// # Safety
/// As for [`walk`].
#[cold]
unsafe fn walk_on<'a, H: Hardware>(hardware: &'a H, mut seen: Seen<'a>, at: GuestReal) -> Seen<'a> {
    while let Entry::Table(table) = seen.entry()
        && let Some(below) = seen.place.level.below(table.bits())
    {
        // SAFETY: 1. A table entry that is linked points at a live table of its size. 2. The pin keeps it.
        seen = unsafe { Place::in_table(hardware, table.base(), below, at) }.look_through();
    }
    seen
}

/// Walks as far as the tables are those of a 13/9/9/9 tree, which nearly all are: the compiler knows these levels, so each costs some ten instructions.
///
/// # Safety
/// As for [`walk`].
#[inline(always)]
unsafe fn walk_usual<'a, H: Hardware>(hardware: &'a H, root: HostReal, at: GuestReal) -> Seen<'a> {
    // SAFETY: 1. The caller vouches for the root.
    let mut seen = unsafe { Place::in_table(hardware, root, &ROOT, at) }.look_through();
    for below in [&GIGABYTES, &REGIONS, &PAGES_4K] {
        match seen.entry() {
            Entry::Table(table) if table.bits() == below.bits => {
                // SAFETY: 1. and 2. as in `walk`.
                seen = unsafe { Place::in_table(hardware, table.base(), below, at) }.look_through();
            }
            _ => break,
        }
    }
    seen
}

/// Which kind of table stands on the way from `level` to a leaf of `size`: the one whose own leaves are the largest that are no larger, or else the first.
pub(super) fn level_below(level: &'static Level, size: LeafSize) -> Option<&'static Level> {
    let leads_to = |below: &&&'static Level| below.leaf.is_some_and(|leaf| leaf <= size);
    let best = level.below.iter().filter(leads_to).max_by_key(|below| below.shift);
    best.or(level.below.first()).copied()
}

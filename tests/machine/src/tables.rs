//! The page-walk cache: table entries that a CPU met on its way down, and does not read again.
//!
//! It is looked at before memory is, and forgets only with its whole partition. So a table that was freed or replaced while only leaves
//! were flushed goes on being walked.

use ppc64_arch::addr::GuestReal;
use std::collections::{BTreeMap, BTreeSet};

/// What a table entry says: where the table is, and log2 of how many entries it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableEntry {
    pub(crate) base: u64,
    pub(crate) bits: u64,
}

/// One CPU's cached table entries.
#[derive(Debug, Default)]
pub(crate) struct WalkCache {
    /// By partition, by how many low address bits the table translates, and by the address above those.
    entries: BTreeMap<(u32, u64, u64), TableEntry>,
    /// The middle parts of the keys.
    shifts: BTreeSet<u64>,
}

impl WalkCache {
    /// The table nearest to the leaf of `at`, and how many address bits it translates.
    pub(crate) fn lowest(&self, lpid: u32, at: GuestReal) -> Option<(u64, TableEntry)> {
        let known = |shift: &u64| self.entries.get(&(lpid, *shift, at.raw() >> shift)).map(|table| (*shift, *table));
        self.shifts.iter().find_map(known)
    }

    pub(crate) fn insert(&mut self, lpid: u32, at: GuestReal, shift: u64, table: TableEntry) {
        self.shifts.insert(shift);
        self.entries.insert((lpid, shift, at.raw() >> shift), table);
    }

    pub(crate) fn forget(&mut self, lpid: u32) {
        self.entries.retain(|key, _| key.0 != lpid);
    }

    /// Each with its partition and the first address that it translates.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, GuestReal, u64, TableEntry)> {
        let spread = |(&(lpid, shift, above), table): (&(u32, u64, u64), &TableEntry)| {
            (lpid, GuestReal::new(above << shift), shift, *table)
        };
        self.entries.iter().map(spread)
    }
}

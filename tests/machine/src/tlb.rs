//! A CPU's translations: by partition, size and page, so that an address can be cached at several sizes at once.
//!
//! Nothing leaves but by a flush. With two translations of one address that disagree, hardware raises a machine check (*multi-hit*), or uses either: here the test ends when the second
//! one is about to be cached.

use crate::translate::Translation;
use ppc64_arch::addr::{GuestReal, LeafSize};
use std::collections::BTreeMap;

/// One CPU's translations.
#[derive(Debug, Default)]
pub(crate) struct Tlb {
    entries: BTreeMap<(u32, LeafSize, u64), Translation>,
}

impl Tlb {
    /// The translation of `at`, at whatever size it is cached.
    pub(crate) fn find(&self, lpid: u32, at: GuestReal) -> Option<Translation> {
        let cached = |size: LeafSize| self.entries.get(&(lpid, size, at.align_down(size).raw()));
        LeafSize::ALL.into_iter().find_map(cached).copied()
    }

    /// Caches `new`, in the place of one that differs from it in rights, R or C only.
    pub(crate) fn insert(&mut self, new: Translation) {
        if let Some(old) = self.disagreeing(&new) {
            panic!("break before make: a walk found {new:x?} while {old:x?} is cached still");
        }
        self.entries.insert((new.lpid, new.size, new.page), new);
    }

    /// A cached translation of an address that `new` maps to another frame or at another size.
    pub(crate) fn disagreeing(&self, new: &Translation) -> Option<Translation> {
        self.touching(new.lpid, new.page, new.end()).find(|old| !old.agrees(new)).copied()
    }

    /// Those of a partition that map any address of `from..to`.
    fn touching(&self, lpid: u32, from: u64, to: u64) -> impl Iterator<Item = &Translation> {
        LeafSize::ALL.into_iter().flat_map(move |size| {
            let first = from & !size.offset_mask();
            self.entries.range((lpid, size, first)..(lpid, size, to.max(first))).map(|(_, old)| old)
        })
    }

    /// Forgets those of `size` whose first address lies in `from..to`, and tells which.
    pub(crate) fn forget_range(&mut self, lpid: u32, from: u64, to: u64, size: LeafSize) -> Vec<Translation> {
        let gone: Vec<_> =
            self.entries.range((lpid, size, from)..(lpid, size, to.max(from))).map(|(_, old)| *old).collect();
        for old in &gone {
            self.entries.remove(&(lpid, size, old.page));
        }
        gone
    }

    /// Forgets all of a partition, and tells which.
    pub(crate) fn forget(&mut self, lpid: u32) -> Vec<Translation> {
        let gone = self.iter().filter(|old| old.lpid == lpid).copied().collect();
        self.entries.retain(|key, _| key.0 != lpid);
        gone
    }

    /// Forgets one.
    pub(crate) fn remove(&mut self, old: &Translation) {
        self.entries.remove(&(old.lpid, old.size, old.page));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Translation> {
        self.entries.values()
    }
}

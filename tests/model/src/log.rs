//! The model of a slot's dirty log.
//!
//! # The rule
//! A harvest has to report every page that was written since the log was switched on or last harvested: *must*. It may report more, but only pages that share a
//! unit of 64 KiB with one of those or with one that was unmapped meanwhile, where the guest's leaves may be larger than 4 KiB; and none else where they are not: *may*.

use std::collections::BTreeSet;

/// Pages of 4 KiB in 64 KiB.
pub const UNIT: u64 = 16;

/// What was written since the last harvest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    written: BTreeSet<u64>,
    /// Pages whose store was answered by an error of memory: their fault may have got as far as the log.
    tried: BTreeSet<u64>,
}

impl Log {
    /// Page number `page` was written.
    pub fn write(&mut self, page: u64) {
        self.written.insert(page);
    }

    /// A store to page number `page` was tried and may have been noted.
    pub fn attempt(&mut self, page: u64) {
        self.tried.insert(page);
    }

    /// Begins again, and gives what has to be reported and what may be, on top: `exact` says that no leaf is larger than 4 KiB.
    pub fn take(&mut self, exact: bool) -> (BTreeSet<u64>, BTreeSet<u64>) {
        let Self { written, tried } = std::mem::take(self);
        let seeds = written.union(&tried).copied();
        let may = if exact {
            seeds.collect()
        } else {
            seeds.flat_map(|page| page & !(UNIT - 1)..(page & !(UNIT - 1)) + UNIT).collect()
        };
        (written, may)
    }
}

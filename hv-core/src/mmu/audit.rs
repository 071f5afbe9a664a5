//! Counting by walking: what stands in a space's tables, to be held against what was counted on the way.

use super::absent::State;
use super::discipline::Discipline;
use super::hardware::Hardware;
use super::space::Space;
use super::stats::{Made, Pages};
use super::walk::Place;
use ppc64_arch::addr::{GuestReal, HostReal};
use ppc64_arch::radix::{Entry, Level};

/// What a walk over all tables found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Leaves by kind and size.
    pub live: Pages,
    /// Tables, the root not counted.
    pub tables: u64,
    /// Pages that stand in the store.
    pub stored: u64,
    /// Entries in transit.
    pub transit: u64,
    /// Entries that a linked table should not hold.
    pub broken: u64,
}

impl Audit {
    /// Walks the tables of `space`. Mutations are kept out; faults that run meanwhile may or may not be counted.
    pub fn of<H: Hardware, D: Discipline>(space: &Space<'_, H, D>) -> Self {
        let _no_mutation = space.lock();
        let mut audit = Self::default();
        let (root, level) = space.top();
        audit.table(space, root, level);
        audit
    }

    fn table<H: Hardware, D: Discipline>(&mut self, space: &Space<'_, H, D>, base: HostReal, level: &'static Level) {
        for index in 0..level.entries() as u64 {
            let at = GuestReal::new(index << level.shift);
            // SAFETY: 1. The table is linked, and the mutation lock keeps it so.
            let place = unsafe { Place::in_table(&space.memory().hardware, base, level, at) };
            self.entry(space, place.look().entry(), level);
        }
    }

    fn entry<H: Hardware, D: Discipline>(&mut self, space: &Space<'_, H, D>, entry: Entry, level: &'static Level) {
        match entry {
            Entry::Absent(absent) => match State::decode(absent) {
                State::Empty { .. } => {}
                State::Transit { .. } => self.transit += 1,
                State::Stored(_) => self.stored += 1,
                State::Resting { copied, .. } => match level.leaf {
                    Some(size) => self.live.add(if copied { Made::Copied } else { Made::Zero }, size),
                    None => self.broken += 1,
                },
                State::Leaving(_) | State::Detached => self.broken += 1,
            },
            Entry::Leaf(leaf) => match level.leaf {
                Some(size) => self.live.add(Made::of(leaf), size),
                None => self.broken += 1,
            },
            Entry::Table(table) => match level.below(table.bits()) {
                Some(below) => {
                    self.tables += 1;
                    self.table(space, table.base(), below);
                }
                None => self.broken += 1,
            },
        }
    }
}

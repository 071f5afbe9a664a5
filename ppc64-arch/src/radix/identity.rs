//! A tree that translates each address of some ranges to itself: what a hypervisor runs with that wants caching and speculation but no other addresses.
//!
//! Leaves are as large as the ranges allow. What is left of a range at its ends, less than the smallest leaf, is left out.

use super::entry::Recorded;
use super::{Entry, Leaf, Level, Rights, Table};
use crate::addr::HostReal;
use core::ops::Range;

/// Where tables come from, and how their entries are reached.
pub trait Tables {
    /// A table of `bytes` bytes, aligned to its size, all entries absent. `None`: there is no more memory.
    fn make(&mut self, bytes: u64) -> Option<HostReal>;
    /// The entry at `index` of the table at `table`.
    fn read(&self, table: HostReal, index: usize) -> Entry;
    /// Writes one.
    fn write(&mut self, table: HostReal, index: usize, entry: Entry);
}

/// Adds `range` to the tree below the table of `level` at `table`. Ranges must not overlap. `None`: no memory for a table was left.
pub fn map(
    tables: &mut impl Tables,
    table: HostReal,
    level: &'static Level,
    range: Range<u64>,
    rights: Rights,
) -> Option<()> {
    let span = level.entry_span();
    let mut at = range.start;
    while at < range.end {
        let first = at & !(span - 1);
        let end = first.saturating_add(span).min(range.end);
        let whole = at == first && end - at == span;
        if whole && level.leaf.is_some() {
            let leaf = Leaf::new(HostReal::new(at), rights, Recorded::all());
            tables.write(table, level.index(at), Entry::Leaf(leaf));
        } else if let Some(below) = level.below.first() {
            let next = table_below(tables, table, level.index(at), below)?;
            map(tables, next, below, at..end, rights)?;
        }
        at = end;
    }
    Some(())
}

/// The table that entry `index` points at, made if there is none.
fn table_below(tables: &mut impl Tables, table: HostReal, index: usize, below: &Level) -> Option<HostReal> {
    if let Entry::Table(there) = tables.read(table, index) {
        return Some(there.base());
    }
    let made = tables.make(below.table_bytes())?;
    tables.write(table, index, Entry::Table(Table::new(made, below.bits)));
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radix::Absent;
    use crate::radix::geometry::ROOT;
    use std::collections::HashMap;
    use std::vec::Vec;

    /// Tables by their address, one a MiB.
    #[derive(Default)]
    struct Fake(HashMap<u64, Vec<u64>>);

    impl Tables for Fake {
        fn make(&mut self, bytes: u64) -> Option<HostReal> {
            let at = (self.0.len() as u64 + 1) << 20;
            let absent = Entry::Absent(Absent::new(0)).encode();
            self.0.insert(at, std::vec![absent; (bytes / 8) as usize]);
            Some(HostReal::new(at))
        }

        fn read(&self, table: HostReal, index: usize) -> Entry {
            Entry::decode(self.0[&table.raw()][index])
        }

        fn write(&mut self, table: HostReal, index: usize, entry: Entry) {
            self.0.get_mut(&table.raw()).expect("a table")[index] = entry.encode();
        }
    }

    fn tree(ranges: &[Range<u64>]) -> (Fake, HostReal) {
        let mut tables = Fake::default();
        let root = tables.make(ROOT.table_bytes()).expect("memory");
        for range in ranges {
            map(&mut tables, root, &ROOT, range.clone(), Rights::READ).expect("memory");
        }
        (tables, root)
    }

    fn translate(tables: &Fake, mut table: HostReal, at: u64) -> Option<u64> {
        let mut level = &ROOT;
        loop {
            match tables.read(table, level.index(at)) {
                Entry::Leaf(leaf) => return Some(leaf.frame().raw() + (at & (level.entry_span() - 1))),
                Entry::Table(next) => (table, level) = (next.base(), level.below(next.bits())?),
                Entry::Absent(_) => return None,
            }
        }
    }

    #[test]
    fn every_address_of_a_range_is_translated_to_itself_and_no_other_is() {
        let (tables, root) = tree(&[0..0x29_0000, 0x29_0000..0x9000_0000, 0x2000_0000_0000..0x2000_4020_1000]);
        for at in [0, 0x28_ffff, 0x29_0000, 0x4000_0000, 0x8fff_ffff, 0x2000_0000_0000, 0x2000_4020_0fff] {
            assert_eq!(translate(&tables, root, at), Some(at), "{at:#x}");
        }
        for at in [0x9000_0000, 0x1fff_ffff_ffff, 0x2000_4020_1000] {
            assert_eq!(translate(&tables, root, at), None, "{at:#x}");
        }
    }

    #[test]
    fn leaves_are_as_large_as_they_can_be() {
        let (tables, _) = tree(std::slice::from_ref(&(0x4000_0000..0x1_0000_0000)));
        assert_eq!(tables.0.len(), 2, "a root, and a table of 1 GiB leaves");
    }
}

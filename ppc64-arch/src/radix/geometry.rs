//! The shape of a radix tree as data.
//!
//! ```text
//!  guest real address   | 51 ............ 39 | 38 .... 30 | 29 .... 21 | 20 ..... 12 | 11 .... 0 |
//!  13/9/9/9                 root, 13 bits        9 bits       9 bits       9 bits      4 KiB leaf
//!                                                  |            |       | 20 .. 16 | 15 ...... 0 |
//!  13/9/9/5                                     1 GiB leaf   2 MiB leaf    5 bits     64 KiB leaf
//! ```
//!
//! A directory entry carries the size of the table it points at, so one tree may end in tables of both kinds: which one is
//! chosen where that table is made. These are the only sizes that processors of the field accept for 52 bits
//! (`ibm,processor-radix-AP-encodings` names the leaf sizes; Book III 6.7.10 the tree).

use crate::addr::LeafSize;

/// One level of a tree: which bits of the address pick the entry, what a leaf here maps, and which tables may follow.
#[derive(Debug)]
pub struct Level {
    /// The lowest address bit (LSB-0) that takes part in this level's index.
    pub shift: u32,
    /// log2 of the number of entries.
    pub bits: u32,
    /// The size that a leaf at this level maps, if a leaf may stand here.
    pub leaf: Option<LeafSize>,
    /// The levels that a table entry here may point at, told apart by their `bits`.
    pub below: &'static [&'static Level],
}

impl Level {
    /// The index of `addr`'s entry in a table of this level.
    #[must_use]
    #[inline]
    pub const fn index(&self, addr: u64) -> usize {
        ((addr >> self.shift) & ((1 << self.bits) - 1)) as usize
    }

    /// How many entries a table of this level has.
    #[must_use]
    #[inline]
    pub const fn entries(&self) -> usize {
        1 << self.bits
    }

    /// The size of a table of this level in bytes; tables are aligned to it.
    #[must_use]
    #[inline]
    pub const fn table_bytes(&self) -> u64 {
        8 << self.bits
    }

    /// How many bytes of address one entry covers.
    #[must_use]
    #[inline]
    pub const fn entry_span(&self) -> u64 {
        1 << self.shift
    }

    /// The level of a table with `bits` index bits below this one, or `None` if no such table may follow.
    #[must_use]
    #[inline]
    pub fn below(&self, bits: u32) -> Option<&'static Level> {
        // Most trees have one kind of table below: the first look is worth a comparison of its own.
        let (first, others) = self.below.split_first()?;
        if first.bits == bits { Some(first) } else { others.iter().copied().find(|level| level.bits == bits) }
    }

    /// The address space that a tree rooted here translates, in bits.
    #[must_use]
    pub const fn address_bits(&self) -> u32 {
        self.shift + self.bits
    }
}

/// Last level of a 13/9/9/9 tree.
pub static PAGES_4K: Level = Level { shift: 12, bits: 9, leaf: Some(LeafSize::Size4K), below: &[] };
/// Last level of a 13/9/9/5 tree.
pub static PAGES_64K: Level = Level { shift: 16, bits: 5, leaf: Some(LeafSize::Size64K), below: &[] };
/// Third level: 2 MiB leaves, or tables of either page size.
pub static REGIONS: Level = Level { shift: 21, bits: 9, leaf: Some(LeafSize::Size2M), below: &[&PAGES_4K, &PAGES_64K] };
/// Second level: 1 GiB leaves, or tables.
pub static GIGABYTES: Level = Level { shift: 30, bits: 9, leaf: Some(LeafSize::Size1G), below: &[&REGIONS] };
/// The root: 52 bits of address.
pub static ROOT: Level = Level { shift: 39, bits: 13, leaf: None, below: &[&GIGABYTES] };

const _: () = assert!(ROOT.address_bits() == 52);
const _: () = assert!(ROOT.shift == GIGABYTES.address_bits() && GIGABYTES.shift == REGIONS.address_bits());
const _: () = assert!(REGIONS.shift == PAGES_4K.address_bits() && REGIONS.shift == PAGES_64K.address_bits());
const _: () =
    assert!(ROOT.table_bytes() == 64 << 10 && PAGES_4K.table_bytes() == 4 << 10 && PAGES_64K.table_bytes() == 256);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_leaf(level: &Level) {
        if let Some(size) = level.leaf {
            assert_eq!(level.entry_span(), size.bytes());
        }
        for below in level.below {
            assert_eq!(below.address_bits(), level.shift);
            check_leaf(below);
        }
    }

    #[test]
    fn each_level_begins_where_the_one_below_ends() {
        check_leaf(&ROOT);
    }

    #[test]
    fn an_unknown_table_size_is_not_followed() {
        assert!(REGIONS.below(9).is_some() && REGIONS.below(5).is_some());
        assert!(REGIONS.below(13).is_none() && ROOT.below(5).is_none() && PAGES_4K.below(9).is_none());
    }

    proptest! {
        #[test]
        fn the_indices_and_the_offset_make_up_the_address(addr in 0u64..1 << 52) {
            for last in [&PAGES_4K, &PAGES_64K] {
                let path = [&ROOT, &GIGABYTES, &REGIONS, last];
                let sum: u64 = path.iter().map(|level| (level.index(addr) as u64) << level.shift).sum();
                prop_assert_eq!(sum + (addr & (last.entry_span() - 1)), addr);
            }
        }
    }
}

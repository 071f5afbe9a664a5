//! The table itself: its size, where the hash leads, and what an entry's place tells (Power ISA 3.1B Book III 6.7.9, "Page Table Search").
//!
//! ```text
//!   hash, 39 bits    256 MiB segment: VSID xor page          1 TiB segment: VSID xor VSID << 25 xor page
//!   primary group    hash & mask             secondary group    !hash & mask             8 entries each, 16 bytes an entry
//! ```
//!
//! Since the hash is made of exclusive-ors, an entry's group and its AVA give back the bits that AVA leaves out, provided that there are 2^11 groups or more, as there always are: 256 KiB is the
//! smallest table.

use super::entry::{ABBREVIATED, Entry, Word0};
use super::pages::{PageSize, Pages};
use super::segment::{Segment, VirtualAddress};

/// Entries in a group. (Models of interleavings have two, so that there are not too many orders.)
pub const GROUP: usize = if cfg!(any(loom, shuttle)) { 2 } else { 8 };
/// log2 of an entry's bytes.
pub const ENTRY_SHIFT: u32 = 4;
/// log2 of a group's bytes.
const GROUP_SHIFT: u32 = ENTRY_SHIFT + GROUP.trailing_zeros();
/// The hash has so many bits.
const HASH: u64 = (1 << 39) - 1;

/// How large a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape {
    order: u32,
}

impl Shape {
    /// log2 of the bytes of the smallest table that processors take.
    pub const SMALLEST: u32 = 18;
    /// log2 of the bytes of the largest table that processors take (HTABSIZE of 28).
    pub const LARGEST: u32 = 46;

    /// A table of `1 << order` bytes, if processors take such.
    #[must_use]
    pub const fn new(order: u32) -> Option<Self> {
        if order < Self::SMALLEST || order > Self::LARGEST { None } else { Some(Self { order }) }
    }

    /// One that no processor takes, for models: of `1 << groups` groups.
    #[must_use]
    #[cfg(any(loom, shuttle))]
    pub const fn of_groups(groups: u32) -> Self {
        Self { order: groups + GROUP_SHIFT }
    }

    /// What PAPR recommends for a guest of `bytes` bytes of memory: a 128th of it, rounded to a power of two upwards, and 256 KiB at least (LoPAR, `ibm,pft-size`).
    #[must_use]
    pub const fn recommended(bytes: u64) -> Self {
        let order = match bytes.checked_next_power_of_two() {
            Some(power) => power.trailing_zeros().saturating_sub(7),
            None => Self::LARGEST,
        };
        let order = if order < Self::SMALLEST { Self::SMALLEST } else { order };
        Self { order: if order > Self::LARGEST { Self::LARGEST } else { order } }
    }

    /// log2 of its bytes.
    #[must_use]
    #[inline]
    pub const fn order(self) -> u32 {
        self.order
    }

    /// Its bytes. A table is aligned to 256 KiB at least; processors ignore lower bits of its address.
    #[must_use]
    #[inline]
    pub const fn bytes(self) -> u64 {
        1 << self.order
    }

    /// How many entries it has.
    #[must_use]
    #[inline]
    pub const fn entries(self) -> u64 {
        self.bytes() >> ENTRY_SHIFT
    }

    /// What is left of a hash.
    #[inline]
    const fn mask(self) -> u64 {
        (self.bytes() >> GROUP_SHIFT) - 1
    }

    /// The number of the first entry of the group that a hash leads to: its primary group, or its secondary one.
    #[must_use]
    #[inline]
    pub const fn group(self, hash: Hashed, secondary: bool) -> u64 {
        let hash = if secondary { !hash.0 } else { hash.0 };
        (hash & self.mask()) * GROUP as u64
    }

    /// The virtual address of the page that the entry in place `index` is about. Bits between the base page's offset and AVA come from the place; a table of a
    /// model, which has too few groups, does not give all of them.
    #[must_use]
    #[inline]
    pub const fn page_of(self, index: u64, entry: Entry, segment: Segment, pages: Pages) -> VirtualAddress {
        let group = index / GROUP as u64;
        let hash = if entry.word0.contains(Word0::SECONDARY) { !group } else { group };
        let above = entry.word0.abbreviated();
        let low = hash ^ segment_part(above.vsid(segment), segment);
        let below = (low << pages.base().shift()) & ((1 << ABBREVIATED) - 1) & !pages.base().offset_mask();
        VirtualAddress::new(above.raw() | (below & (self.mask() << pages.base().shift())) as u128)
    }
}

/// A hash, before it is cut to a table's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hashed(u64);

impl Hashed {
    /// Of a virtual address in such a segment.
    #[must_use]
    #[inline]
    pub const fn of(at: VirtualAddress, segment: Segment, base: PageSize) -> Self {
        Self((segment_part(at.vsid(segment), segment) ^ at.page(segment, base)) & HASH)
    }
}

/// The part of the hash that is the same for all pages of a segment.
#[inline]
const fn segment_part(vsid: u64, segment: Segment) -> u64 {
    match segment {
        Segment::Size256M => vsid & HASH,
        Segment::Size1T => (vsid ^ vsid << 25) & HASH,
    }
}

const _: () = assert!(cfg!(any(loom, shuttle)) || GROUP_SHIFT == 7);
const _: () = assert!(cfg!(any(loom, shuttle)) || (1_u64 << Shape::SMALLEST) >> GROUP_SHIFT >= 1 << (ABBREVIATED - 12));

#[cfg(test)]
mod tests {
    use super::super::entry::Word1;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_that_processors_do_not_take_are_refused() {
        assert_eq!((Shape::new(17), Shape::new(47)), (None, None));
        let smallest = Shape::new(18).expect("a table");
        assert_eq!((smallest.bytes(), smallest.entries(), smallest.mask()), (256 << 10, 16384, 0x7ff));
    }

    #[test]
    fn a_128th_of_memory_is_recommended() {
        let order = |bytes| Shape::recommended(bytes).order();
        assert_eq!((order(1 << 30), order((1 << 30) + 1), order(3 << 30)), (23, 24, 25));
        assert_eq!((order(0), order(32 << 20), order(u64::MAX)), (18, 18, 46));
    }

    #[test]
    fn hashes_are_those_that_the_manual_describes() {
        let shape = Shape::new(24).expect("a table");
        let small = VirtualAddress::new(0x12345 << 28 | 0x678_9000);
        let hash = Hashed::of(small, Segment::Size256M, PageSize::Size4K);
        assert_eq!(hash.0, 0x12345 ^ 0x6789);
        assert_eq!(shape.group(hash, false), ((0x12345 ^ 0x6789) & 0x1_ffff) << 3);
        assert_eq!(shape.group(hash, true), (!(0x12345_u64 ^ 0x6789) & 0x1_ffff) << 3);
        let large = VirtualAddress::new(0x54321 << 40 | 0x12_3456_0000);
        let hash = Hashed::of(large, Segment::Size1T, PageSize::Size64K);
        assert_eq!(hash.0, (0x54321 ^ 0x54321 << 25 ^ 0x12_3456) & HASH);
    }

    #[test]
    fn the_groups_of_a_hash_are_never_the_same() {
        for order in Shape::SMALLEST..=Shape::LARGEST {
            let shape = Shape::new(order).expect("a table");
            for hash in [0, 1, 0x7ff, HASH] {
                let (first, second) = (shape.group(Hashed(hash), false), shape.group(Hashed(hash), true));
                assert!(first != second && first.max(second) + GROUP as u64 <= shape.entries());
            }
        }
    }

    proptest! {
        #[test]
        fn an_entrys_place_gives_back_its_page(
            raw: u128, order in Shape::SMALLEST..=Shape::LARGEST, large: bool, secondary: bool, which in 0usize..6, slot in 0u64..8,
        ) {
            let (shape, segment, pages) = (Shape::new(order).expect("a table"), Segment::ALL[large as usize], Pages::ALL[which]);
            let at = VirtualAddress::new(raw).align_down(pages.base());
            let index = shape.group(Hashed::of(at, segment, pages.base()), secondary) + slot;
            let word0 = Word0::naming(at) | if secondary { Word0::SECONDARY } else { Word0::empty() };
            let entry = Entry { word0, word1: Word1::empty() };
            prop_assert_eq!(shape.page_of(index, entry, segment, pages), at);
        }
    }
}

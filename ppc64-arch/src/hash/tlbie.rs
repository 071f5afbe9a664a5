//! Which operands `tlbie` takes to drop a hash partition's translations (Power ISA 3.1B Book III 6.9.3.3): RIC=0, PRS=0, R=0.
//!
//! ```text
//!  RB, one page   L=0 (base 4 KiB)   0 ............. 51 | 52 53 | 54 55 | 56 .. 58 | 59 .. 62 | 63
//!                                    AVA, VA bits 14:65 |  IS=0 |   B   |    AP    |    -     |  0
//!                 L=1 (larger base)  0 ... 43 | 44 . 51 | 52 53 | 54 55 | 56 ............. 62 | 63
//!                                      AVA    |   LP    |  IS=0 |   B   | AVAL, VA bits 58:64 |  1
//!                                      ... to the page  | bits of LP that encode nothing (r) are the address's as well
//!  RB, partition                                IS=2, everything else 0
//!  RS                                0 ... 31 PID, ignored | 32 ... 63 LPID
//! ```
//!
//! POWER9's errata ([`crate::errata`]) concern these forms as well: an operation is to be [repeated](Operands::last) when stores may pass it, and [one of radix](FOR_ERAT) is to follow when it may miss a
//! sibling's effective-to-real cache.

use super::pages::{PageSize, Pages};
use super::segment::{Segment, VirtualAddress};
use crate::bits::{mask, shift};
use crate::pvr::Cpu;
use crate::tlbie;

const PAGE_NUMBER: u64 = mask(0, 51);
const AVAL: u64 = mask(56, 62);
const LARGE: u64 = 1;
const IS_PARTITION: u64 = 2;
const IS_ALL: u64 = 3;

/// The operands of one `tlbie`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operands {
    /// RB.
    pub rb: u64,
    /// RS.
    pub rs: u64,
}

/// AP of the form with L=0: the actual size as L and LP of a segment say it.
const fn actual_page_size(size: PageSize) -> u64 {
    match size {
        PageSize::Size4K => 0,
        PageSize::Size64K => 5,
        PageSize::Size16M => 4,
    }
}

/// What follows a `tlbie` on processors that have [`tlbie_misses_erat`](crate::errata::Errata::tlbie_misses_erat), of hash guests too: it is one of radix, for process 0 of partition 0.
pub const FOR_ERAT: tlbie::Operands =
    tlbie::Operands::page(0, crate::addr::GuestReal::new(0), crate::addr::LeafSize::Size4K);

impl Operands {
    /// The translation of the page of `pages` that `at` lies in.
    #[must_use]
    #[inline]
    pub const fn page(lpid: u32, at: VirtualAddress, segment: Segment, pages: Pages) -> Self {
        let b = segment.field() << shift(55);
        let rb = match pages.base() {
            // The base page, of a larger one as well: what was found by another entry of that is another translation.
            PageSize::Size4K => at.low() & PAGE_NUMBER | b | actual_page_size(pages.actual()) << shift(58),
            base => {
                // Down to the page's own size, so that of 64 KiB the four bits that are r in LP are there; and once more in AVAL, which has what LP may take the place of.
                let address = at.align_down(pages.actual()).low();
                let low = at.align_down(base).low() >> 12 & AVAL;
                address | pages.field() | b | low | LARGE
            }
        };
        Self { rb, rs: lpid as u64 }
    }

    /// Everything of the partition.
    #[must_use]
    pub const fn partition(lpid: u32) -> Self {
        Self { rb: IS_PARTITION << shift(53), rs: lpid as u64 }
    }

    /// Everything of all partitions, for `tlbiel`.
    #[must_use]
    pub const fn all() -> Self {
        Self { rb: IS_ALL << shift(53), rs: 0 }
    }

    /// Whether a whole partition is named, not a page.
    #[must_use]
    pub const fn is_partition(self) -> bool {
        self.rb >> shift(53) & IS_ALL == IS_PARTITION
    }

    /// Whose translations.
    #[must_use]
    pub const fn lpid(self) -> u32 {
        (self.rs & mask(32, 63)) as u32
    }

    /// The `tlbiel`s that drop what `self`, which names a whole partition, does: one a set. POWER9 has twice as many sets in this mode as in radix (POWER9 User's Manual).
    pub fn sets(self, cpu: Cpu) -> impl Iterator<Item = Self> {
        let sets: u64 = match cpu {
            Cpu::Power9 => 256,
            Cpu::Power10 | Cpu::Power11 => 1,
        };
        (0..sets).map(move |set| Self { rb: self.rb | set << shift(51), rs: self.rs })
    }

    /// What is done once more, after a `ptesync`, on processors that have [`tlbie_repeated`](crate::errata::Errata::tlbie_repeated): the last one of a flush.
    #[must_use]
    pub const fn last(flush: &[Self]) -> Option<Self> {
        flush.last().copied()
    }

    /// The instruction word of `tlbie r4, r5` with these operands (RB in r4, RS in r5).
    pub const WORD: u32 = 31 << 26 | 5 << 21 | 4 << 11 | 306 << 1;

    /// The same with RIC=2: what is cached of partition table entries goes as well. For [`Operands::partition`] only.
    pub const ALL_WORD: u32 = Self::WORD | 2 << 18;

    /// The same of `tlbiel r4, r5`.
    pub const LOCAL_WORD: u32 = 31 << 26 | 5 << 21 | 4 << 11 | 274 << 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: VirtualAddress = VirtualAddress::new(0x0001_2345_6789_abcd_e000);

    fn rb(base: PageSize, actual: PageSize, segment: Segment) -> u64 {
        Operands::page(7, AT, segment, Pages::new(base, actual).expect("a pair")).rb
    }

    #[test]
    fn a_page_of_4k_base_is_named_by_number_segment_and_size() {
        use PageSize::{Size4K, Size16M, Size64K};
        assert_eq!(rb(Size4K, Size4K, Segment::Size256M), 0x2345_6789_abcd_e000);
        assert_eq!(rb(Size4K, Size4K, Segment::Size1T), 0x2345_6789_abcd_e100);
        assert_eq!(rb(Size4K, Size64K, Segment::Size1T), 0x2345_6789_abcd_e000 | 0x100 | 5 << 5);
        assert_eq!(rb(Size4K, Size16M, Segment::Size1T), 0x2345_6789_abcd_e000 | 0x100 | 4 << 5);
    }

    #[test]
    fn a_page_of_larger_base_says_its_sizes_and_the_bits_that_they_displace() {
        use PageSize::{Size16M, Size64K};
        // Bits 13 to 19 of the address at 1 to 7; those below the base page are 0. 0xd: bits 16 to 19, in their own place too where the page is no larger.
        assert_eq!(rb(Size64K, Size64K, Segment::Size1T), 0x2345_6789_abcd_0000 | 1 << 12 | 0x100 | 0xd << 4 | 1);
        assert_eq!(rb(Size64K, Size16M, Segment::Size1T), 0x2345_6789_ab00_0000 | 8 << 12 | 0x100 | 0xd << 4 | 1);
        assert_eq!(rb(Size16M, Size16M, Segment::Size256M), 0x2345_6789_ab00_0000 | 1);
    }

    #[test]
    fn a_partition_is_named_by_the_scope_alone() {
        assert_eq!(Operands::partition(0xabc), Operands { rb: 0x800, rs: 0xabc });
        assert_eq!(Operands::all(), Operands { rb: 0xc00, rs: 0 });
        assert!(Operands::partition(0xabc).is_partition() && !Operands::all().is_partition());
        assert_eq!(Operands::partition(0xabc).lpid(), 0xabc);
    }

    #[test]
    fn power9_goes_through_its_sets_and_power10_has_one() {
        let all = Operands::partition(7);
        let sets: std::vec::Vec<_> = all.sets(Cpu::Power9).collect();
        assert_eq!((sets.len(), sets[0], sets[255].rb), (256, all, 0x800 | 255 << 12));
        assert_eq!(all.sets(Cpu::Power10).collect::<std::vec::Vec<_>>(), [all]);
    }

    #[test]
    fn the_words_are_those_that_assemblers_make() {
        // tlbie r4,r5,0,0,0, tlbie r4,r5,2,0,0 and tlbiel r4,r5,0,0,0 as GNU as assembles them for POWER9.
        let words = (Operands::WORD, Operands::ALL_WORD, Operands::LOCAL_WORD);
        assert_eq!(words, (0x7ca0_2264, 0x7ca8_2264, 0x7ca0_2224));
    }

    #[test]
    fn what_follows_on_power9_is_of_radix_and_of_the_hypervisors_own_partition() {
        assert_eq!((FOR_ERAT.rb, FOR_ERAT.rs), (0, 0));
        assert_eq!(FOR_ERAT.word() & 1 << 16, 1 << 16);
        let flush = [Operands::partition(1), Operands::partition(2)];
        assert_eq!((Operands::last(&flush), Operands::last(&[])), (Some(flush[1]), None));
    }

    proptest! {
        #[test]
        fn every_address_of_a_page_names_it_and_no_other_page_does(raw: u128, other: u128, which in 0usize..6, large: bool, lpid: u32) {
            let (pages, segment) = (Pages::ALL[which], Segment::ALL[large as usize]);
            // What fits a register: two pages 2^64 bytes apart are one to tlbie.
            let at = |raw: u128| VirtualAddress::new(raw & ((1 << 64) - 1));
            let name = |at: VirtualAddress| Operands::page(lpid, at, segment, pages);
            let base = at(raw).align_down(pages.base());
            prop_assert_eq!(name(at(raw)), name(base));
            prop_assert_eq!(name(base).rs, u64::from(lpid));
            let same = base == at(other).align_down(pages.base());
            if pages.base() == pages.actual() {
                prop_assert_eq!(name(at(raw)) == name(at(other)), same);
            }
            // What a processor compares: the address down to the base page of 4 KiB, or to the page's own size.
            let compared = if pages.base() == PageSize::Size4K { pages.base() } else { pages.actual() };
            prop_assert_eq!(name(base).rb & !compared.offset_mask(), base.align_down(compared).low());
            prop_assert_eq!(name(base).rb & mask(52, 53), 0);
            prop_assert!(!name(base).is_partition() && name(base).lpid() == lpid);
        }
    }
}

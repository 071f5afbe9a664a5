//! What an entry of a hashed table says (Power ISA 3.1B Book III 6.7.9, "Page Table Entry").
//!
//! ```text
//!   doubleword 0   0 ..... 11 | 12 ............ 56 | 57 .. 60 | 61 62 63
//!                      -      |        AVA         |    SW    |  L  H  V
//!   doubleword 1   0  | 1 | 2 3 | 4 5 | 6 | 7 ..... 43 | 44 .. 51 | 52 .. 54 | 55 56 | 57 .. 60 | 61 | 62 63
//!                  pp | - | key |  B  | - |    ARPN    |  LP/ARPN |   key    |  R  C |   WIMG   | N  |  pp
//! ```
//!
//! AVA is the virtual address without its low 23 bits; what of these a page needs, its place in the table tells ([`super::table`]).
//!
//! PAPR's calls have entries as they were before ISA 3.0: B in bits 0:1 of doubleword 0, everything else where it is. [`PaprEntry`] is such a pair, a *claim* of the guest, and
//! [`PaprEntry::check`] the one place that makes an [`Entry`] of it.

use super::pages::Pages;
use super::segment::{Segment, VirtualAddress};
use crate::bits::{bit, mask, shift};
use bitflags::bitflags;

/// Low bits of a virtual address that AVA leaves out.
pub const ABBREVIATED: u32 = 23;

const AVA: u64 = mask(12, 56);
const B: u64 = mask(4, 5);
const RESERVED: u64 = bit(1);
/// Where a guest's entry has what an entry of the table has B in, and nothing: bits of the real address beyond what there are.
const BEYOND: u64 = mask(4, 6);
const REAL_PAGE: u64 = mask(7, 51);
const PAPR_B: u64 = mask(0, 1);

bitflags! {
    /// Doubleword 0 but for AVA.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Word0: u64 {
        /// Software's first bit. PAPR keeps it and the next one from guests.
        const SW0 = bit(57);
        /// Software's second bit.
        const SW1 = bit(58);
        /// Software's third bit: a PAPR guest's (Linux: not to be evicted).
        const SW2 = bit(59);
        /// Software's fourth bit: a PAPR guest's.
        const SW3 = bit(60);
        /// A page of another size than 4 KiB, or another base than that: see [`Pages`].
        const LARGE = bit(61);
        /// It stands in its secondary group.
        const SECONDARY = bit(62);
        /// Hardware uses it.
        const VALID = bit(63);
        // AVA and reserved bits, kept as they came.
        const _ = !0;
    }
}

impl Word0 {
    /// AVA alone.
    pub const AVA: Self = Self::from_bits_retain(AVA);
    /// What has to agree for two entries to be about the same page but for B: AVA, L and H.
    pub const NAME: Self = Self::from_bits_retain(AVA).union(Self::LARGE).union(Self::SECONDARY);

    /// AVA of a virtual address.
    #[must_use]
    #[inline]
    pub const fn naming(at: VirtualAddress) -> Self {
        Self::from_bits_retain((at.raw() >> ABBREVIATED << 7) as u64 & AVA)
    }

    /// The virtual address that AVA abbreviates, its low 23 bits zero.
    #[must_use]
    #[inline]
    pub const fn abbreviated(self) -> VirtualAddress {
        VirtualAddress::new(((self.bits() & AVA) as u128) >> 7 << ABBREVIATED)
    }
}

bitflags! {
    /// Doubleword 1 but for B and the real address.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Word1: u64 {
        /// PP's first bit (6.7.13, "Storage protection").
        const PP0 = bit(0);
        /// PP's second bit.
        const PP1 = bit(62);
        /// PP's third bit.
        const PP2 = bit(63);
        /// The virtual page class key's high two bits.
        const KEY_HIGH = mask(2, 3);
        /// Its low three bits.
        const KEY_LOW = mask(52, 54);
        /// Referenced.
        const REFERENCED = bit(55);
        /// Changed.
        const CHANGED = bit(56);
        /// Write-through; ignored since ISA 2.07.
        const WRITE_THROUGH = bit(57);
        /// Caching inhibited.
        const INHIBITED = bit(58);
        /// Memory coherence.
        const COHERENT = bit(59);
        /// Guarded.
        const GUARDED = bit(60);
        /// Not executed.
        const NO_EXECUTE = bit(61);
        // B, the real address with LP, and reserved bits, kept as they came.
        const _ = !0;
    }
}

impl Word1 {
    /// All three bits of PP.
    pub const PP: Self = Self::PP0.union(Self::PP1).union(Self::PP2);
    /// The whole key.
    pub const KEY: Self = Self::KEY_HIGH.union(Self::KEY_LOW);
    /// R and C.
    pub const RECORDED: Self = Self::REFERENCED.union(Self::CHANGED);
    /// What H_PROTECT changes.
    pub const PROTECTION: Self = Self::PP.union(Self::KEY).union(Self::NO_EXECUTE);
    /// W, I, M and G.
    pub const WIMG: Self = Self::WRITE_THROUGH.union(Self::INHIBITED).union(Self::COHERENT).union(Self::GUARDED);

    /// The same word with the bits of `mask` as `from` has them.
    #[must_use]
    #[inline]
    pub const fn with(self, mask: Self, from: Self) -> Self {
        Self::from_bits_retain(self.bits() & !mask.bits() | from.bits() & mask.bits())
    }

    /// How large the segment is.
    #[must_use]
    #[inline]
    pub const fn segment(self) -> Option<Segment> {
        Segment::from_field((self.bits() & B) >> shift(5))
    }

    /// The real address of the page, whose sizes are `pages`: ARPN, and LP where it is not the encoding.
    #[must_use]
    #[inline]
    pub const fn real(self, pages: Pages) -> u64 {
        self.bits() & REAL_PAGE & !pages.actual().offset_mask()
    }

    /// The same word about the page of `pages` at `real`, of which what does not fit is dropped.
    #[must_use]
    #[inline]
    pub const fn with_real(self, pages: Pages, real: u64) -> Self {
        let at = real & REAL_PAGE & !pages.actual().offset_mask();
        Self::from_bits_retain(self.bits() & !REAL_PAGE | at | pages.field())
    }
}

/// An entry as it stands in the table, in native order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Doubleword 0.
    pub word0: Word0,
    /// Doubleword 1.
    pub word1: Word1,
}

impl Entry {
    /// The page sizes it says; `None` if processors have no such.
    #[must_use]
    #[inline]
    pub const fn pages(self) -> Option<Pages> {
        Pages::decode(self.word0.contains(Word0::LARGE), self.word1.bits())
    }

    /// As PAPR's calls have it.
    #[must_use]
    #[inline]
    pub const fn papr(self) -> PaprEntry {
        let b = (self.word1.bits() & B) >> shift(5) << shift(1);
        PaprEntry { word0: self.word0.bits() & !PAPR_B | b, word1: self.word1.bits() & !B }
    }
}

/// An entry as PAPR's calls have it: B in doubleword 0 (LoPAR 14.5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PaprEntry {
    /// Doubleword 0.
    pub word0: u64,
    /// Doubleword 1.
    pub word1: u64,
}

impl PaprEntry {
    /// The entry that a guest asks for, if processors have such: B, page sizes and the lengths of both addresses. The reserved bit is dropped. Everything else that may be wrong
    /// with it, memory knows.
    #[must_use]
    #[inline]
    pub fn check(self) -> Option<(Entry, Segment, Pages)> {
        let segment = Segment::from_field((self.word0 & PAPR_B) >> shift(1))?;
        let word0 = Word0::from_bits_retain(self.word0 & !PAPR_B);
        if word0.bits() & mask(2, 11) != 0 || self.word1 & BEYOND != 0 {
            return None;
        }
        let word1 = Word1::from_bits_retain(self.word1 & !RESERVED | segment.field() << shift(5));
        let entry = Entry { word0, word1 };
        let pages = entry.pages()?;
        // A base page begins where pages of its size do, as far as AVA tells. (A page that is larger than its base has an entry for each base page that is used of it.)
        let ava = word0.abbreviated();
        if ava.raw() != ava.align_down(pages.base()).raw() {
            return None;
        }
        Some((entry, segment, pages))
    }

    /// Doubleword 0 of what a guest says that an entry has: AVA and B, as H_REMOVE and others compare them.
    pub const COMPARED: u64 = !0x7f;
}

#[cfg(test)]
mod tests {
    use super::super::pages::PageSize;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_bits_have_the_values_that_the_manual_numbers() {
        assert_eq!((Word0::VALID | Word0::SECONDARY | Word0::LARGE).bits(), 7);
        assert_eq!((Word0::SW0.bits(), Word0::SW1.bits(), Word0::SW2.bits(), Word0::SW3.bits()), (0x40, 0x20, 0x10, 8));
        assert_eq!(Word0::AVA.bits(), 0x000f_ffff_ffff_ff80);
        assert_eq!((Word1::REFERENCED.bits(), Word1::CHANGED.bits()), (0x100, 0x80));
        assert_eq!(Word1::WIMG.bits(), 0x78);
        assert_eq!(Word1::PP.bits(), 1 << 63 | 3);
        assert_eq!(Word1::KEY.bits(), 0x3000_0000_0000_0e00);
        assert_eq!(Word1::NO_EXECUTE.bits(), 4);
        assert_eq!(B, 3 << 58);
        assert_eq!(REAL_PAGE, 0x01ff_ffff_ffff_f000);
    }

    #[test]
    fn an_entry_that_a_machine_was_seen_to_take_says_what_it_maps() {
        // 0x190: R, C and M.
        let word1 = Word1::from_bits_retain(0x1234_5000 | 0x190 | 2 | 1 << 58);
        let entry = Entry { word0: Word0::VALID, word1 };
        assert_eq!(entry.pages(), Some(Pages::SMALL));
        assert_eq!((word1.segment(), word1.real(Pages::SMALL)), (Some(Segment::Size1T), 0x1234_5000));
        assert_eq!(word1 & (Word1::WIMG | Word1::RECORDED), Word1::COHERENT | Word1::RECORDED);
    }

    #[test]
    fn every_flag_is_kept_when_the_real_page_changes_and_only_they_are() {
        let bits: std::vec::Vec<_> = Word1::all().iter_names().map(|(_, flag)| flag).collect();
        for set in 0..1_u32 << bits.len() {
            let word =
                bits.iter().enumerate().filter(|(n, _)| set & 1 << n != 0).fold(Word1::empty(), |w, (_, b)| w | *b);
            for pages in [Pages::SMALL, Pages::MEDIUM] {
                let moved = word.with_real(pages, 0x01ff_ffff_ffff_ffff);
                assert_eq!(moved.real(pages), 0x01ff_ffff_ffff_f000 & !pages.actual().offset_mask());
                assert_eq!(moved.with_real(Pages::SMALL, 0), word);
            }
        }
    }

    #[test]
    fn each_flag_of_a_claim_comes_back_and_what_no_processor_has_is_refused() {
        for n in 0..64 {
            let claim = PaprEntry { word0: bit(n) | 1, word1: 0 };
            let refused = n == 0 || (2..12).contains(&n);
            assert_eq!(claim.check().is_none(), refused, "doubleword 0, bit {n}");
            if !refused {
                assert_eq!(claim.check().map(|(entry, ..)| entry.papr()), Some(claim), "doubleword 0, bit {n}");
            }
            let claim = PaprEntry { word0: 1, word1: bit(n) };
            let kept = if n == 1 { 0 } else { bit(n) };
            let expected = Some(PaprEntry { word0: 1, word1: kept }).filter(|_| !(4..7).contains(&n));
            assert_eq!(claim.check().map(|(entry, ..)| entry.papr()), expected, "doubleword 1, bit {n}");
        }
    }

    #[test]
    fn a_base_page_of_16m_begins_at_such_a_boundary() {
        let claim = |ava: u64| PaprEntry { word0: ava << 7 | 5, word1: 0 };
        assert!(claim(2).check().is_some_and(|(_, _, pages)| pages.actual() == PageSize::Size16M));
        assert_eq!(claim(1).check(), None);
        // 64 KiB pieces of a 16 MiB page: each is named by itself.
        let piece = PaprEntry { word0: 1 << 7 | 5, word1: 8 << 12 };
        assert!(piece.check().is_some_and(|(_, _, pages)| pages.base() == PageSize::Size64K));
    }

    proptest! {
        #[test]
        fn a_claim_that_is_taken_goes_round(word0: u64, word1: u64) {
            if let Some((entry, segment, pages)) = (PaprEntry { word0, word1 }).check() {
                prop_assert_eq!(entry.papr().check(), Some((entry, segment, pages)));
                prop_assert_eq!(entry.papr().word0, word0);
                prop_assert_eq!(entry.word1.segment(), Some(segment));
                prop_assert_eq!(entry.pages(), Some(pages));
            }
        }

        #[test]
        fn the_name_of_an_address_is_the_address_without_its_low_bits(raw: u128) {
            let at = VirtualAddress::new(raw);
            let name = Word0::naming(at);
            prop_assert_eq!(name.bits() & !Word0::AVA.bits(), 0);
            prop_assert_eq!(name.abbreviated().raw(), at.raw() >> ABBREVIATED << ABBREVIATED);
        }

        #[test]
        fn the_real_page_goes_round_in_every_size(real in 0u64..1 << 57, raw: u64, which in 0usize..6) {
            let pages = Pages::ALL[which];
            let word = Word1::from_bits_retain(raw).with_real(pages, real);
            prop_assert_eq!(word.real(pages), real & !pages.actual().offset_mask() & REAL_PAGE);
            prop_assert_eq!(Pages::decode(pages.large(), word.bits()), Some(pages));
            prop_assert_eq!(word.bits() & !REAL_PAGE, raw & !REAL_PAGE);
        }
    }
}

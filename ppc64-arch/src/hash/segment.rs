//! Segments (Power ISA 3.1B Book III 6.7.8): from an effective address to a virtual one, by an SLB entry.
//!
//! ```text
//!   VSID word   0 1 | 2 ............. 51 | 52 53 54 55 56 57 | 58 59 | 60..63
//!   (SLB, ASDR)  B  |       VSID         | Ks Kp N  L  C  -  |  LP   |   -
//!                   | 2 ... 39 if 1 TiB  |
//! ```
//!
//! ASDR holds the VSID word after a hypervisor storage interrupt of a hash guest: the one of the SLB entry that translated the effective address, or the VRMA's if the guest was
//! in real mode. It is a *claim* like any other: a guest chooses its VSIDs, and all that they do is to pick a group of the guest's own table.

use super::pages::{PageSize, SEGMENT_ENCODING};
use crate::addr::EffAddr;
use crate::bits::{bit, mask, shift};

const SIZE: u64 = mask(0, 1);
const VSID_256M: u64 = mask(2, 51);
const VSID_1T: u64 = mask(2, 39);

/// How large a segment is: the field B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Segment {
    /// 256 MiB.
    Size256M = 0,
    /// 1 TiB.
    Size1T = 1,
}

impl Segment {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Size256M, Self::Size1T];

    /// log2 of its bytes.
    #[must_use]
    #[inline]
    pub const fn shift(self) -> u32 {
        match self {
            Self::Size256M => 28,
            Self::Size1T => 40,
        }
    }

    /// What the field B says; two of its values are reserved.
    #[must_use]
    #[inline]
    pub const fn from_field(field: u64) -> Option<Self> {
        match field {
            0 => Some(Self::Size256M),
            1 => Some(Self::Size1T),
            _ => None,
        }
    }

    /// The field B, right-aligned.
    #[must_use]
    #[inline]
    pub const fn field(self) -> u64 {
        self as u64
    }
}

/// A virtual address: of 78 bits the low 68, which is what processors of the field have (`ibm,` properties say no other).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualAddress(u128);

impl VirtualAddress {
    /// How many bits it has.
    pub const BITS: u32 = 68;

    /// The address with this value; higher bits are dropped.
    #[must_use]
    #[inline]
    pub const fn new(raw: u128) -> Self {
        Self(raw & ((1 << Self::BITS) - 1))
    }

    /// Its value.
    #[must_use]
    #[inline]
    pub const fn raw(self) -> u128 {
        self.0
    }

    /// The segment's number.
    #[must_use]
    #[inline]
    pub const fn vsid(self, segment: Segment) -> u64 {
        (self.0 >> segment.shift()) as u64
    }

    /// The number of the page within its segment.
    #[must_use]
    #[inline]
    pub const fn page(self, segment: Segment, base: PageSize) -> u64 {
        (self.0 as u64 & ((1 << segment.shift()) - 1)) >> base.shift()
    }

    /// The first address of the page of `size` that this lies in.
    #[must_use]
    #[inline]
    pub const fn align_down(self, size: PageSize) -> Self {
        Self(self.0 & !(size.offset_mask() as u128))
    }

    /// The low 64 bits: what fits a register.
    #[must_use]
    #[inline]
    pub const fn low(self) -> u64 {
        self.0 as u64
    }
}

/// An SLB entry's VSID word, or ASDR's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct VsidWord(u64);

impl VsidWord {
    /// Ks, bit 52: the key that supervisor state has in the segment.
    pub const SUPERVISOR_KEY: u64 = bit(52);
    /// Kp, bit 53: the key that problem state has.
    pub const PROBLEM_KEY: u64 = bit(53);
    /// N, bit 54: nothing in the segment is executed.
    pub const NO_EXECUTE: u64 = bit(54);

    /// The word of a register.
    #[must_use]
    #[inline]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The word that names segment `vsid`. Bits of `vsid` beyond the field are dropped.
    #[must_use]
    pub const fn of(segment: Segment, vsid: u64, base: PageSize) -> Self {
        let vsid = match segment {
            Segment::Size256M => vsid << shift(51) & VSID_256M,
            Segment::Size1T => vsid << shift(39) & VSID_1T,
        };
        Self(segment.field() << shift(1) | vsid | base.segment_encoding())
    }

    /// The virtual real mode area of a partition whose real mode has pages of `base`: 1 TiB at a number that the architecture reserves (6.7.3.3, "Virtual Real Mode Addressing").
    #[must_use]
    pub const fn real_mode(base: PageSize) -> Self {
        Self::of(Segment::Size1T, VRMA, base)
    }

    /// All 64 bits.
    #[must_use]
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// How large the segment is; `None` if the field says what is reserved.
    #[must_use]
    #[inline]
    pub const fn segment(self) -> Option<Segment> {
        Segment::from_field((self.0 & SIZE) >> shift(1))
    }

    /// Its number.
    #[must_use]
    #[inline]
    pub const fn vsid(self, segment: Segment) -> u64 {
        match segment {
            Segment::Size256M => (self.0 & VSID_256M) >> shift(51),
            Segment::Size1T => (self.0 & VSID_1T) >> shift(39),
        }
    }

    /// The base page size; `None` if no processor has what it says.
    #[must_use]
    #[inline]
    pub const fn base(self) -> Option<PageSize> {
        PageSize::from_segment_encoding(self.0)
    }

    /// Whether it is the virtual real mode area's.
    #[must_use]
    pub const fn is_real_mode(self) -> bool {
        self.0 & (SIZE | VSID_1T) == Self::real_mode(PageSize::Size4K).0 & !SEGMENT_ENCODING
    }

    /// The virtual address of `at` in this segment; `None` if it is not one that processors have.
    #[must_use]
    #[inline]
    pub const fn translate(self, at: EffAddr) -> Option<VirtualAddress> {
        let Some(segment) = self.segment() else { return None };
        let offset = at.raw() & ((1 << segment.shift()) - 1);
        let raw = (self.vsid(segment) as u128) << segment.shift() | offset as u128;
        if raw >> VirtualAddress::BITS != 0 { None } else { Some(VirtualAddress(raw)) }
    }
}

/// The number of the virtual real mode area's segment.
pub const VRMA: u64 = 0x01ff_ffff;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_real_mode_area_is_the_one_that_a_machine_was_seen_to_report() {
        assert_eq!(VsidWord::real_mode(PageSize::Size4K).raw(), 0x4001_ffff_ff00_0000);
        for base in PageSize::ALL {
            let area = VsidWord::real_mode(base);
            assert!(area.is_real_mode());
            assert_eq!((area.segment(), area.base()), (Some(Segment::Size1T), Some(base)));
            assert_eq!(
                area.translate(EffAddr::new(0x1234)).map(VirtualAddress::raw),
                Some((VRMA as u128) << 40 | 0x1234)
            );
        }
        assert!(!VsidWord::of(Segment::Size1T, VRMA - 1, PageSize::Size4K).is_real_mode());
        assert!(!VsidWord::of(Segment::Size256M, VRMA, PageSize::Size4K).is_real_mode());
    }

    #[test]
    fn the_keys_stand_where_the_manual_numbers_them() {
        let all = VsidWord::SUPERVISOR_KEY | VsidWord::PROBLEM_KEY | VsidWord::NO_EXECUTE;
        assert_eq!(all, 0xe00);
        assert_eq!(all & SEGMENT_ENCODING, 0);
    }

    #[test]
    fn what_is_reserved_translates_to_nothing() {
        for raw in [1 << 63, 3 << 62] {
            assert_eq!(VsidWord::new(raw).segment(), None);
            assert_eq!(VsidWord::new(raw).translate(EffAddr::new(0)), None);
        }
        // A number of more than 28 or 40 bits: beyond 68 bits of virtual address.
        assert_eq!(VsidWord::of(Segment::Size1T, 1 << 28, PageSize::Size4K).translate(EffAddr::new(0)), None);
        assert_eq!(VsidWord::of(Segment::Size256M, 1 << 40, PageSize::Size4K).translate(EffAddr::new(0)), None);
    }

    proptest! {
        #[test]
        fn a_virtual_address_is_its_segment_its_page_and_its_offset(ea: u64, vsid in 0u64..1 << 28, large: bool, base in 0usize..3) {
            let (segment, base) = (Segment::ALL[large as usize], PageSize::ALL[base]);
            let word = VsidWord::of(segment, vsid, base);
            prop_assert_eq!((word.segment(), word.base(), word.vsid(segment)), (Some(segment), Some(base), vsid));
            let va = word.translate(EffAddr::new(ea)).expect("68 bits");
            prop_assert_eq!(va.vsid(segment), vsid);
            let offset = ea & base.offset_mask();
            let sum = (vsid as u128) << segment.shift() | (va.page(segment, base) << base.shift() | offset) as u128;
            prop_assert_eq!(sum, va.raw());
            prop_assert_eq!(va.align_down(base).raw() | offset as u128, va.raw());
        }

        #[test]
        fn no_word_makes_an_address_beyond_68_bits(raw: u64, ea: u64) {
            if let Some(va) = VsidWord::new(raw).translate(EffAddr::new(ea)) {
                prop_assert_eq!(va.raw() >> VirtualAddress::BITS, 0);
            }
        }
    }
}

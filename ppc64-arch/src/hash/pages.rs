//! Page sizes of a hashed table (Power ISA 3.1B Book III 6.7.9, L and LP of an entry; 6.7.8.1, L and LP of an SLB entry).
//!
//! A segment has a *base* page size, which the hash is made with. A page in it has an *actual* size, no smaller. Which pairs there are, and by which encodings, processors say
//! in `ibm,segment-page-sizes`; these are those of POWER9 and POWER10, 16 GiB left out (no guest of ours has memory in such pieces).
//!
//! ```text
//!   doubleword 1:   ... ARPN ....... 43 | 44 ... LP ... 51 |      L=0: bits 44:51 are the real address's too
//!                                         r r r r v v v v         64 KiB pages: the encoding is in the low 4 bits
//!                                         v v v v v v v v         16 MiB pages: in all 8
//! ```

/// The size of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PageSize {
    /// 4 KiB.
    Size4K = 12,
    /// 64 KiB.
    Size64K = 16,
    /// 16 MiB.
    Size16M = 24,
}

impl PageSize {
    /// All of them, smallest first.
    pub const ALL: [Self; 3] = [Self::Size4K, Self::Size64K, Self::Size16M];

    /// log2 of the size in bytes.
    #[must_use]
    #[inline]
    pub const fn shift(self) -> u32 {
        self as u32
    }

    /// The size in bytes.
    #[must_use]
    #[inline]
    pub const fn bytes(self) -> u64 {
        1 << self.shift()
    }

    /// The bits of an address that lie inside one page.
    #[must_use]
    #[inline]
    pub const fn offset_mask(self) -> u64 {
        self.bytes() - 1
    }

    /// L and LP of an SLB entry's VSID word (bits 55 and 58:59) for segments of this base page size.
    #[must_use]
    pub const fn segment_encoding(self) -> u64 {
        match self {
            Self::Size4K => 0,
            Self::Size64K => 0x110,
            Self::Size16M => 0x100,
        }
    }

    /// The base page size that a VSID word's L and LP say; `None` for those that processors do not have.
    #[must_use]
    pub const fn from_segment_encoding(word: u64) -> Option<Self> {
        match word & SEGMENT_ENCODING {
            0 => Some(Self::Size4K),
            0x110 => Some(Self::Size64K),
            0x100 => Some(Self::Size16M),
            _ => None,
        }
    }
}

/// L and LP in a VSID word.
pub const SEGMENT_ENCODING: u64 = 0x130;

/// LP in an entry's doubleword 1: bits 44:51.
const LP_SHIFT: u32 = 12;

/// The sizes of one page: its segment's base page size, and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pages {
    base: PageSize,
    actual: PageSize,
}

impl Pages {
    /// 4 KiB pages.
    pub const SMALL: Self = Self { base: PageSize::Size4K, actual: PageSize::Size4K };
    /// 64 KiB pages in segments of such.
    pub const MEDIUM: Self = Self { base: PageSize::Size64K, actual: PageSize::Size64K };
    /// Every pair that processors have.
    pub const ALL: [Self; 6] = [
        Self::SMALL,
        Self { base: PageSize::Size4K, actual: PageSize::Size64K },
        Self { base: PageSize::Size4K, actual: PageSize::Size16M },
        Self::MEDIUM,
        Self { base: PageSize::Size64K, actual: PageSize::Size16M },
        Self { base: PageSize::Size16M, actual: PageSize::Size16M },
    ];

    /// The pair, if processors have it.
    #[must_use]
    pub const fn new(base: PageSize, actual: PageSize) -> Option<Self> {
        if base as u8 <= actual as u8 { Some(Self { base, actual }) } else { None }
    }

    /// The size that the hash is made with.
    #[must_use]
    #[inline]
    pub const fn base(self) -> PageSize {
        self.base
    }

    /// The size that is mapped.
    #[must_use]
    #[inline]
    pub const fn actual(self) -> PageSize {
        self.actual
    }

    /// Whether entries of this pair have L=1.
    #[must_use]
    #[inline]
    pub const fn large(self) -> bool {
        !matches!((self.base, self.actual), (PageSize::Size4K, PageSize::Size4K))
    }

    /// The encoding, as `ibm,segment-page-sizes` has it behind each actual size.
    #[must_use]
    pub const fn encoding(self) -> u64 {
        match (self.base, self.actual) {
            (PageSize::Size4K, PageSize::Size64K) => 7,
            (PageSize::Size4K, PageSize::Size16M) => 0x38,
            (PageSize::Size64K, PageSize::Size64K) => 1,
            (PageSize::Size64K, PageSize::Size16M) => 8,
            _ => 0,
        }
    }

    /// The encoding as it stands in doubleword 1, or in RB of a `tlbie` with L=1.
    #[must_use]
    #[inline]
    pub const fn field(self) -> u64 {
        self.encoding() << LP_SHIFT
    }

    /// The pair that L (of doubleword 0) and doubleword 1 say; `None` for encodings that processors do not have.
    #[must_use]
    #[inline]
    pub const fn decode(large: bool, word1: u64) -> Option<Self> {
        if !large {
            return Some(Self::SMALL);
        }
        let lp = word1 >> LP_SHIFT & 0xff;
        let (base, actual) = match (lp & 0xf, lp) {
            (1, _) => (PageSize::Size64K, PageSize::Size64K),
            (7, _) => (PageSize::Size4K, PageSize::Size64K),
            (_, 0x38) => (PageSize::Size4K, PageSize::Size16M),
            (_, 8) => (PageSize::Size64K, PageSize::Size16M),
            (_, 0) => (PageSize::Size16M, PageSize::Size16M),
            _ => return None,
        };
        Some(Self { base, actual })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pair_is_what_its_encoding_says_wherever_the_page_is() {
        for pages in Pages::ALL {
            for frame in [0, 1, 5, 0xff, 0x1234] {
                let word1 = frame << pages.actual.shift() & 0x01ff_ffff_ffff_f000 | pages.field();
                assert_eq!(Pages::decode(pages.large(), word1), Some(pages), "{pages:?} at {word1:#x}");
            }
        }
    }

    #[test]
    fn every_other_encoding_is_refused() {
        let known = |lp: u64| lp & 0xf == 1 || lp & 0xf == 7 || [0, 8, 0x38].contains(&lp);
        for lp in 0..=0xff_u64 {
            assert_eq!(Pages::decode(true, lp << 12).is_some(), known(lp), "{lp:#x}");
        }
        assert_eq!(Pages::decode(false, u64::MAX), Some(Pages::SMALL));
    }

    #[test]
    fn no_page_is_smaller_than_its_base() {
        for base in PageSize::ALL {
            for actual in PageSize::ALL {
                let there = Pages::ALL.into_iter().find(|pages| (pages.base, pages.actual) == (base, actual));
                assert_eq!(Pages::new(base, actual), there);
            }
        }
    }

    #[test]
    fn segments_encode_their_base_size_and_no_other() {
        for size in PageSize::ALL {
            assert_eq!(PageSize::from_segment_encoding(size.segment_encoding() | !SEGMENT_ENCODING), Some(size));
        }
        for unknown in [0x10, 0x20, 0x30, 0x120, 0x130] {
            assert_eq!(PageSize::from_segment_encoding(unknown), None);
        }
    }
}

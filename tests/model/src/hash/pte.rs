//! What the numbers of an entry mean, as PAPR's calls have it (LoPAR 14.5.4.1; Power ISA 2.07B Book III-S 5.7.7, whose format that is: B in bits 0:1 of doubleword 0).
//!
//! Written again from those texts, and not by what `ppc64-arch` offers: that is under test as well.

/// R and C in doubleword 1.
pub const RECORDED: u64 = 0x180;
/// R alone.
pub const REFERENCED: u64 = 0x100;
/// C alone.
pub const CHANGED: u64 = 0x80;
/// What H_PROTECT changes of doubleword 1: pp, key and N.
pub const PROTECTION: u64 = 0xb000_0000_0000_0e07;
/// The entry is valid (doubleword 0).
pub const VALID: u64 = 1;
/// It stands in its secondary group.
pub const SECONDARY: u64 = 2;
/// Its page, or its segment's, is larger than 4 KiB.
pub const LARGE: u64 = 4;
/// It is bolted: another table has to have it as well.
pub const BOLTED: u64 = 0x10;

/// What of doubleword 0 the guest has for itself, V apart: B, AVA, two software bits, L and H.
const KEPT0: u64 = 0xc00f_ffff_ffff_ff9e;
/// What of doubleword 1 is not reserved.
const KEPT1: u64 = 0xbfff_ffff_ffff_ffff;
/// AVA: the virtual address without its low 23 bits.
const AVA: u64 = 0x000f_ffff_ffff_ff80;
/// What has to be set in the name of an entry for real mode: 1 TiB segments, and the number of theirs.
const REAL_MODE: u64 = 0x4001_ffff_ff00_0000;
/// Entries of a group.
pub const GROUP: u64 = 8;

/// Both doublewords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pte {
    /// Doubleword 0.
    pub word0: u64,
    /// Doubleword 1.
    pub word1: u64,
}

impl Pte {
    /// What a guest finds of what it has entered.
    #[must_use]
    pub const fn kept(self) -> Self {
        Self { word0: self.word0 & KEPT0 | VALID, word1: self.word1 & KEPT1 }
    }

    /// What AVPN is compared with: B and AVA.
    #[must_use]
    pub const fn avpn(self) -> u64 {
        self.word0 & !0x7f
    }

    /// log2 of the base page size and of the actual one, if the encoding is one.
    #[must_use]
    pub const fn sizes(self) -> Option<(u32, u32)> {
        if self.word0 & LARGE == 0 {
            return Some((12, 12));
        }
        match self.word1 >> 12 & 0xff {
            0 => Some((24, 24)),
            8 => Some((16, 24)),
            0x38 => Some((12, 24)),
            lp if lp & 15 == 1 => Some((16, 16)),
            lp if lp & 15 == 7 => Some((12, 16)),
            _ => None,
        }
    }

    /// The guest real address of the page, of `1 << actual` bytes.
    #[must_use]
    pub const fn real(self, actual: u32) -> u64 {
        self.word1 & 0x0fff_ffff_ffff_f000 & !((1 << actual) - 1)
    }

    /// pp, its first bit most significant.
    #[must_use]
    pub const fn pp(self) -> u64 {
        self.word1 >> 63 << 2 | self.word1 & 3
    }

    /// Whether key 0 lets a load, or a store, through.
    #[must_use]
    pub const fn allows(self, store: bool) -> bool {
        let pp = self.pp();
        if store { pp <= 2 } else { pp <= 3 || pp == 6 }
    }

    /// Whether it is about real mode: such entries the hypervisor makes where it has to.
    #[must_use]
    pub const fn is_real_mode(self) -> bool {
        self.word0 & REAL_MODE == REAL_MODE
    }

    /// Which page of virtual memory it is about where it stands in place `index`: where it begins, and the sizes of the segment and of the base page.
    #[must_use]
    pub fn page(self, index: u64) -> (u128, u32, Option<u32>) {
        (self.address(index), self.segment(), self.sizes().map(|(base, _)| base))
    }

    /// log2 of the bytes of its segment.
    const fn segment(self) -> u32 {
        if self.word0 >> 62 == 1 { 40 } else { 28 }
    }

    /// The virtual address of the page that it is about where it stands in place `index`. An entry's group is its hash cut to the table's size, so the place gives the bits that AVA leaves out.
    #[must_use]
    pub fn address(self, index: u64) -> u128 {
        let above = u128::from((self.word0 & AVA) >> 7) << 23;
        let Some((base, _)) = self.sizes().filter(|(base, _)| *base < 23) else { return above };
        let group = index / GROUP;
        let hash = if self.word0 & SECONDARY == 0 { group } else { !group };
        let page = (hash ^ segment_part(above, self.segment())) & ((1 << (23 - base)) - 1);
        above | u128::from(page) << base
    }

    /// The first place of the group that an entry of this name for the page at `at` stands in, in a table of `1 << order` bytes.
    #[must_use]
    pub fn group(self, at: u128, order: u32) -> u64 {
        let (base, _) = self.sizes().unwrap_or((12, 12));
        let page = (at & ((1 << self.segment()) - 1)) >> base;
        let hash = segment_part(at, self.segment()) ^ page as u64;
        let hash = if self.word0 & SECONDARY == 0 { hash } else { !hash };
        (hash & ((1 << (order - 7)) - 1)) * GROUP
    }

    /// Where it stands in a table of another size: in its own group, and there in the place that it has now (LoPAR, H_RESIZE_HPT_COMMIT).
    #[must_use]
    pub fn moved(self, index: u64, order: u32) -> u64 {
        self.group(self.address(index), order) + index % GROUP
    }
}

/// What the number of a segment contributes to the hash (Power ISA, "Page Table Search").
const fn segment_part(at: u128, segment: u32) -> u64 {
    let vsid = (at >> segment) as u64;
    if segment == 40 { vsid ^ vsid << 25 } else { vsid }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry for a page of 4 KiB.
    fn small(at: u128, segment: u64) -> Pte {
        Pte { word0: (at >> 23 << 7) as u64 | segment << 62, word1: 0 }
    }

    #[test]
    fn a_place_gives_back_the_address_that_led_to_it() {
        for (order, segment) in [(18, 0), (19, 1), (20, 0), (24, 1)] {
            for secondary in [0, SECONDARY] {
                let at = 0x1234_5678_9abc_d000;
                let pte = small(at, segment);
                let pte = Pte { word0: pte.word0 | secondary, ..pte };
                assert_eq!(pte.address(pte.group(at, order) + 5), at);
            }
        }
    }

    #[test]
    fn an_entry_moves_to_the_same_place_of_its_group() {
        // The page's number is 0x1801, its segment's 0: these are its hash.
        let pte = small(0x180_1000, 0);
        assert_eq!((pte.group(0x180_1000, 18), pte.group(0x180_1000, 20)), (GROUP, 0x1801 * GROUP));
        assert_eq!(pte.moved(0x1801 * GROUP + 3, 18), GROUP + 3);
    }

    #[test]
    fn real_mode_is_known_by_its_segment() {
        assert!(small(0x01ff_ffff << 40, 1).is_real_mode());
        assert!(!small(0x01ff_ffff << 40, 0).is_real_mode() && !small(0x01ff_fffe << 40, 1).is_real_mode());
    }
}

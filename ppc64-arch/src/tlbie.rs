//! Which operands `tlbie` and `tlbiel` take to drop a radix partition's translations (Power ISA 3.1B Book III 6.9.3.3).
//!
//! The instruction word says what kind of entries (RIC), whose (PRS) and by which tree (R); register RB says which address at which page size, or how much of it all (IS); register RS
//! says which partition. Everything here is data and builds on the host; the instructions themselves are in `cpu`.

use crate::addr::{GuestReal, LeafSize};
use crate::bits::{mask, shift};
use crate::pvr::Cpu;

/// What of the caches is dropped: the RIC field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Cached {
    /// Translations.
    Translations = 0,
    /// Table entries: the page-walk cache.
    Tables = 1,
    /// Both, and process and partition table entries.
    Everything = 2,
}

/// How much is dropped: the IS field of RB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
enum Scope {
    Page = 0,
    Partition = 2,
    All = 3,
}

/// The operands of one `tlbie`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operands {
    /// RIC.
    pub cached: Cached,
    /// RB.
    pub rb: u64,
    /// RS: the LPID in bits 32 to 63. (The upper half is the PID, which partition-scoped forms ignore.)
    pub rs: u64,
}

/// The actual page size field of RB.
const fn actual_page_size(size: LeafSize) -> u64 {
    let encoding = match size {
        LeafSize::Size4K => 0,
        LeafSize::Size2M => 1,
        LeafSize::Size1G => 2,
        LeafSize::Size64K => 5,
    };
    encoding << shift(58)
}

/// The effective page number field of RB.
const PAGE_NUMBER: u64 = mask(0, 51);

/// Sets of the TLB that `tlbiel` has to name (POWER9 User's Manual; POWER10 ignores the field).
const fn tlb_sets(cpu: Cpu) -> u64 {
    match cpu {
        Cpu::Power9 => 128,
        Cpu::Power10 | Cpu::Power11 => 1,
    }
}

impl Operands {
    /// Translations of the page of `size` at `at`.
    #[must_use]
    pub const fn page(lpid: u32, at: GuestReal, size: LeafSize) -> Self {
        let rb = at.raw() & PAGE_NUMBER | (Scope::Page as u64) << shift(53) | actual_page_size(size);
        Self { cached: Cached::Translations, rb, rs: lpid as u64 }
    }

    /// `cached` of the whole partition.
    #[must_use]
    pub const fn partition(lpid: u32, cached: Cached) -> Self {
        Self { cached, rb: (Scope::Partition as u64) << shift(53), rs: lpid as u64 }
    }

    /// `cached` of all partitions.
    #[must_use]
    pub const fn all(cached: Cached) -> Self {
        Self { cached, rb: (Scope::All as u64) << shift(53), rs: 0 }
    }

    /// The same as `page`, for machines that find a page's translation by the effective address instead: see [`crate::errata`].
    #[must_use]
    pub const fn translations(lpid: u32) -> Self {
        Self::partition(lpid, Cached::Translations)
    }

    /// The `tlbiel`s that drop what `self`, which names a whole partition or all of them, does: one a set on POWER9, and tables with the first of them.
    pub fn sets(self, cpu: Cpu) -> impl Iterator<Item = Self> {
        let of_set = move |set| Self {
            cached: if set == 0 { self.cached } else { Cached::Translations },
            rb: self.rb | set << shift(51),
            rs: self.rs,
        };
        (0..tlb_sets(cpu)).map(of_set)
    }

    /// The instruction word of `tlbie r4, r5` with these operands (RB in r4, RS in r5): partition-scoped, radix.
    #[must_use]
    pub const fn word(self) -> u32 {
        const TLBIE: u32 = 31 << 26 | 306 << 1;
        TLBIE | self.fields()
    }

    /// The same of `tlbiel r4, r5`.
    #[must_use]
    pub const fn local_word(self) -> u32 {
        const TLBIEL: u32 = 31 << 26 | 274 << 1;
        TLBIEL | self.fields()
    }

    /// The same for what the partition's processes have cached: process-scoped.
    #[must_use]
    pub const fn local_process_word(self) -> u32 {
        const PROCESS_SCOPED: u32 = 1 << 17;
        self.local_word() | PROCESS_SCOPED
    }

    /// RS, RIC, PRS, R and RB.
    const fn fields(self) -> u32 {
        const RADIX: u32 = 1 << 16;
        5 << 21 | (self.cached as u32) << 18 | RADIX | 4 << 11
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_named_by_its_number_its_size_and_its_partition() {
        let page = Operands::page(7, GuestReal::new(0x1234_5000), LeafSize::Size4K);
        assert_eq!((page.rb, page.rs), (0x1234_5000, 7));
        let large = Operands::page(7, GuestReal::new(0x1234_0000), LeafSize::Size64K);
        assert_eq!(large.rb, 0x1234_0000 | 5 << 5);
        let huge = Operands::page(7, GuestReal::new(0x4000_0000), LeafSize::Size2M);
        assert_eq!(huge.rb, 0x4000_0000 | 1 << 5);
    }

    #[test]
    fn a_partition_is_named_by_the_scope_alone() {
        let all = Operands::partition(0xabc, Cached::Everything);
        assert_eq!((all.rb, all.rs), (0x800, 0xabc));
        assert_eq!(Operands::all(Cached::Everything).rb, 0xc00);
    }

    #[test]
    fn the_words_are_those_that_assemblers_make() {
        // tlbie r4,r5,RIC,0,1 as GNU as assembles it for POWER9.
        let word = |cached| Operands::partition(1, cached).word();
        assert_eq!(word(Cached::Translations), 0x7ca1_2264);
        assert_eq!(word(Cached::Tables), 0x7ca5_2264);
        assert_eq!(word(Cached::Everything), 0x7ca9_2264);
    }

    #[test]
    fn the_local_words_are_those_that_assemblers_make() {
        // tlbiel r4,r5,RIC,0,1 as GNU as assembles it for POWER9.
        let word = |cached| Operands::partition(1, cached).local_word();
        assert_eq!(word(Cached::Translations), 0x7ca1_2224);
        assert_eq!(word(Cached::Tables), 0x7ca5_2224);
        assert_eq!(word(Cached::Everything), 0x7ca9_2224);
    }

    #[test]
    fn the_words_for_processes_are_those_that_assemblers_make() {
        // tlbiel r4,r5,RIC,1,1 as GNU as assembles it for POWER9.
        let word = |cached| Operands::partition(1, cached).local_process_word();
        assert_eq!(word(Cached::Translations), 0x7ca3_2224);
        assert_eq!(word(Cached::Everything), 0x7cab_2224);
    }

    #[test]
    fn power9_goes_through_its_sets_and_power10_has_one() {
        let all = Operands::partition(7, Cached::Everything);
        let sets: Vec<_> = all.sets(Cpu::Power9).collect();
        assert_eq!(sets.len(), 128);
        assert_eq!(sets[0], all);
        assert_eq!((sets[127].cached, sets[127].rb), (Cached::Translations, 0x800 | 127 << 12));
        assert_eq!(all.sets(Cpu::Power10).collect::<Vec<_>>(), [all]);
    }
}

//! The hardware's side of a radix tree, written from the manual (Power ISA 3.1B Book III 6.7.10) and not from hv-core: if the two disagree, a test shows it.

use crate::Arena;
use hv_core::mmu::Access;
use hv_core::sync::Ordering;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};

/// A translation as a CPU caches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    lpid: u32,
    page: u64,
    size: LeafSize,
    frame: u64,
    leaf: u64,
}

impl Translation {
    pub(crate) const fn lpid(&self) -> u32 {
        self.lpid
    }

    pub(crate) fn matches(&self, lpid: u32, at: GuestReal) -> bool {
        self.lpid == lpid && at.align_down(self.size).raw() == self.page
    }

    pub(crate) fn is_in(&self, lpid: u32, from: GuestReal, to: GuestReal, size: LeafSize) -> bool {
        self.lpid == lpid && self.size == size && (from.raw()..to.raw()).contains(&self.page)
    }

    /// Whether it lets the access through: rights, and R and C set already, as with hardware that leaves them to software.
    pub(crate) const fn permits(&self, access: Access) -> bool {
        let needed = match access {
            Access::Read => 0x104,
            Access::Write => 0x182,
            Access::Fetch => 0x101,
        };
        self.leaf & needed == needed
    }

    /// The host address behind `at`.
    #[must_use]
    pub fn host(&self, at: GuestReal) -> HostReal {
        HostReal::new(self.frame + at.offset_in(self.size))
    }
}

/// What a walk found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walked {
    /// A leaf.
    Found(Translation),
    /// An entry that is not valid.
    Absent,
    /// Something that the hardware does not take.
    Broken(&'static str),
}

/// Walks from doubleword 0 of a partition table entry.
pub(crate) fn walk(arena: &Arena, pate: u64, lpid: u32, at: GuestReal) -> Walked {
    if pate >> 63 == 0 {
        return Walked::Absent;
    }
    let tree_bits = 31 + ((pate >> 61 & 3) << 3 | pate >> 5 & 7);
    if tree_bits != 52 {
        return Walked::Broken("the tree does not translate 52 bits");
    }
    if at.raw() >> tree_bits != 0 {
        return Walked::Absent;
    }
    let (mut base, mut bits, mut shift) = (pate & 0x00ff_ffff_ffff_ff00, pate & 0x1f, tree_bits);
    loop {
        if !(5..=16).contains(&bits) || shift < bits {
            return Walked::Broken("a table of that size cannot be here");
        }
        if base & ((8 << bits) - 1) != 0 {
            return Walked::Broken("a table is not aligned to its size");
        }
        shift -= bits;
        let index = (at.raw() >> shift & ((1 << bits) - 1)) as usize;
        let entry = u64::from_be(arena.words(HostReal::new(base), 1 << bits)[index].load(Ordering::Acquire));
        if entry >> 63 == 0 {
            return Walked::Absent;
        }
        if entry >> 62 & 1 != 0 {
            return leaf(entry, lpid, at, shift);
        }
        (base, bits) = (entry & 0x00ff_ffff_ffff_ff00, entry & 0x1f);
    }
}

fn leaf(entry: u64, lpid: u32, at: GuestReal, shift: u64) -> Walked {
    let Some(size) = LeafSize::ALL.into_iter().find(|size| u64::from(size.shift()) == shift) else {
        return Walked::Broken("a leaf of that size cannot be here");
    };
    let frame = entry & 0x01ff_ffff_ffff_f000;
    if frame & size.offset_mask() != 0 {
        return Walked::Broken("a leaf's frame is not aligned to its size");
    }
    Walked::Found(Translation { lpid, page: at.align_down(size).raw(), size, frame, leaf: entry })
}

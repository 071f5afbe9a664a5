//! The hardware's side of a radix tree, written from the manual (Power ISA 3.1B Book III 6.7.10) and not from hv-core: if the two disagree, a test shows it.

use crate::Arena;
use crate::tables::{TableEntry, WalkCache};
use hv_core::mmu::Access;
use hv_core::sync::Ordering;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};

/// Referenced.
pub(crate) const R: u64 = 0x100;
/// Changed.
pub(crate) const C: u64 = 0x80;
const FRAME: u64 = 0x01ff_ffff_ffff_f000;
const TABLE: u64 = 0x00ff_ffff_ffff_ff00;

/// A translation as a CPU caches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    pub(crate) lpid: u32,
    pub(crate) page: u64,
    pub(crate) size: LeafSize,
    /// The entry, with R and C as the CPU believes them to be.
    pub(crate) leaf: u64,
    /// Where the entry stands.
    pub(crate) cell: HostReal,
}

impl Translation {
    /// The first guest real address behind it.
    pub(crate) const fn end(&self) -> u64 {
        self.page + self.size.bytes()
    }

    /// The host address of its first byte.
    #[must_use]
    pub const fn frame(&self) -> HostReal {
        HostReal::new(self.leaf & FRAME)
    }

    /// The first guest real address that it maps.
    #[must_use]
    pub const fn page(&self) -> GuestReal {
        GuestReal::new(self.page)
    }

    /// Whether R is set.
    #[must_use]
    pub const fn is_referenced(&self) -> bool {
        self.leaf & R != 0
    }

    /// The size of its leaf.
    #[must_use]
    pub const fn size(&self) -> LeafSize {
        self.size
    }

    /// The host address behind `at`.
    #[must_use]
    pub const fn host(&self, at: GuestReal) -> HostReal {
        HostReal::new(self.frame().raw() + at.offset_in(self.size))
    }

    /// Whether its rights let the access through.
    #[must_use]
    pub const fn permits(&self, access: Access) -> bool {
        let right = match access {
            Access::Read => 4,
            Access::Write => 2,
            Access::Fetch => 1,
        };
        self.leaf & right != 0
    }

    /// What of R and C the access needs and the entry lacks.
    pub(crate) const fn lacks(&self, access: Access) -> u64 {
        let needed = match access {
            Access::Write => R | C,
            Access::Read | Access::Fetch => R,
        };
        needed & !self.leaf
    }

    /// Whether the two map the same addresses to the same frame at the same size, whatever they allow.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        self.size == other.size && self.frame() == other.frame()
    }

    /// The rights that it has and `other` has not.
    pub(crate) const fn exceeds(&self, other: &Self) -> bool {
        self.leaf & 7 & !other.leaf != 0
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

/// Walks from doubleword 0 of a partition table entry, or from the lowest table on the way that `cached` knows; remembers the tables it meets there. Without one it walks from the root
/// and leaves no trace.
pub(crate) fn walk(arena: &Arena, mut cached: Option<&mut WalkCache>, pate: u64, lpid: u32, at: GuestReal) -> Walked {
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
    let root = TableEntry { base: pate & TABLE, bits: pate & 0x1f };
    let (mut shift, mut table) =
        cached.as_ref().and_then(|cached| cached.lowest(lpid, at)).unwrap_or((tree_bits, root));
    loop {
        if !(5..=16).contains(&table.bits) || shift < table.bits {
            return Walked::Broken("a table of that size cannot be here");
        }
        if table.base & ((8 << table.bits) - 1) != 0 {
            return Walked::Broken("a table is not aligned to its size");
        }
        if !arena.holds(HostReal::new(table.base), 8 << table.bits) {
            return Walked::Broken("a table is not in memory");
        }
        shift -= table.bits;
        let index = at.raw() >> shift & ((1 << table.bits) - 1);
        let cell = HostReal::new(table.base + index * 8);
        let entry = u64::from_be(arena.words(cell, 1)[0].load(Ordering::Acquire));
        if entry >> 63 == 0 {
            return Walked::Absent;
        }
        if entry >> 62 & 1 != 0 {
            return leaf(entry, cell, lpid, at, shift);
        }
        table = TableEntry { base: entry & TABLE, bits: entry & 0x1f };
        if let Some(cached) = &mut cached {
            cached.insert(lpid, at, shift, table);
        }
    }
}

fn leaf(entry: u64, cell: HostReal, lpid: u32, at: GuestReal, shift: u64) -> Walked {
    let Some(size) = LeafSize::ALL.into_iter().find(|size| u64::from(size.shift()) == shift) else {
        return Walked::Broken("a leaf of that size cannot be here");
    };
    let found = Translation { lpid, page: at.align_down(size).raw(), size, leaf: entry, cell };
    if found.frame().offset_in(size) != 0 {
        return Walked::Broken("a leaf's frame is not aligned to its size");
    }
    Walked::Found(found)
}

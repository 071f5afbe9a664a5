//! What a radix table entry says (Power ISA 3.1B Book III 6.7.10.1 for tables, 6.7.10.2 for leaves).
//!
//! ```text
//!         0 1 2 3..6 7 ........................ 51 52..54 55 56 57 58 59 60..63
//!  leaf   1 1 s  -   real page number              s s s   R  C  -  ATT   EAA
//!  table  1 0 -      8: next level base ....... 55          -  -   59..63 size (log2 entries)
//!  absent 0 software's: 63 bits
//! ```
//!
//! An entry in memory is a big-endian doubleword; the values here are in native order. The round-trip law, tested over all flag
//! subsets: `Entry::decode(e.encode()) == e`, and `Entry::decode(raw).encode() == raw` for each raw value without reserved bits.

use crate::addr::HostReal;
use crate::bits::{bit, mask};
use bitflags::bitflags;

const VALID: u64 = bit(0);
const LEAF: u64 = bit(1);
const LEAF_ADDRESS: u64 = mask(7, 51);
const TABLE_ADDRESS: u64 = mask(8, 55);
const TABLE_SIZE: u64 = mask(59, 63);
const ATTRIBUTES: u64 = mask(58, 59);
const SOFTWARE: u64 = bit(2) | mask(52, 54);

bitflags! {
    /// Encoded access authority (EAA) of a leaf. Partition-scoped entries ignore `PRIVILEGED`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Rights: u64 {
        /// Only privileged state may access (process-scoped entries).
        const PRIVILEGED = bit(60);
        /// Loads.
        const READ = bit(61);
        /// Stores.
        const WRITE = bit(62);
        /// Instruction fetches.
        const EXECUTE = bit(63);
    }
}

bitflags! {
    /// What the hardware records in a leaf. Where it does not (QEMU's TCG never does), software sets them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Recorded: u64 {
        /// Referenced (R).
        const REFERENCED = bit(55);
        /// Changed (C).
        const CHANGED = bit(56);
    }
}

bitflags! {
    /// The four bits of a valid leaf that are software's.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Software: u64 {
        /// Software bit 0.
        const SW0 = bit(2);
        /// Software bit 1.
        const SW1 = bit(52);
        /// Software bit 2.
        const SW2 = bit(53);
        /// Software bit 3.
        const SW3 = bit(54);
    }
}

/// Storage control attribute of a leaf (Book III 6.7.10.2, ATT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Attribute {
    /// Normal memory: coherent, cacheable.
    Normal = 0,
    /// Strong access order.
    StrongOrder = 1 << 4,
    /// Non-idempotent I/O: inhibited and guarded.
    NonIdempotent = 2 << 4,
    /// Tolerant I/O: inhibited.
    Tolerant = 3 << 4,
}

impl Attribute {
    const fn from_raw(raw: u64) -> Self {
        match raw & ATTRIBUTES {
            0 => Self::Normal,
            0x10 => Self::StrongOrder,
            0x20 => Self::NonIdempotent,
            _ => Self::Tolerant,
        }
    }
}

/// A valid leaf, native order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Leaf(u64);

impl Leaf {
    /// The leaf that maps `frame` as normal memory with `rights`, and with R and C as given.
    ///
    /// `frame` must be aligned to the size of the level that the leaf goes to; the entry itself has no size.
    #[must_use]
    #[inline]
    pub const fn new(frame: HostReal, rights: Rights, recorded: Recorded) -> Self {
        debug_assert!(frame.raw() & !LEAF_ADDRESS == 0);
        Self(VALID | LEAF | (frame.raw() & LEAF_ADDRESS) | rights.bits() | recorded.bits())
    }

    /// The frame it maps.
    #[must_use]
    #[inline]
    pub const fn frame(self) -> HostReal {
        HostReal::new(self.0 & LEAF_ADDRESS)
    }

    /// What it allows.
    #[must_use]
    #[inline]
    pub const fn rights(self) -> Rights {
        Rights::from_bits_truncate(self.0)
    }

    /// R and C.
    #[must_use]
    #[inline]
    pub const fn recorded(self) -> Recorded {
        Recorded::from_bits_truncate(self.0)
    }

    /// Software's bits.
    #[must_use]
    #[inline]
    pub const fn software(self) -> Software {
        Software::from_bits_truncate(self.0)
    }

    /// The storage control attribute.
    #[must_use]
    #[inline]
    pub const fn attribute(self) -> Attribute {
        Attribute::from_raw(self.0)
    }

    /// Whether it allows all of `rights`, and has all of `recorded` set.
    #[must_use]
    #[inline]
    pub const fn has(self, rights: Rights, recorded: Recorded) -> bool {
        let wanted = rights.bits() | recorded.bits();
        self.0 & wanted == wanted
    }

    /// The same leaf with these rights instead.
    #[must_use]
    #[inline]
    pub const fn with_rights(self, rights: Rights) -> Self {
        Self(self.0 & !Rights::all().bits() | rights.bits())
    }

    /// The same leaf with R and C set as well as given; neither is ever cleared by this.
    #[must_use]
    #[inline]
    pub const fn recording(self, more: Recorded) -> Self {
        Self(self.0 | more.bits())
    }

    /// The same leaf with R and C as given and nothing else of them.
    #[must_use]
    #[inline]
    pub const fn with_recorded(self, recorded: Recorded) -> Self {
        Self(self.0 & !Recorded::all().bits() | recorded.bits())
    }

    /// The same leaf with these software bits instead.
    #[must_use]
    #[inline]
    pub const fn with_software(self, software: Software) -> Self {
        Self(self.0 & !SOFTWARE | software.bits())
    }

    /// The same leaf with this attribute instead.
    #[must_use]
    #[inline]
    pub const fn with_attribute(self, attribute: Attribute) -> Self {
        Self(self.0 & !ATTRIBUTES | attribute as u64)
    }
}

/// A valid table entry (page directory entry), native order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Table(u64);

impl Table {
    /// The entry that points at a table of `1 << bits` entries at `base`, which must be aligned to the table's size. Hardware takes 5 bits and more;
    /// models of the tests use fewer.
    #[must_use]
    #[inline]
    pub const fn new(base: HostReal, bits: u32) -> Self {
        debug_assert!(base.raw() & !TABLE_ADDRESS == 0 && bits >= 1 && bits <= 16);
        Self(VALID | (base.raw() & TABLE_ADDRESS) | bits as u64)
    }

    /// Where the table stands.
    #[must_use]
    #[inline]
    pub const fn base(self) -> HostReal {
        HostReal::new(self.0 & TABLE_ADDRESS)
    }

    /// log2 of the number of its entries, as it stands in the entry (not checked).
    #[must_use]
    #[inline]
    pub const fn bits(self) -> u32 {
        (self.0 & TABLE_SIZE) as u32
    }
}

/// An invalid entry: 63 bits that are software's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Absent(u64);

impl Absent {
    /// The absent entry with these 63 bits.
    ///
    /// # Panics
    /// In debug builds, if bit 0 (valid) is among them.
    #[must_use]
    #[inline]
    pub const fn new(bits: u64) -> Self {
        debug_assert!(bits & VALID == 0);
        Self(bits & !VALID)
    }

    /// Software's 63 bits.
    #[must_use]
    #[inline]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// An entry of any level, between the generic code and the format. Whether a leaf may stand at a level is the
/// level's to say ([`super::Level::leaf`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Not valid: the hardware looks no further.
    Absent(Absent),
    /// Points at the next table.
    Table(Table),
    /// Maps a frame.
    Leaf(Leaf),
}

impl Entry {
    /// What a doubleword (native order) says.
    #[must_use]
    #[inline]
    pub const fn decode(raw: u64) -> Self {
        if raw & VALID == 0 {
            Self::Absent(Absent(raw))
        } else if raw & LEAF == 0 {
            Self::Table(Table(raw))
        } else {
            Self::Leaf(Leaf(raw))
        }
    }

    /// The doubleword (native order) that says this.
    #[must_use]
    #[inline]
    pub const fn encode(self) -> u64 {
        match self {
            Self::Absent(Absent(raw)) | Self::Table(Table(raw)) | Self::Leaf(Leaf(raw)) => raw,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all_flag_subsets() -> impl Iterator<Item = (Rights, Recorded, Software, Attribute)> {
        let attributes = [Attribute::Normal, Attribute::StrongOrder, Attribute::NonIdempotent, Attribute::Tolerant];
        (0..16u64).flat_map(move |rights| {
            (0..4u64).flat_map(move |rc| {
                (0..16u64).flat_map(move |sw| {
                    attributes.into_iter().map(move |att| {
                        let software = Software::from_bits_truncate(((sw & 7) << 9) | ((sw >> 3) << 61));
                        (Rights::from_bits_truncate(rights), Recorded::from_bits_truncate(rc << 7), software, att)
                    })
                })
            })
        })
    }

    #[test]
    fn a_leaf_says_what_it_was_made_of_for_every_flag_subset() {
        let frame = HostReal::new(0x0123_4567_89ab_c000 & LEAF_ADDRESS);
        let mut seen = std::collections::HashSet::new();
        for (rights, recorded, software, attribute) in all_flag_subsets() {
            let leaf = Leaf::new(frame, rights, recorded).with_software(software).with_attribute(attribute);
            assert_eq!(leaf.frame(), frame);
            assert_eq!((leaf.rights(), leaf.recorded()), (rights, recorded));
            assert_eq!((leaf.software(), leaf.attribute()), (software, attribute));
            assert_eq!(Entry::decode(Entry::Leaf(leaf).encode()), Entry::Leaf(leaf));
            seen.insert(Entry::Leaf(leaf).encode());
        }
        assert_eq!(seen.len(), 16 * 4 * 16 * 4);
    }

    #[test]
    fn the_bits_are_where_the_hardware_was_seen_to_read_them() {
        let rwx = Rights::READ | Rights::WRITE | Rights::EXECUTE;
        let leaf = Leaf::new(HostReal::new(0x20_0000), rwx, Recorded::all());
        assert_eq!(Entry::Leaf(leaf).encode(), 0xc000_0000_0020_0187);
        let table = Table::new(HostReal::new(0x1_0000), 9);
        assert_eq!(Entry::Table(table).encode(), 0x8000_0000_0001_0009);
    }

    #[test]
    fn recording_never_clears() {
        let leaf = Leaf::new(HostReal::new(0), Rights::READ, Recorded::CHANGED);
        assert_eq!(leaf.recording(Recorded::REFERENCED).recorded(), Recorded::all());
    }

    proptest! {
        #[test]
        fn every_doubleword_decodes_and_encodes_to_itself(raw: u64) {
            prop_assert_eq!(Entry::decode(raw).encode(), raw);
        }

        #[test]
        fn a_table_entry_keeps_base_and_size(page in 0u64..1 << 40, bits in 5u32..=16) {
            let base = HostReal::new((page << 16) & TABLE_ADDRESS);
            let table = Table::new(base, bits);
            prop_assert_eq!((table.base(), table.bits()), (base, bits));
            prop_assert_eq!(Entry::decode(Entry::Table(table).encode()), Entry::Table(table));
        }

        #[test]
        fn an_absent_entry_keeps_its_63_bits(bits in 0u64..1 << 63) {
            let absent = Entry::Absent(Absent::new(bits));
            prop_assert_eq!(Entry::decode(absent.encode()), absent);
        }
    }
}

//! The 63 bits of an entry that is not valid.
//!
//! ```text
//!   0 | 1..3 kind | 4..23 generation | 24..63 payload
//! ```
//!
//! A zeroed table is a table of [`State::Empty`] entries of generation 0. The generation of an empty entry goes up each time that a page leaves it, so that an
//! entry that was filled and emptied again is not the same one.

use super::stats::Made;
use super::store::Handle;
use ppc64_arch::addr::{HostReal, LeafSize};
use ppc64_arch::bits::{mask, shift};
use ppc64_arch::radix::{Absent, Entry};

const KIND: u64 = mask(1, 3);
const GENERATION: u64 = mask(4, 23);
const PAYLOAD: u64 = mask(24, 63);

/// What an absent entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is here yet; the slot's source says what belongs here.
    Empty {
        /// How often a page has left this entry, modulo 2^20.
        generation: u32,
    },
    /// A CPU is changing the page behind it.
    Transit {
        /// That CPU's number.
        owner: u32,
        /// The generation that the entry had.
        generation: u32,
    },
    /// The page is where it was, but the next access is to be noticed: what clearing R does where hardware sets R.
    Resting {
        /// Its frame, of the level's leaf size, still owned by this entry.
        frame: HostReal,
        /// It began as a copy of an image.
        copied: bool,
    },
    /// It was valid, and is being taken out: nothing is freed until the flush is complete.
    Leaving(Leaving),
    /// The page is in the guest's compressed store.
    Stored(Handle),
    /// The table was unlinked: whoever still holds a path to it must look again from the root.
    Detached,
}

/// What is being taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// A page.
    Page {
        /// Its frame, of the level's leaf size.
        frame: HostReal,
        /// What it was made of.
        made: Made,
    },
    /// A table, with all that hangs below it.
    Table {
        /// Where it is.
        base: HostReal,
        /// log2 of its entries.
        bits: u32,
    },
}

impl Leaving {
    /// What is taken out when `entry` is; `None` if it is absent already.
    #[must_use]
    pub const fn from(entry: Entry) -> Option<Self> {
        match entry {
            Entry::Leaf(leaf) => Some(Self::Page { frame: leaf.frame(), made: Made::of(leaf) }),
            Entry::Table(table) => Some(Self::Table { base: table.base(), bits: table.bits() }),
            Entry::Absent(_) => None,
        }
    }

    const fn at(self) -> HostReal {
        match self {
            Self::Page { frame, .. } => frame,
            Self::Table { base, .. } => base,
        }
    }

    /// A page has 0 in the high bits and what it was made of in the low two, a table its size in the high ones.
    const fn fields(self) -> u32 {
        match self {
            Self::Page { made, .. } => made as u32,
            Self::Table { bits, .. } => bits << 2,
        }
    }

    const fn of(fields: u32, at: HostReal) -> Self {
        match (fields >> 2, fields & 3) {
            (0, 0) => Self::Page { frame: at, made: Made::Zero },
            (0, 1) => Self::Page { frame: at, made: Made::Shared },
            (0, _) => Self::Page { frame: at, made: Made::Copied },
            (bits, _) => Self::Table { base: at, bits },
        }
    }
}

impl State {
    const EMPTY: u64 = 0;
    const TRANSIT: u64 = 1;
    const STORED: u64 = 2;
    const RESTING: u64 = 3;
    const LEAVING: u64 = 4;
    const DETACHED: u64 = 7;

    /// The entry that says this.
    #[must_use]
    #[inline]
    pub const fn encode(self) -> Absent {
        let (kind, generation, payload) = match self {
            Self::Empty { generation } => (Self::EMPTY, generation, 0),
            Self::Transit { owner, generation } => (Self::TRANSIT, generation, owner as u64),
            Self::Resting { frame, copied } => (Self::RESTING, copied as u32, frame.raw() >> LeafSize::Size4K.shift()),
            Self::Leaving(leaving) => (Self::LEAVING, leaving.fields(), leaving.at().raw() >> LeafSize::Size4K.shift()),
            Self::Stored(handle) => (Self::STORED, handle.generation, handle.place),
            Self::Detached => (Self::DETACHED, 0, 0),
        };
        let generation = ((generation as u64) << shift(23)) & GENERATION;
        Absent::new(kind << shift(3) | generation | (payload & PAYLOAD))
    }

    /// Whether nothing is there yet.
    #[must_use]
    #[inline]
    pub const fn is_empty(absent: Absent) -> bool {
        absent.bits() & KIND == Self::EMPTY << shift(3)
    }

    /// What an absent entry says. Kinds that nobody writes read as detached, which makes the reader look again.
    #[must_use]
    #[inline]
    pub const fn decode(absent: Absent) -> Self {
        let generation = ((absent.bits() & GENERATION) >> shift(23)) as u32;
        match (absent.bits() & KIND) >> shift(3) {
            Self::EMPTY => Self::Empty { generation },
            Self::TRANSIT => Self::Transit { owner: (absent.bits() & 0xffff_ffff) as u32, generation },
            Self::RESTING => {
                let frame = HostReal::new((absent.bits() & PAYLOAD) << LeafSize::Size4K.shift());
                Self::Resting { frame, copied: generation & 1 != 0 }
            }
            Self::LEAVING => {
                let at = HostReal::new((absent.bits() & PAYLOAD) << LeafSize::Size4K.shift());
                Self::Leaving(Leaving::of(generation, at))
            }
            Self::STORED => Self::Stored(Handle { place: absent.bits() & PAYLOAD, generation }),
            _ => Self::Detached,
        }
    }

    /// The empty entry that stands where a page of this generation has left.
    #[must_use]
    pub const fn emptied(generation: u32) -> Self {
        Self::Empty { generation: generation.wrapping_add(1) & ((GENERATION >> shift(23)) as u32) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_zeroed_table_is_empty() {
        assert_eq!(State::decode(Absent::new(0)), State::Empty { generation: 0 });
    }

    #[test]
    fn a_page_that_came_and_went_leaves_another_entry() {
        assert_ne!(State::emptied(0).encode(), State::Empty { generation: 0 }.encode());
        assert_eq!(State::emptied((1 << 20) - 1), State::Empty { generation: 0 });
    }

    proptest! {
        #[test]
        fn each_state_decodes_to_itself(generation in 0u32..1 << 20, owner: u32, place in 0u64..1 << 40) {
            let stored = State::Stored(Handle { place, generation });
            let resting = State::Resting { frame: HostReal::new(place << 12), copied: generation & 1 != 0 };
            let at = HostReal::new(place << 12);
            let made = [Made::Zero, Made::Shared, Made::Copied][generation as usize % 3];
            let page = State::Leaving(Leaving::Page { frame: at, made });
            let table = State::Leaving(Leaving::Table { base: at, bits: 1 + generation % 31 });
            let (empty, transit) = (State::Empty { generation }, State::Transit { owner, generation });
            for state in [empty, transit, resting, page, table, stored, State::Detached] {
                prop_assert_eq!(State::decode(state.encode()), state);
            }
        }

        #[test]
        fn any_63_bits_decode(bits in 0u64..1 << 63) {
            let _ = State::decode(Absent::new(bits));
        }
    }
}

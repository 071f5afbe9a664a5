//! The table: where its entries are, and their sides.

use super::lock::Place;
use super::machine::Translations;
use super::reverse::{Reverse, blocks};
use crate::sync::{AtomicU64, Ordering};
use ppc64_arch::hash::table::GROUP;
use ppc64_arch::hash::tlbie::Operands;
use ppc64_arch::hash::{Entry, Shape};

/// log2 of the bytes of the largest table: its entries' numbers have to fit the reverse map's links.
const LARGEST: u32 = 34;

/// The memory that a table is made of. Whoever gives it keeps it, and touches it no more while the table lives.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'m> {
    /// The table's size.
    pub shape: Shape,
    /// The table itself, which hardware reads: two doublewords an entry.
    pub entries: &'m [AtomicU64],
    /// The sides: two doublewords an entry.
    pub sides: &'m [AtomicU64],
    /// The heads of the reverse map: [`Parts::heads_for`] the guest's memory.
    pub heads: &'m [AtomicU64],
}

impl Parts<'_> {
    /// How many heads the reverse map of a guest with addresses up to `end` needs.
    #[must_use]
    pub const fn heads_for(end: u64) -> usize {
        blocks(end)
    }
}

/// Why a table cannot be made of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// There are more entries than links can tell apart.
    TooLarge,
    /// A part is not as long as the shape, or the guest's memory, says.
    Length,
}

/// A hash guest's table.
#[derive(Debug)]
pub struct Hpt<'m, T> {
    pub(super) hardware: &'m T,
    lpid: u32,
    shape: Shape,
    entries: &'m [AtomicU64],
    sides: &'m [AtomicU64],
    pub(super) reverse: Reverse<'m>,
}

impl<'m, T: Translations> Hpt<'m, T> {
    /// An empty table for partition `lpid`, whose memory has guest real addresses below `end`. What its parts held is overwritten.
    ///
    /// # Errors
    /// See [`Misfit`].
    pub fn new(hardware: &'m T, lpid: u32, parts: Parts<'m>, end: u64) -> Result<Self, Misfit> {
        let Parts { shape, entries, sides, heads } = parts;
        if shape.order() > LARGEST {
            return Err(Misfit::TooLarge);
        }
        let words = 2 * shape.entries() as usize;
        if entries.len() != words || sides.len() != words || heads.len() != Parts::heads_for(end) {
            return Err(Misfit::Length);
        }
        for word in entries.iter().chain(sides).chain(heads) {
            // Relaxed: whoever tells hardware and other CPUs of the table publishes it.
            word.store(0, Ordering::Relaxed);
        }
        let reverse = Reverse::new(heads, sides, end);
        Ok(Self { hardware, lpid, shape, entries, sides, reverse })
    }

    /// The table's size.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The place with this number, if there is one: what a guest says is checked here.
    #[must_use]
    #[inline]
    pub(super) fn place(&self, index: u64) -> Option<Place<'m>> {
        let first = usize::try_from(index).ok()?.checked_mul(2)?;
        let range = first..first.checked_add(2)?;
        Some(Place::new(index, self.entries.get(range.clone())?, self.sides.get(range)?))
    }

    /// The places of the group that begins with number `first`.
    pub(super) fn group(&self, first: u64) -> impl Iterator<Item = Place<'m>> {
        (first..first + GROUP as u64).filter_map(|index| self.place(index))
    }

    /// What drops the translation that hardware may have of an entry. `None`: nobody wrote such an entry.
    pub(super) fn operands(&self, index: u64, entry: Entry) -> Option<Operands> {
        let (segment, pages) = (entry.word1.segment()?, entry.pages()?);
        Some(Operands::page(self.lpid, self.shape.page_of(index, entry, segment, pages), segment, pages))
    }

    /// What drops everything of the partition.
    pub(super) const fn everything(&self) -> Operands {
        Operands::partition(self.lpid)
    }
}

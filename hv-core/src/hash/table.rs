//! The table: where its entries are, and their sides.

use super::lock::Place;
use super::machine::Translations;
use super::reverse::{Reverse, blocks};
use crate::sync::{AtomicU64, Ordering};
use ppc64_arch::addr::HostReal;
use ppc64_arch::hash::table::GROUP;
use ppc64_arch::hash::tlbie::Operands;
use ppc64_arch::hash::{Entry, Shape};

/// log2 of the bytes of the largest table: its entries' numbers have to fit the reverse map's links.
pub(super) const LARGEST: u32 = 34;

/// The memory that a table is made of. Whoever gives it keeps it, and touches it no more while the table lives.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'m> {
    /// The table's size.
    pub shape: Shape,
    /// Where hardware finds the table: aligned to its size.
    pub at: HostReal,
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

    /// Whether the parts fit each other, and a guest with addresses up to `end`.
    pub(super) fn check(&self, end: u64) -> Result<(), Misfit> {
        if self.shape.order() > LARGEST {
            return Err(Misfit::TooLarge);
        }
        let words = 2 * self.shape.entries() as usize;
        if self.entries.len() != words || self.sides.len() != words || self.heads.len() != Self::heads_for(end) {
            return Err(Misfit::Length);
        }
        Ok(())
    }

    /// How many doublewords there are in all parts.
    pub(super) const fn words(&self) -> usize {
        self.entries.len() + self.sides.len() + self.heads.len()
    }

    /// Clears up to `many` doublewords from number `from` on: the first one that is still to be cleared.
    pub(super) fn clear(&self, from: usize, many: usize) -> usize {
        let (mut first, to) = (0, from.saturating_add(many).min(self.words()));
        for part in [self.entries, self.sides, self.heads] {
            let range = from.max(first)..to.min(first + part.len());
            for at in range {
                // Relaxed: whoever tells hardware and other CPUs of the table publishes it.
                part[at - first].store(0, Ordering::Relaxed);
            }
            first += part.len();
        }
        to
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

/// A place's two doublewords stand side by side, in the table and in the sides.
#[inline]
const fn pairs(words: &[AtomicU64]) -> &[[AtomicU64; 2]] {
    words.as_chunks().0
}

/// A hash guest's table.
#[derive(Debug)]
pub struct Hpt<'m, T> {
    pub(super) hardware: &'m T,
    lpid: u32,
    pub(super) parts: Parts<'m>,
    pub(super) reverse: Reverse<'m>,
}

impl<'m, T: Translations> Hpt<'m, T> {
    /// An empty table for partition `lpid`, whose memory has guest real addresses below `end`. What its parts held is overwritten.
    ///
    /// # Errors
    /// See [`Misfit`].
    pub fn new(hardware: &'m T, lpid: u32, parts: Parts<'m>, end: u64) -> Result<Self, Misfit> {
        parts.check(end)?;
        let _all = parts.clear(0, parts.words());
        Ok(Self::of_cleared(hardware, lpid, parts, end))
    }

    /// The same of parts that were checked, and cleared already.
    pub(super) const fn of_cleared(hardware: &'m T, lpid: u32, parts: Parts<'m>, end: u64) -> Self {
        let reverse = Reverse::new(parts.heads, parts.sides, end);
        Self { hardware, lpid, parts, reverse }
    }

    /// What it is made of.
    pub(super) const fn parts(&self) -> Parts<'m> {
        self.parts
    }

    /// The table's size.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.parts.shape
    }

    /// The place with this number, if there is one: what a guest says is checked here.
    #[must_use]
    #[inline]
    pub(super) fn place(&self, index: u64) -> Option<Place<'m>> {
        let at = usize::try_from(index).ok()?;
        Some(Place::new(index, pairs(self.parts.entries).get(at)?, pairs(self.parts.sides).get(at)?))
    }

    /// The places of the group that begins with number `first`.
    #[inline]
    pub(super) fn group(&self, first: u64) -> impl Iterator<Item = Place<'m>> + use<'m, T> {
        let from = usize::try_from(first).unwrap_or(usize::MAX);
        let part = |words| pairs(words).get(from..from.saturating_add(GROUP)).unwrap_or_default();
        let places = part(self.parts.entries).iter().zip(part(self.parts.sides));
        (first..).zip(places).map(|(index, (words, side))| Place::new(index, words, side))
    }

    /// What drops the translation that hardware may have of an entry. `None`: nobody wrote such an entry.
    #[inline(always)]
    pub(super) fn operands(&self, index: u64, entry: Entry) -> Option<Operands> {
        let (segment, pages) = (entry.word1.segment()?, entry.pages()?);
        Some(Operands::page(self.lpid, self.parts.shape.page_of(index, entry, segment, pages), segment, pages))
    }

    /// What drops everything of the partition.
    pub(super) const fn everything(&self) -> Operands {
        Operands::partition(self.lpid)
    }
}

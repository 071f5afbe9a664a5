//! Going over the entries of a range of guest real addresses, tables that are not there left out.
//!
//! The cost is that of the tables that are met: what is not mapped is not looked at. To be called with mutations locked out, which keeps every table
//! that is met; entries may change under the visitor all the same, since faults go on.

use super::discipline::Discipline;
use super::hardware::Hardware;
use super::space::Space;
use super::walk::{Place, Seen};
use ppc64_arch::addr::{GuestReal, HostReal};
use ppc64_arch::radix::{Entry, Level};

/// Where an entry's block begins and ends, and whether the range holds all of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// The first address.
    pub at: GuestReal,
    /// The range holds all of it.
    pub whole: bool,
}

/// What a visitor wants to happen at an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visit {
    /// Go on with the next one.
    Next,
    /// Go down if a table stands there now.
    Down,
}

/// Shows `visitor` every entry that maps part of `from..to`, top down, in the order of addresses.
pub(super) fn over<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    from: u64,
    to: u64,
    visitor: &mut impl FnMut(Seen<'_>, Block) -> Visit,
) {
    let (root, top) = space.top();
    let limit = 1u64.checked_shl(top.address_bits()).unwrap_or(u64::MAX);
    let to = to.min(limit);
    // An empty range holds no part of the entry that it lies in.
    if from < to {
        table(space, (root, top, 0), (from, to), visitor);
    }
}

fn table<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    (base, level, first): (HostReal, &'static Level, u64),
    (from, to): (u64, u64),
    visitor: &mut impl FnMut(Seen<'_>, Block) -> Visit,
) {
    let span = level.entry_span();
    let mut at = from.max(first) & !(span - 1);
    let last = to.min(first + span * level.entries() as u64);
    while at < last {
        // SAFETY: 1. The table is linked, and whoever calls keeps mutations out.
        let place = unsafe { Place::in_table(&space.memory().hardware, base, level, GuestReal::new(at)) };
        let block = Block { at: GuestReal::new(at), whole: from <= at && at + span <= to };
        if visitor(place.look(), block) == Visit::Down
            && let Entry::Table(below) = place.look().entry()
            && let Some(next) = level.below(below.bits())
        {
            table(space, (below.base(), next, at), (from, to), visitor);
        }
        at += span;
    }
}

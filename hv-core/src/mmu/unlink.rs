//! Taking pages and tables out, and the only order in which they may be freed.
//!
//! ```text
//!   unlink: valid ─► leaving      Unlinked ── flush ──► Flushed ── free: leaving ─► empty, frames to the pool
//! ```
//!
//! What is to be freed is remembered where it stood, by entries that say *leaving*, so a range of any length costs one flush and no memory. A whole table leaves
//! with one swap. Each step consumes the one before. That no fault is on its way into the range is the caller's part: it holds the space's lock, has closed the slots and has
//! waited for the grace period.

use super::absent::{Leaving, State};
use super::discipline::Discipline;
use super::frame::Frame;
use super::hardware::Hardware;
use super::owed::Owed;
use super::range::{self, Block, Visit};
use super::seat::Cpu;
use super::space::Space;
use super::stats::Made;
use super::walk::{Place, Seen};
use crate::delays::delay;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::{Entry, Level};

/// A range whose entries are leaving. Translations of it may still be cached.
#[must_use = "what was unlinked has to be flushed, and then freed"]
pub(super) struct Unlinked {
    from: u64,
    to: u64,
    owed: Owed,
}

/// The same, no longer cached anywhere.
#[must_use = "what was flushed has to be freed"]
pub(super) struct Flushed {
    from: u64,
    to: u64,
}

/// Makes everything that maps `from..to` leave. No huge leaf reaches beyond the range (see [`cut`](super::split::cut)); a page of the last level leaves as a whole.
pub(super) fn unlink<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, from: u64, to: u64) -> Unlinked {
    delay!(BeforeUnlink);
    let mut owed = Owed::nothing();
    range::over(space, from, to, &mut |seen, block| {
        if !is_unit(seen, block) {
            return Visit::Down;
        }
        leave(seen, block, &mut owed);
        Visit::Next
    });
    Unlinked { from, to, owed }
}

/// What leaves or stays as a whole.
fn is_unit(seen: Seen<'_>, block: Block) -> bool {
    block.whole || seen.place.level.below.is_empty()
}

fn leave(seen: Seen<'_>, block: Block, owed: &mut Owed) {
    let Some(leaving) = Leaving::from(seen.entry()) else { return };
    // R and C that hardware sets until the flush go with the page.
    let _was = seen.place.replace(Entry::Absent(State::Leaving(leaving).encode()));
    match (leaving, seen.place.level.leaf) {
        (Leaving::Page { .. }, Some(size)) => owed.page(block.at, size),
        _ => owed.table_of_leaves(block.at, seen.place.level.entry_span()),
    }
}

impl Unlinked {
    /// Makes every CPU forget it.
    pub(super) fn flush<H: Hardware, D: Discipline>(self, space: &Space<'_, H, D>, cpu: &mut Cpu) -> Flushed {
        let _paid = self.owed.pay(space, cpu);
        Flushed { from: self.from, to: self.to }
    }
}

impl Flushed {
    /// Gives every frame and table page of it back. What was there is empty from now on, of `generation`.
    pub(super) fn free<H: Hardware, D: Discipline>(self, space: &Space<'_, H, D>, cpu: &mut Cpu, generation: u32) {
        delay!(BeforeFree);
        range::over(space, self.from, self.to, &mut |seen, block| {
            if !is_unit(seen, block) {
                return Visit::Down;
            }
            if let Entry::Absent(absent) = seen.entry()
                && !matches!(State::decode(absent), State::Empty { .. })
            {
                free_entry(space, cpu, seen.entry(), seen.place.level);
                let _was = seen.place.replace(Entry::Absent(State::Empty { generation }.encode()));
            }
            Visit::Next
        });
    }
}

/// Frees what an entry owned that no CPU translates by any more.
fn free_entry<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, entry: Entry, level: &'static Level) {
    match (entry, level.leaf) {
        (Entry::Leaf(leaf), Some(size)) => free_page(space, cpu, leaf.frame(), Made::of(leaf), size),
        (Entry::Table(table), _) => free_below(space, cpu, table.base(), table.bits(), level),
        (Entry::Absent(absent), size) => match State::decode(absent) {
            State::Stored(handle) => space.forget(cpu, handle),
            State::Resting { frame, copied } => {
                let made = if copied { Made::Copied } else { Made::Zero };
                free_page(space, cpu, frame, made, size.unwrap_or(LeafSize::Size4K));
            }
            State::Leaving(Leaving::Page { frame, made }) => {
                free_page(space, cpu, frame, made, size.unwrap_or(LeafSize::Size4K));
            }
            State::Leaving(Leaving::Table { base, bits }) => free_below(space, cpu, base, bits, level),
            State::Empty { .. } | State::Transit { .. } | State::Detached => {}
        },
        (Entry::Leaf(_), None) => {}
    }
}

fn free_page<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    frame: HostReal,
    made: Made,
    size: LeafSize,
) {
    cpu.stats.unmapped.add(made, size);
    if made != Made::Shared {
        // SAFETY: 1. An entry whose page is not shared owns its frame at its level's size. 2. It was unlinked and flushed.
        space.put(cpu, unsafe { Frame::from_entry(frame, size) });
    }
}

fn free_below<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    base: HostReal,
    bits: u32,
    level: &'static Level,
) {
    if let Some(below) = level.below(bits) {
        free_table(space, cpu, base, below);
    }
}

/// Frees a table that nothing points at any more. Each entry becomes *detached* first, so that a swap that was on its way would fail.
pub(super) fn free_table<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    base: HostReal,
    level: &'static Level,
) {
    delay!(BeforeFree);
    for index in 0..level.entries() as u64 {
        let at = GuestReal::new(index << level.shift);
        // SAFETY: 1. The table is unlinked and ours until it is given back below.
        let place = unsafe { Place::in_table(&space.memory().hardware, base, level, at) };
        let was = place.replace(Entry::Absent(State::Detached.encode()));
        free_entry(space, cpu, was, level);
    }
    cpu.stats.tables_freed += 1;
    // SAFETY: 1. Table pages are frames of 4 KiB that their entry owned. 2. As above.
    space.put_table(cpu, unsafe { Frame::from_entry(base, LeafSize::Size4K) });
}

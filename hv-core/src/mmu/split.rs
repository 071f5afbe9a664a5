//! Splitting a huge leaf in place: the same frame, mapped by a table of smaller leaves. Nothing is copied, and no frame changes hands.
//!
//! ```text
//!   leaf 2M ──► transit ── fill a table, flush 2M ──► table of 512 leaves of 4 KiB
//!   resting 2M ─────────── fill a table ────────────► table of 512 resting pages           (nobody translates to it: no transit, no flush)
//! ```
//!
//! Another size at an address is break before make (Power ISA 3.1B Book III 6.10.1.2): no CPU may hold translations of two sizes for it. A fault that meets the transit waits.

use super::absent::State;
use super::commit::{Commit, begin_transit, finish_transit};
use super::discipline::Discipline;
use super::fault::Short;
use super::frame::Frame;
use super::hardware::Hardware;
use super::owed::Owed;
use super::seat::Cpu;
use super::space::Space;
use super::stats::Made;
use super::walk::{Place, Seen, level_below};
use crate::sync::relax;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::entry::Recorded;
use ppc64_arch::radix::{Entry, Leaf, Level, Rights, Table};

/// Why a leaf could not be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitError {
    /// No leaf maps the address.
    NoLeaf,
    /// It is as small as they come.
    Smallest,
    /// No frame was left for the table.
    OutOfMemory,
}

/// How a split of one leaf ended.
#[must_use]
pub(super) enum Split {
    /// A table stands there.
    Done,
    /// Somebody else changed the entry first.
    Lost(Commit),
    /// There was nothing to make the table of.
    NoFrame(Short),
}

/// A page of the leaf that gets other rights than the rest: the one that is about to be written.
#[derive(Clone, Copy)]
pub(super) struct Exception {
    pub at: GuestReal,
    pub rights: Rights,
}

/// Splits the leaf that was `seen`. The caller is pinned, or keeps mutations out.
pub(super) fn split_leaf<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    seen: Seen<'_>,
    at: GuestReal,
    exception: Option<Exception>,
) -> Split {
    match space.take_table(cpu) {
        Ok(frame) => split_into(space, cpu, seen, at, exception, frame),
        Err(short) => Split::NoFrame(short),
    }
}

fn split_into<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    seen: Seen<'_>,
    at: GuestReal,
    exception: Option<Exception>,
    frame: Frame,
) -> Split {
    let level = seen.place.level;
    let (Some(size), Some(below)) = (level.leaf, level_of_parts(level, space.granule().last_level())) else {
        space.put_table(cpu, frame);
        return Split::Lost(Commit::Retry);
    };
    let leaf = match begin_transit(seen, cpu.id()) {
        Ok(Entry::Leaf(leaf)) => leaf,
        answer => {
            space.put_table(cpu, frame);
            return Split::Lost(answer.err().unwrap_or(Commit::Retry));
        }
    };
    fill(space, frame.at(), below, |index| {
        let part = part_of(leaf, below, index);
        match exception {
            Some(Exception { at, rights }) if below.index(at.raw()) as u64 == index => {
                Entry::Leaf(part.with_rights(part.rights() | rights).recording(Recorded::all()))
            }
            _ => Entry::Leaf(part),
        }
    });
    let _no_cpu_holds_the_huge_one = Owed::leaf(at.align_down(size), size).pay(space, cpu);
    let table = Table::new(frame.into_entry(), below.bits);
    finish_transit(seen.place, Entry::Table(table), space.waiters());
    count(cpu, Made::of(leaf), size, below);
    Split::Done
}

/// Splits what stands at `place`, the entry for `at`, whatever others do to it meanwhile; beyond a budget if need be. Mutations are kept out.
pub(super) fn split_in_place<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    place: Place<'_>,
    at: GuestReal,
) -> Result<(), SplitError> {
    if place.level.below.is_empty() {
        return Err(SplitError::Smallest);
    }
    loop {
        let seen = place.look();
        let resting = match seen.entry() {
            Entry::Leaf(_) => None,
            Entry::Absent(absent) => match State::decode(absent) {
                State::Resting { frame, copied } => Some((frame, copied)),
                // A fault is at it, pinned, and needs nothing of ours to come to an end.
                State::Transit { .. } => {
                    relax();
                    continue;
                }
                _ => return Err(SplitError::NoLeaf),
            },
            Entry::Table(_) => return Err(SplitError::NoLeaf),
        };
        let table = space.overdraw_table(cpu).ok_or(SplitError::OutOfMemory)?;
        let split = match resting {
            None => split_into(space, cpu, seen, at, None, table),
            Some((frame, copied)) => split_resting(space, cpu, seen, (frame, copied), table),
        };
        if matches!(split, Split::Done) {
            return Ok(());
        }
    }
}

/// A huge page that rests becomes a table of pages that rest.
fn split_resting<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    seen: Seen<'_>,
    (frame, copied): (HostReal, bool),
    table: Frame,
) -> Split {
    let level = seen.place.level;
    let (Some(size), Some(below)) = (level.leaf, level_of_parts(level, space.granule().last_level())) else {
        space.put_table(cpu, table);
        return Split::Lost(Commit::Retry);
    };
    fill(space, table.at(), below, |index| {
        let frame = HostReal::new(frame.raw() + index * below.entry_span());
        Entry::Absent(State::Resting { frame, copied }.encode())
    });
    let linked = Entry::Table(Table::new(table.at(), below.bits));
    if let Err(now) = seen.place.swap(seen.entry(), linked) {
        space.put_table(cpu, table);
        return Split::Lost(Commit::NotSame(now));
    }
    let _owned_by_entry = table.into_entry();
    count(cpu, if copied { Made::Copied } else { Made::Zero }, size, below);
    Split::Done
}

/// Splits whatever huge leaf lies across `at`, down to where one begins there. Mutations are kept out.
pub(super) fn cut<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    at: u64,
) -> Result<(), SplitError> {
    loop {
        // SAFETY: 1. The caller keeps mutations out, and with them every table alive.
        let place = unsafe { space.walk(GuestReal::new(at)) }.place;
        if at & (place.level.entry_span() - 1) == 0 || place.level.below.is_empty() {
            return Ok(());
        }
        match split_in_place(space, cpu, place, GuestReal::new(at)) {
            Ok(()) => {}
            // Nothing is there, so nothing lies across.
            Err(SplitError::NoLeaf | SplitError::Smallest) => return Ok(()),
            Err(SplitError::OutOfMemory) => return Err(SplitError::OutOfMemory),
        }
    }
}

fn fill<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    table: HostReal,
    level: &'static Level,
    entry: impl Fn(u64) -> Entry,
) {
    for index in 0..level.entries() as u64 {
        let at = GuestReal::new(index << level.shift);
        // SAFETY: 1. The table's frame is ours, and nobody knows it yet.
        let place = unsafe { Place::in_table(&space.memory().hardware, table, level, at) };
        place.write_unlinked(entry(index));
    }
}

/// One part of a leaf: its frame further on, all else alike.
fn part_of(leaf: Leaf, below: &'static Level, index: u64) -> Leaf {
    let frame = HostReal::new(leaf.frame().raw() + index * below.entry_span());
    Leaf::new(frame, leaf.rights(), leaf.recorded()).with_software(leaf.software())
}

/// The level whose leaves a leaf of `level` is split into, `unit` being what a page is.
fn level_of_parts(level: &'static Level, unit: LeafSize) -> Option<&'static Level> {
    level_below(level, unit).filter(|below| below.leaf.is_some())
}

fn count(cpu: &mut Cpu, made: Made, size: LeafSize, below: &'static Level) {
    cpu.stats.splits += 1;
    cpu.stats.tables_made += 1;
    cpu.stats.unmapped.add(made, size);
    if let Some(part) = below.leaf {
        cpu.stats.made.add_many(made, part, below.entries() as u64);
    }
}

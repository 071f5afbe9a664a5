//! Promotion: a table full of leaves becomes one huge leaf.
//!
//! ```text
//!   table entry ──► transit ── grace, flush ── merge R and C, copy if need be ──► leaf 2M ── free the table
//! ```
//!
//! After the transit no fault finds the table; after the grace period none is in it any more; after the flush no CPU translates through it, nor sets R or C in it. Only
//! then are R and C read, and contents copied. Frames that lie side by side already, as those of a leaf that was split, stay where they are.

use super::absent::State;
use super::commit::{begin_transit, finish_transit};
use super::discipline::Discipline;
use super::frame::Frame;
use super::hardware::Hardware;
use super::owed::Owed;
use super::seat::Cpu;
use super::slot::{Found, MAX_SLOTS, SlotView};
use super::space::Space;
use super::stats::Made;
use super::walk::{Place, Seen};
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::entry::Recorded;
use ppc64_arch::radix::{Entry, Leaf, Level, Table};

/// Why there is no promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromoteError {
    /// No table of leaves maps the address, or no leaf may stand where its entry is.
    NoTable,
    /// Not all of its entries are pages of the guest's own, or they belong to several slots.
    Mixed,
    /// The slot's dirty log is on: the pages are told apart.
    Logged,
    /// No frame of that size was left for a copy.
    OutOfMemory,
}

/// A table that can become a leaf.
struct Candidate<'a> {
    entry: Seen<'a>,
    table: Table,
    below: &'static Level,
    part: LeafSize,
    size: LeafSize,
    slot: SlotView,
}

/// What a table's leaves have in common, and the sum of where they differ.
struct Sum {
    /// The first one's frame, if all others follow it and it is aligned to the leaf to be.
    contiguous: Option<HostReal>,
    recorded: Recorded,
    made: Made,
}

/// Replaces the table of leaves that maps `at` by one leaf. Mutations are kept out.
pub(super) fn promote<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    at: GuestReal,
) -> Result<LeafSize, PromoteError> {
    let candidate = find(space, at)?;
    // A look before anything is disturbed.
    let copy = match sum(space, &candidate).ok_or(PromoteError::Mixed)?.contiguous {
        Some(_) => None,
        None => Some(space.take(cpu, candidate.size).ok_or(PromoteError::OutOfMemory)?),
    };
    if begin_transit(candidate.entry, cpu.id()).is_err() {
        give_back(space, cpu, copy);
        return Err(PromoteError::NoTable);
    }
    space.pins().grace();
    let mut owed = Owed::nothing();
    owed.table_of_leaves(at.align_down(candidate.size), candidate.size.bytes());
    let _no_cpu_knows_the_table = owed.pay(space, cpu);
    // Only now are R and C final.
    let sum = sum(space, &candidate);
    let frame = sum.as_ref().and_then(|sum| copy.as_ref().map(Frame::at).or(sum.contiguous));
    let (Some(sum), Some(frame)) = (sum, frame) else {
        finish_transit(candidate.entry.place, candidate.entry.entry(), space.waiters());
        give_back(space, cpu, copy);
        return Err(PromoteError::Mixed);
    };
    if let Some(mut to) = copy {
        copy_parts(space, &candidate, &mut to);
        let _owned_by_entry = to.into_entry();
    }
    replace(space, cpu, &candidate, &sum, frame);
    Ok(candidate.size)
}

fn give_back<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, frame: Option<Frame>) {
    if let Some(frame) = frame {
        space.put(cpu, frame);
    }
}

/// The table entry right above the page of `at`.
fn find<'a, H: Hardware, D: Discipline>(
    space: &'a Space<'_, H, D>,
    at: GuestReal,
) -> Result<Candidate<'a>, PromoteError> {
    let Found::Slot(slot) = space.slots().find(at, MAX_SLOTS) else { return Err(PromoteError::NoTable) };
    if slot.log().is_some() {
        return Err(PromoteError::Logged);
    }
    let (root, top) = space.top();
    let mut above = None;
    // SAFETY: 1. The root lives as long as the space.
    let mut seen = unsafe { Place::in_table(&space.memory().hardware, root, top, at) }.look();
    while let Entry::Table(table) = seen.entry()
        && let Some(below) = seen.place.level.below(table.bits())
    {
        above = Some((seen, table, below));
        // SAFETY: 1. The table is linked, and the caller keeps mutations out.
        seen = unsafe { Place::in_table(&space.memory().hardware, table.base(), below, at) }.look();
    }
    let (entry, table, below) = above.ok_or(PromoteError::NoTable)?;
    let (Some(part), Some(size)) = (below.leaf, entry.place.level.leaf) else { return Err(PromoteError::NoTable) };
    if slot.holds_block(at.align_down(size), size) {
        Ok(Candidate { entry, table, below, part, size, slot })
    } else {
        Err(PromoteError::Mixed)
    }
}

/// `None` if an entry is not a page of the guest's own.
fn sum<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, candidate: &Candidate<'_>) -> Option<Sum> {
    let first = leaf_at(space, candidate, 0)?.frame();
    let mut sum = Sum {
        contiguous: Some(first).filter(|first| first.is_aligned(candidate.size)),
        recorded: Recorded::empty(),
        made: Made::Zero,
    };
    for index in 0..candidate.below.entries() as u64 {
        let leaf = leaf_at(space, candidate, index)?;
        let expected = first.raw() + index * candidate.part.bytes();
        sum.contiguous = sum.contiguous.filter(|_| leaf.frame().raw() == expected);
        sum.recorded |= leaf.recorded();
        sum.made = if Made::of(leaf) == Made::Copied { Made::Copied } else { sum.made };
    }
    Some(sum)
}

fn leaf_at<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, candidate: &Candidate<'_>, index: u64) -> Option<Leaf> {
    match entry_at(space, candidate, index).look().entry() {
        Entry::Leaf(leaf) if Made::of(leaf) != Made::Shared => Some(leaf),
        _ => None,
    }
}

fn entry_at<'a, H: Hardware, D: Discipline>(
    space: &'a Space<'_, H, D>,
    candidate: &Candidate<'_>,
    index: u64,
) -> Place<'a> {
    let at = GuestReal::new(index << candidate.below.shift);
    // SAFETY: 1. Nobody frees the table but `replace`, after the last look.
    unsafe { Place::in_table(&space.memory().hardware, candidate.table.base(), candidate.below, at) }
}

/// Ends the transit with a leaf of `frame`, and gives back what it stands for.
fn replace<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    candidate: &Candidate<'_>,
    sum: &Sum,
    frame: HostReal,
) {
    let moved = sum.contiguous != Some(frame);
    let leaf = Leaf::new(frame, candidate.slot.rights(), sum.recorded).with_software(sum.made.bits());
    finish_transit(candidate.entry.place, Entry::Leaf(leaf), space.waiters());
    for index in 0..candidate.below.entries() as u64 {
        let was = entry_at(space, candidate, index).replace(Entry::Absent(State::Detached.encode()));
        let Entry::Leaf(part) = was else { continue };
        cpu.stats.unmapped.add(Made::of(part), candidate.part);
        if moved {
            // SAFETY: 1. The entry owned this frame. 2. It is detached, was flushed, and no pin that may have seen it lives.
            space.put(cpu, unsafe { Frame::from_entry(part.frame(), candidate.part) });
        }
    }
    cpu.stats.promotions += 1;
    cpu.stats.made.add(sum.made, candidate.size);
    cpu.stats.tables_freed += 1;
    // SAFETY: 1. As above: the table was unlinked by the transit.
    space.put_table(cpu, unsafe { Frame::from_entry(candidate.table.base(), LeafSize::Size4K) });
}

fn copy_parts<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, candidate: &Candidate<'_>, to: &mut Frame) {
    let hardware = &space.memory().hardware;
    for index in 0..candidate.below.entries() as u64 {
        let Some(part) = leaf_at(space, candidate, index) else { continue };
        let here = HostReal::new(to.at().raw() + index * candidate.part.bytes());
        // SAFETY: 1. The new frame is ours. 2. No CPU can write the old one: in transit, grace, flush.
        unsafe { hardware.copy(here, part.frame(), candidate.part.bytes()) };
    }
    // SAFETY: 1. The frame is ours.
    unsafe { hardware.make_executable(to.at(), to.size().bytes()) };
}

//! What was taken out of a table, and the only order in which it may be freed.
//!
//! ```text
//!   Subtree::unlink ─► Unlinked ─ flush ─► Flushed ─ free ─► frames back in the pool
//! ```
//!
//! Each step consumes the one before, so that a frame cannot be freed while some CPU may still translate to it. That no fault is on its way into the
//! subtree is the caller's part: it holds the space's lock, has closed the slots and has waited for the grace period.

use super::absent::State;
use super::discipline::Discipline;
use super::frame::Frame;
use super::hardware::{Flush, Hardware};
use super::seat::Cpu;
use super::space::Space;
use super::stats::Made;
use super::walk::Place;
use ppc64_arch::addr::{GuestReal, LeafSize};
use ppc64_arch::radix::{Entry, Level};

/// An entry that was taken out, with all that hangs below it. Translations of it may still be cached.
#[must_use = "what was unlinked has to be flushed, and then freed"]
pub(super) struct Unlinked {
    entry: Entry,
    level: &'static Level,
}

/// The same, no longer cached anywhere.
#[must_use = "what was flushed has to be freed"]
pub(super) struct Flushed(Unlinked);

impl Unlinked {
    /// Takes out what stands at `place`, leaving an empty entry of `generation`. `None` if it is empty already.
    pub(super) fn take(place: Place<'_>, generation: u32) -> Option<Self> {
        if let Entry::Absent(absent) = place.look().entry
            && !matches!(State::decode(absent), State::Stored(_) | State::Resting { .. })
        {
            return None;
        }
        let empty = State::Empty { generation }.encode();
        Some(Self { entry: place.replace(Entry::Absent(empty)), level: place.level })
    }

    /// Makes every CPU forget the partition's translations, cached tables included.
    pub(super) fn flush<H: Hardware, D: Discipline>(self, space: &Space<'_, H, D>, cpu: &mut Cpu) -> Flushed {
        space.memory().hardware.flush(Flush::Partition { lpid: space.lpid() });
        cpu.stats.flushes += 1;
        Flushed(self)
    }
}

impl Flushed {
    /// Gives every frame and table page of it back.
    pub(super) fn free<H: Hardware, D: Discipline>(self, space: &Space<'_, H, D>, cpu: &mut Cpu) {
        free_entry(space, cpu, self.0.entry, self.0.level);
    }
}

fn free_entry<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, entry: Entry, level: &'static Level) {
    match (entry, level.leaf) {
        (Entry::Leaf(leaf), Some(size)) => {
            cpu.stats.unmapped.add(Made::of(leaf), size);
            if Made::of(leaf) != Made::Shared {
                // SAFETY: 1. A leaf that is not shared owns its frame at its level's size. 2. It was unlinked and flushed.
                space.put(cpu, unsafe { Frame::from_entry(leaf.frame(), size) });
            }
        }
        (Entry::Table(table), _) => {
            if let Some(below) = level.below(table.bits()) {
                free_table(space, cpu, table.base(), below);
            }
        }
        (Entry::Absent(absent), _) => free_absent(space, cpu, State::decode(absent)),
        (Entry::Leaf(_), None) => {}
    }
}

/// An absent entry may own a page as well.
fn free_absent<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, state: State) {
    match state {
        State::Stored(handle) => space.forget(cpu, handle),
        State::Resting { frame, copied } => {
            cpu.stats.unmapped.add(if copied { Made::Copied } else { Made::Zero }, LeafSize::Size4K);
            // SAFETY: 1. A resting entry owns its frame. 2. It was unlinked and flushed.
            space.put(cpu, unsafe { Frame::from_entry(frame, LeafSize::Size4K) });
        }
        State::Empty { .. } | State::Transit { .. } | State::Detached => {}
    }
}

/// Frees a table that nothing points at any more. Each entry becomes *detached* first, so that a swap that was on its way would fail.
fn free_table<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    base: ppc64_arch::addr::HostReal,
    level: &'static Level,
) {
    for index in 0..level.entries() as u64 {
        let at = GuestReal::new(index << level.shift);
        // SAFETY: 1. The table is unlinked and ours until it is given back below.
        let place = unsafe { Place::in_table(&space.memory().hardware, base, level, at) };
        let was = place.replace(Entry::Absent(State::Detached.encode()));
        free_entry(space, cpu, was, level);
    }
    cpu.stats.tables_freed += 1;
    // SAFETY: 1. Table pages are 4 KiB frames that their entry owned. 2. As above.
    space.put(cpu, unsafe { Frame::from_entry(base, LeafSize::Size4K) });
}

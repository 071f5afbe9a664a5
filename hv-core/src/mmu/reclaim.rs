//! Making room: pages that a guest has not used for a while go to its store.
//!
//! A *hand* goes round the guest's addresses (second chance). A leaf with R set loses it; one that still has none when the hand comes by again is
//! taken: its entry goes in transit, together with up to [`BATCH`] others, then one flush and one grace period for them all, and only then is a page read and
//! compressed, since no CPU can write it any more, nor can the hypervisor on behalf of one.
//!
//! Where hardware does not set R by itself, *resting* takes the place of "no R": the entry says absent and keeps the frame, so that the next access faults and is noticed.
//! (QEMU's nested machine does raise an interrupt for a missing R, but livelocks inside itself when the page is the guest's process table.)
//!
//! ```text
//!   leaf, R ──► leaf, no R ──► transit ─ flush ─ grace ─ compress ─┬─ stored, frame free
//!     ▲             │                                              └─ resting, if the store will not have it
//!     └── fault ────┘
//!   huge leaf, no R ──► split: the hand goes on with its parts
//! ```
//!
//! One CPU at a time reclaims for a guest; another one that runs short meanwhile waits for what that one frees. Whoever is here holds the lock that keeps mutations out, and
//! no pin.

use super::absent::State;
use super::age::resting;
use super::commit::abort_transit;
use super::discipline::Discipline;
use super::fault::Short;
use super::frame::Frame;
use super::hardware::Hardware;
use super::prune::prune;
use super::seat::Cpu;
use super::space::Space;
use super::split::split_in_place;
use super::stats::Made;
use super::walk::Seen;
use crate::delays::delay;
use core::ops::Range;
use heapless::Vec;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::Entry;
use ppc64_arch::radix::entry::Recorded;

/// Pages that share a flush and a grace period.
const BATCH: usize = if cfg!(loom) { 1 } else { 32 };

/// A page on its way out.
#[derive(Clone, Copy, Debug)]
struct Leaving {
    at: GuestReal,
    frame: HostReal,
    made: Made,
}

/// What came of an attempt to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There was some: try again.
    Made,
    /// Another CPU is at it.
    Busy,
    /// There is nothing to be had.
    None,
}

/// Frees some of the guest's memory for a fault that found none: pages, or tables if it is those that ran out.
#[cold]
pub(super) fn make_room<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, short: Short) -> Room {
    if short == Short::Frames && space.store().is_none() {
        return Room::None;
    }
    // With mutations locked out, tables stay and slots are open; what is in transit here is ours to end.
    let Some(mut turn) = space.try_lock() else { return Room::Busy };
    let paged_out = cpu.stats.paged_out;
    let freed = match short {
        Short::Frames => take_some_out(space, cpu, &mut turn.hand),
        Short::Tables => prune(space, cpu, turn.generation),
    };
    // This one, and the store's for each page.
    cpu.stats.locks += 1 + cpu.stats.paged_out - paged_out;
    if freed > 0 { Room::Made } else { Room::None }
}

/// Takes a batch of pages out to the store: how many. Mutations are kept out.
pub(super) fn take_some_out<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    hand: &mut Hand,
) -> u64 {
    while space.store().is_some() && !hand.is_idle() {
        let mut leaving = Vec::new();
        let (round_ends, from) = gather(space, cpu, hand, &mut leaving);
        let freed = take_out(space, cpu, &leaving, from..hand.at);
        hand.freed += freed;
        // Only now: the last pages of a round count for it.
        if round_ends {
            hand.begin_round(space.ledger().budget());
        }
        if freed > 0 {
            return freed;
        }
    }
    // Another fault may try again: by then the guest has used, and perhaps changed, other pages.
    hand.poor_rounds = 0;
    0
}

/// Where reclaim goes on, and what it was good for.
#[derive(Debug)]
pub(super) struct Hand {
    at: u64,
    /// Its rounds go over these addresses.
    over: Range<u64>,
    /// Pages freed since it began a round.
    freed: u64,
    /// Rounds in succession that freed next to nothing.
    poor_rounds: u32,
}

impl Default for Hand {
    fn default() -> Self {
        Self::over(0..u64::MAX)
    }
}

impl Hand {
    /// A hand that leaves everything outside of `over` alone.
    pub(super) const fn over(over: Range<u64>) -> Self {
        Self { at: over.start, over, freed: 0, poor_rounds: 0 }
    }

    /// A round that frees less than this part of the budget was not worth it.
    const POOR: u64 = 512;
    /// One round may only put pages to the test; when those behind it find nothing either, what is there does not compress.
    const ROUNDS: u32 = 3;

    const fn is_idle(&self) -> bool {
        self.poor_rounds >= Self::ROUNDS
    }

    fn begin_round(&mut self, budget: u64) {
        self.poor_rounds = if self.freed < (budget / Self::POOR).max(1) { self.poor_rounds + 1 } else { 0 };
        self.freed = 0;
        self.at = self.over.start;
    }
}

/// Moves the hand until a batch is gathered, or the end of its range or of the last slot is reached, where the round ends: whether it did, and where the first entry that it passed begins.
fn gather<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    hand: &mut Hand,
    leaving: &mut Vec<Leaving, BATCH>,
) -> (bool, u64) {
    let mut first = hand.at;
    while !leaving.is_full() {
        let Some(at) = space.slots().next(hand.at).filter(|at| *at < hand.over.end) else { return (true, first) };
        // SAFETY: 1. The mutation lock, held by the caller, keeps every table.
        let seen = unsafe { space.walk(GuestReal::new(at)) };
        let span = seen.place.level.entry_span();
        let begin = at & !(span - 1);
        let after = begin + span;
        first = first.min(begin);
        hand.at = match pass(space, cpu, seen, GuestReal::new(at), leaving) {
            Passed::By => after,
            Passed::Split => at,
        };
    }
    (false, first)
}

/// What the hand left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    /// It goes on behind the entry.
    By,
    /// A huge page that was not used became small ones: it goes on with the first of them.
    Split,
}

/// The hand passes one entry; there is room for one more. An entry that changes under it is in use: let it be.
fn pass<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    seen: Seen<'_>,
    at: GuestReal,
    leaving: &mut Vec<Leaving, BATCH>,
) -> Passed {
    let page = at.align_down(LeafSize::Size4K);
    match seen.entry() {
        Entry::Leaf(leaf) if Made::of(leaf) == Made::Shared => Passed::By,
        Entry::Leaf(leaf) if !space.sets_reference() => {
            cpu.stats.aged += u64::from(seen.place.swap(seen.entry(), resting(leaf)).is_ok());
            Passed::By
        }
        Entry::Leaf(leaf) if leaf.recorded().contains(Recorded::REFERENCED) => {
            let aged = leaf.with_recorded(leaf.recorded() - Recorded::REFERENCED);
            cpu.stats.aged += u64::from(seen.place.swap(seen.entry(), Entry::Leaf(aged)).is_ok());
            Passed::By
        }
        Entry::Leaf(leaf) => {
            take_or_split(space, cpu, seen, Leaving { at: page, frame: leaf.frame(), made: Made::of(leaf) }, leaving)
        }
        Entry::Absent(absent) => match State::decode(absent) {
            State::Resting { frame, copied } => {
                let made = if copied { Made::Copied } else { Made::Zero };
                take_or_split(space, cpu, seen, Leaving { at: page, frame, made }, leaving)
            }
            _ => Passed::By,
        },
        Entry::Table(_) => Passed::By,
    }
}

/// A page that was not used since the hand came by. The store takes small ones, so a huge one is split.
fn take_or_split<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    seen: Seen<'_>,
    page: Leaving,
    leaving: &mut Vec<Leaving, BATCH>,
) -> Passed {
    if seen.place.level.leaf == Some(LeafSize::Size4K) {
        take(cpu, seen, page, leaving);
        return Passed::By;
    }
    match split_in_place(space, cpu, seen.place, page.at) {
        Ok(()) => Passed::Split,
        Err(_) => Passed::By,
    }
}

/// Puts a page in transit.
fn take(cpu: &mut Cpu, seen: Seen<'_>, page: Leaving, leaving: &mut Vec<Leaving, BATCH>) {
    let transit = State::Transit { owner: cpu.id() as u32, generation: 0 };
    if seen.place.swap(seen.entry(), Entry::Absent(transit.encode())).is_ok() {
        delay!(InTransit);
        let _there_is_room = leaving.push(page);
    }
}

/// One flush of what the hand passed, and one grace period, for what was gathered, and for the R bits that were taken away; then each page. How many were freed.
fn take_out<H: Hardware, D: Discipline>(
    space: &Space<'_, H, D>,
    cpu: &mut Cpu,
    leaving: &[Leaving],
    passed: Range<u64>,
) -> u64 {
    space.flush_area(cpu, passed.start, passed.end);
    if leaving.is_empty() {
        return 0;
    }
    // From here on no CPU translates to these frames, and none that the hypervisor found before can still be written.
    space.pins().grace();
    leaving.iter().map(|page| u64::from(take_one_out(space, cpu, *page))).sum()
}

fn take_one_out<H: Hardware, D: Discipline>(space: &Space<'_, H, D>, cpu: &mut Cpu, page: Leaving) -> bool {
    // SAFETY: 1. The entry owned this frame at this size. 2. It was unlinked, flushed, and every pin that may have seen it has ended.
    let frame = unsafe { Frame::from_entry(page.frame, LeafSize::Size4K) };
    let kept = space.keep(cpu, &frame);
    // SAFETY: 1. The mutation lock, held by `reclaim`, keeps every table.
    let place = unsafe { space.walk(page.at) }.place;
    match kept {
        Ok(handle) => {
            abort_transit(place, State::Stored(handle), space.waiters());
            space.put(cpu, frame);
            cpu.stats.paged_out += 1;
            cpu.stats.unmapped.add(page.made, LeafSize::Size4K);
            true
        }
        Err(_) => {
            // Resting, not a leaf: what the slot allows is for the fault to say.
            let resting = State::Resting { frame: frame.into_entry(), copied: page.made == Made::Copied };
            abort_transit(place, resting, space.waiters());
            cpu.stats.kept += 1;
            false
        }
    }
}

//! The compare-and-swap that decides who handled a fault, and its three answers.
//!
//! The comparison leaves out R and C: hardware may set them between the look and the swap, and an entry that only became
//! referenced or changed is the same entry. What it set is merged into what is written, so it is never lost.

use super::absent::State;
use super::waiters::Waiters;
use super::walk::{Place, Seen};
use crate::delays::delay;
use ppc64_arch::radix::entry::Recorded;
use ppc64_arch::radix::{Entry, Leaf};

/// The answer of a commit. It does not leave [`super::fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Commit {
    /// The entry was the same, and is now what we made it.
    Same,
    /// Somebody else changed it, and left this.
    NotSame(Entry),
    /// The table itself is gone: look again from the root.
    Retry,
}

/// The entry to write, given R and C as they were at the moment of the swap.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// This entry as it is. What it replaces has no R and C worth keeping.
    Exactly(Entry),
    /// This leaf, with R and C of the old one merged in.
    Merging(Leaf),
}

impl Next {
    #[inline]
    fn over(self, old: Entry) -> Entry {
        match (self, old) {
            (Self::Exactly(entry), _) => entry,
            (Self::Merging(leaf), Entry::Leaf(old)) => Entry::Leaf(leaf.recording(old.recorded())),
            (Self::Merging(leaf), _) => Entry::Leaf(leaf),
        }
    }
}

/// Swaps what was `seen` for `next`.
#[inline(always)]
pub(super) fn commit(seen: Seen<'_>, next: Next) -> Commit {
    delay!(BeforeCommit);
    let swapped = seen.place.swap(seen.entry(), next.over(seen.entry()));
    delay!(AfterCommit);
    match swapped {
        Ok(()) => Commit::Same,
        Err(actual) => commit_again(seen.aside(), next, actual),
    }
}

/// The first swap found `actual`: the same with more of R and C set, or another.
#[cold]
fn commit_again(seen: Seen<'_>, next: Next, actual: Entry) -> Commit {
    if !differs_in_recorded_only(seen.entry(), actual) {
        return lost(actual);
    }
    match replace_same(seen.now(actual), next) {
        Ok(_) => Commit::Same,
        Err(actual) => lost(actual),
    }
}

/// Puts what was `seen` in transit, and tells what it was at that moment, R and C included.
pub(super) fn begin_transit(seen: Seen<'_>, owner: usize) -> Result<Entry, Commit> {
    let transit = State::Transit { owner: owner as u32, generation: 0 };
    delay!(BeforeCommit);
    let begun = replace_same(seen, Next::Exactly(Entry::Absent(transit.encode())));
    delay!(InTransit);
    begun.map_err(lost)
}

/// What was replaced, or what stands there instead.
#[inline]
fn replace_same(seen: Seen<'_>, next: Next) -> Result<Entry, Entry> {
    let mut expected = seen.entry();
    loop {
        match seen.place.swap(expected, next.over(expected)) {
            Ok(()) => return Ok(expected),
            // R and C only ever become set while a leaf stands, so this turns at most twice.
            Err(actual) if differs_in_recorded_only(expected, actual) => expected = actual,
            Err(actual) => return Err(actual),
        }
    }
}

fn lost(actual: Entry) -> Commit {
    match actual {
        Entry::Absent(absent) if State::decode(absent) == State::Detached => Commit::Retry,
        other => Commit::NotSame(other),
    }
}

fn differs_in_recorded_only(expected: Entry, actual: Entry) -> bool {
    match (expected, actual) {
        (Entry::Leaf(a), Entry::Leaf(b)) => {
            a != b
                && a.with_recorded(Recorded::empty()) == b.with_recorded(Recorded::empty())
                && b.recorded().contains(a.recorded())
        }
        _ => false,
    }
}

/// Ends a transit without a page: the entry says again what it said, or something else that is absent.
#[inline]
pub(super) fn abort_transit(place: Place<'_>, state: State, waiters: &Waiters<'_>) {
    finish_transit(place, Entry::Absent(state.encode()), waiters);
}

/// Ends a transit with a leaf or a table, and wakes those who waited: only its owner may, and nobody else changes the entry until then.
#[inline]
pub(super) fn finish_transit(place: Place<'_>, entry: Entry, waiters: &Waiters<'_>) {
    let was = place.replace(entry);
    debug_assert!(in_transit(was), "a transit was ended by somebody else");
    waiters.settled();
}

fn in_transit(entry: Entry) -> bool {
    matches!(entry, Entry::Absent(absent) if matches!(State::decode(absent), State::Transit { .. }))
}

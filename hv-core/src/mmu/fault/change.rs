//! Entries that hold a page already, which this access cannot use as it is.

use super::fill::NoPage;
use super::{Attempt, SHARED, Short, Work, permits, recorded_by};
use crate::delays::delay;
use crate::mmu::absent::State;
use crate::mmu::commit::{Commit, Next, abort_transit, begin_transit, commit, finish_transit};
use crate::mmu::discipline::Discipline;
use crate::mmu::frame::Frame;
use crate::mmu::hardware::Hardware;
use crate::mmu::owed::Owed;
use crate::mmu::request::Access;
use crate::mmu::split::{Exception, Split, split_leaf};
use crate::mmu::stats::{Made, Outcome, Reason};
use crate::mmu::store::Handle;
use crate::mmu::walk::Seen;
use ppc64_arch::addr::{HostReal, LeafSize};
use ppc64_arch::radix::{Entry, Leaf};

impl<'w, H: Hardware, D: Discipline> Work<'w, '_, H, D> {
    /// A leaf that does not permit the access as it stands.
    #[cold]
    pub(super) fn change(&mut self, seen: Seen<'w>, leaf: Leaf) -> Attempt {
        let stores = self.request.access == Access::Write;
        let shared = Made::of(leaf) == Made::Shared;
        if stores && self.slot.log().is_some() && !seen.place.level.below.is_empty() {
            return self.split(seen, shared);
        }
        if stores && shared { self.unshare(seen) } else { self.raise(seen, leaf) }
    }

    /// Adds what the access lacks to a leaf of the same frame and size: owes no flush.
    #[inline(always)]
    pub(super) fn raise(&mut self, seen: Seen<'w>, leaf: Leaf) -> Attempt {
        let rights = if Made::of(leaf) == Made::Shared { SHARED } else { self.rights() };
        let raised = leaf.with_rights(leaf.rights() | rights).recording(recorded_by(self.request.access));
        match commit(seen, Next::Merging(raised)) {
            Commit::Same if permits(raised, self.request.access) => Attempt::Resumed(Outcome::Upgraded),
            Commit::Same => Attempt::Broken,
            answer => self.aside().lost(None, answer),
        }
    }

    /// Replaces a shared page by a copy of it: break before make, since another frame will stand there. A page for whose copy there is no frame is split.
    fn unshare(&mut self, seen: Seen<'w>) -> Attempt {
        let Some(size) = seen.place.level.leaf else { return Attempt::Broken };
        let (frame, made) = match self.private_frame(self.request.at, size) {
            Ok(prepared) => prepared,
            Err(NoPage::NoFrame) if !seen.place.level.below.is_empty() => return self.split(seen, true),
            Err(why) => return why.into(),
        };
        if let Err(answer) = begin_transit(seen, self.cpu.id()) {
            return self.lost(Some(frame), answer);
        }
        let _no_cpu_reads_the_image_here = Owed::leaf(self.request.at.align_down(size), size).pay(self.space, self.cpu);
        let leaf = self.private_leaf(frame.into_entry(), made);
        finish_transit(seen.place, Entry::Leaf(leaf), self.space.waiters());
        self.cpu.stats.unmapped.add(Made::Shared, size);
        self.cpu.stats.made.add(made, size);
        Attempt::Resumed(Outcome::Unshared)
    }

    /// Splits a huge leaf of which a part is stored to. That part permits the store at once, unless it has to be copied first.
    fn split(&mut self, seen: Seen<'w>, shared: bool) -> Attempt {
        let exception = Exception { at: self.request.at, rights: self.rights() };
        let at_last_level = seen.place.level.below.iter().all(|below| below.below.is_empty());
        let exception = Some(exception).filter(|_| !shared && at_last_level);
        match split_leaf(self.space, self.cpu, seen, self.request.at, exception) {
            Split::Done if exception.is_some() => Attempt::Resumed(Outcome::Split),
            Split::Done => Attempt::Again(Reason::Split),
            Split::Lost(answer) => self.lost(None, answer),
            Split::NoFrame(short) => Attempt::Short(short),
        }
    }

    /// Puts the entry of a resting page back: the same frame at the same size, so nothing is owed.
    #[cold]
    pub(super) fn revive(&mut self, seen: Seen<'w>, frame: HostReal, copied: bool) -> Attempt {
        delay!(BeforeReturn, self.request.at);
        let made = if copied { Made::Copied } else { Made::Zero };
        let stores = self.request.access == Access::Write;
        if stores && self.slot.log().is_some() && !seen.place.level.below.is_empty() {
            // As a leaf that permits no store it can be split.
            return self.revive_with(seen, super::leaf_with(frame, self.slot.rights(), made), false);
        }
        self.revive_with(seen, self.private_leaf(frame, made), true)
    }

    fn revive_with(&mut self, seen: Seen<'w>, leaf: Leaf, enough: bool) -> Attempt {
        match commit(seen, Next::Exactly(Entry::Leaf(leaf))) {
            Commit::Same if enough => Attempt::Resumed(Outcome::Revived),
            Commit::Same => Attempt::Again(Reason::Split),
            answer => self.lost(None, answer),
        }
    }

    /// Brings a page back from the store. It is in transit meanwhile, so one CPU does the work and the others wait.
    #[cold]
    pub(super) fn page_in(&mut self, seen: Seen<'w>, handle: Handle) -> Attempt {
        delay!(BeforeReturn, self.request.at);
        let Some(frame) = self.space.take(self.cpu, LeafSize::Size4K) else { return Attempt::Short(Short::Frames) };
        match begin_transit(seen, self.cpu.id()) {
            Ok(_) => self.bring_back(seen, handle, frame),
            Err(answer) => self.lost(Some(frame), answer),
        }
    }

    /// Ends the transit that `page_in` began: with the page, or with the handle again if the store cannot give it.
    fn bring_back(&mut self, seen: Seen<'w>, handle: Handle, mut frame: Frame) -> Attempt {
        // The store's, now and when it forgets the page.
        self.cpu.stats.locks += 2;
        let Ok(made) = self.space.fetch(self.cpu, handle, &mut frame) else {
            abort_transit(seen.place, State::Stored(handle), self.space.waiters());
            self.space.put(self.cpu, frame);
            return Attempt::Broken;
        };
        let leaf = self.private_leaf(frame.into_entry(), made);
        finish_transit(seen.place, Entry::Leaf(leaf), self.space.waiters());
        // Only now: had it failed, the store would have had the page still.
        self.space.forget(self.cpu, handle);
        self.cpu.stats.paged_in += 1;
        self.cpu.stats.made.add(made, LeafSize::Size4K);
        Attempt::Resumed(Outcome::PagedIn)
    }
}

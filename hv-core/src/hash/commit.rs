//! The comparison that decides who handled a fault, and its three answers.

use super::lock::{GUESTS, Glance, Locked, Place};
use super::machine::{Backing, Translations};
use super::table::Hpt;
use crate::mmu::Access;
use ppc64_arch::addr::GuestReal;
use ppc64_arch::hash::{Pages, Word1};

/// The answer of a commit. It does not leave [`super::fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Commit {
    /// All was as it had been seen, and the entry is shown.
    Same,
    /// Somebody else showed it (`enough`: so that the access can go on), or changed it.
    NotSame {
        /// The access can be tried again.
        enough: bool,
    },
    /// Somebody else is at the entry, or the memory is in motion.
    Retry,
}

impl<T: Translations> Hpt<'_, T> {
    /// Shows the entry that was `seen`, if it and its page are still there.
    pub(super) fn commit<B: Backing>(&self, backing: &B, seen: Glance, pages: Pages, access: Access) -> Commit {
        let _pin = backing.pin();
        let Some(locked) = self.place(seen.index).and_then(Place::lock) else { return Commit::Retry };
        if !is_same(&locked, seen) {
            return Commit::NotSame { enough: false };
        }
        let Some(page) = backing.look(GuestReal::new(seen.view.real(pages)), pages.actual()) else {
            return Commit::Retry;
        };
        let stores = access == Access::Write;
        if stores && !page.stores {
            return Commit::Retry;
        }
        if locked.is_shown() && (!stores || locked.shown().stores()) {
            // Whoever takes the page away hides the entry: what it shows is what was looked at.
            return Commit::NotSame { enough: true };
        }
        let quiet = locked.quiet(self);
        let recorded = if stores { Word1::RECORDED } else { Word1::REFERENCED };
        let view = quiet.view() | recorded;
        quiet.set_view(view);
        quiet.show(page.word1(view, pages));
        Commit::Same
    }

    /// Whether name and view were seen of one entry, which stands there now: without its lock they may be of two, if the name went and came back in between. False as well if somebody is at it.
    pub(super) fn is_still(&self, seen: Glance) -> bool {
        self.place(seen.index).and_then(Place::try_lock).is_some_and(|locked| is_same(&locked, seen))
    }
}

/// Whether the guest's part of the entry is what was seen. R and C are left out: hardware sets them at any time. So is whether it is shown: that is looked at now.
fn is_same(locked: &Locked<'_>, seen: Glance) -> bool {
    let name = locked.word0() & GUESTS == seen.word0 & GUESTS && !locked.is_free();
    name && locked.view().difference(Word1::RECORDED) == seen.view.difference(Word1::RECORDED)
}

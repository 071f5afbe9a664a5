//! Entries move to another table: for whoever has both to itself.

use super::calls::remove::is_device;
use super::lock::{Locked, Place};
use super::machine::Translations;
use super::table::Hpt;
use ppc64_arch::hash::segment::VRMA;
use ppc64_arch::hash::table::{GROUP, Hashed};
use ppc64_arch::hash::{Entry, Segment, Word0};

/// Two entries that have to stay would have the same place in the other table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<'m, T: Translations> Hpt<'m, T> {
    /// Every entry of the guest's is absent, with R and C as hardware left them: one flush for all.
    ///
    /// To be called by who has the table alone: other locks than its own there are none.
    pub(super) fn hide_all(&self) {
        let shown = self.places().filter_map(Place::try_lock).filter(Locked::is_shown);
        let mut owed = false;
        for locked in shown {
            locked.hide().leave();
            owed = true;
        }
        if owed {
            self.hardware.forget(&[self.everything()]);
            // Each becomes absent as it goes.
            self.places().filter_map(Place::left_hidden).for_each(|hidden| drop(hidden.merge()));
        }
    }

    /// Takes over what the guest wants to keep of another table (PAPR: entries with the third software bit, Linux's *bolted* ones), none of which is shown. What else was there the guest finds missing, and makes
    /// again, as KVM and QEMU have it; or the hypervisor does, if it is real mode's.
    pub(super) fn take_over(&self, other: &Self) -> Result<(), Full> {
        let kept = other.places().filter(|place| place.word0().contains(Word0::SW2)).filter_map(Place::try_lock);
        for locked in kept {
            self.take_over_one(other, locked.index(), locked.guests())?;
        }
        Ok(())
    }

    /// One entry: to its group, and there to the place that it had (PAPR: a guest need not look for it anew).
    fn take_over_one(&self, other: &Self, index: u64, entry: Entry) -> Result<(), Full> {
        // An entry of no size is one that nobody wrote.
        let (Some(pages), Some(segment)) = (entry.pages(), entry.word1.segment()) else { return Ok(()) };
        let at = other.shape().page_of(index, entry, segment, pages);
        let secondary = entry.word0.contains(Word0::SECONDARY);
        let group = self.shape().group(Hashed::of(at, segment, pages.base()), secondary);
        let Some(free) = self.cleared(group + index % GROUP as u64, entry)? else { return Ok(()) };
        let mut quiet = free.quiet(self);
        quiet.claim(entry.word0, entry.word1);
        if let Some(list) = self.reverse.list(entry.word1, pages).filter(|_| !is_device(entry.word1)) {
            list.lock().link(quiet.index());
        }
        Ok(())
    }

    /// Place `index`, free for `entry`. An entry of real mode gives way to any other: it is made again where real mode needs it. `None`: `entry` itself does.
    fn cleared(&self, index: u64, entry: Entry) -> Result<Option<Locked<'m>>, Full> {
        let place = self.place(index).ok_or(Full)?;
        let there = place.try_lock().ok_or(Full)?;
        if there.is_free() {
            return Ok(Some(there));
        }
        let was = there.guests();
        match (is_real_mode(entry), is_real_mode(was)) {
            (true, _) => Ok(None),
            (false, false) => Err(Full),
            (false, true) => {
                self.release(there.quiet(self), was);
                Ok(place.try_lock())
            }
        }
    }

    fn places(&self) -> impl Iterator<Item = Place<'m>> {
        (0..self.shape().entries()).filter_map(|index| self.place(index))
    }
}

/// Whether the hypervisor makes such entries itself: they are of the virtual real mode area.
fn is_real_mode(entry: Entry) -> bool {
    entry.word1.segment() == Some(Segment::Size1T) && entry.word0.abbreviated().vsid(Segment::Size1T) == VRMA
}

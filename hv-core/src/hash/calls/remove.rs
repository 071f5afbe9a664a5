//! H_REMOVE and H_BULK_REMOVE: the guest gives entries back.

use super::{Condition, Refusal, flags};
use crate::hash::lock::{BATCH, Hidden, Locked, Quiet, quiet_all};
use crate::hash::machine::Translations;
use crate::hash::table::Hpt;
use heapless::Vec;
use ppc64_arch::bits::{bit, mask, shift};
use ppc64_arch::hash::{Entry, PaprEntry, Word0, Word1};

impl<'m, T: Translations> Hpt<'m, T> {
    /// Takes entry `index` away, if `value` agrees with it as `flags` say, and tells what it was, R and C included.
    ///
    /// # Errors
    /// [`Refusal::Parameter`], [`Refusal::NotFound`], [`Refusal::Busy`].
    #[inline]
    pub fn remove(&self, flags: u64, index: u64, value: u64) -> Result<PaprEntry, Refusal> {
        let locked = self.named_entry(index, Condition { flags, value })?;
        Ok(self.take_away(locked).papr())
    }

    /// Takes an entry away that the guest can do without, of the group that begins with number `first`; false if it wants to keep them all (the third software bit). Who finds one free, or in motion, looks again
    /// as well.
    pub(in crate::hash) fn make_room(&self, first: u64) -> bool {
        let is_kept = |word0: Word0| word0.contains(Word0::SW2);
        let Some(place) = self.group(first).find(|place| !is_kept(place.word0())) else { return false };
        if let Some(locked) = place.try_lock().filter(|locked| !locked.is_free() && !is_kept(locked.word0())) {
            self.take_away(locked);
        }
        true
    }

    /// Takes an entry away: what it was, R and C included.
    #[inline(always)]
    fn take_away(&self, locked: Locked<'m>) -> Entry {
        let word0 = locked.known().word0;
        let quiet = locked.quiet(self);
        let was = Entry { word0, word1: quiet.view() };
        self.release(quiet, was);
        was
    }

    /// Unlinks and frees an entry.
    #[inline(always)]
    pub(in crate::hash) fn release(&self, quiet: Quiet<'m>, was: Entry) {
        // An entry for a device is in no list, and one that is in a list has sizes.
        let list = was.pages().and_then(|pages| self.reverse.list(was.word1, pages));
        if let Some(list) = list.filter(|_| !is_device(was.word1)) {
            list.lock().unlink(quiet.index());
        }
        quiet.free();
    }

    /// Takes up to four entries away with one flush. On [`Refusal::Busy`] the same list is to be given again: what was done is not done twice.
    ///
    /// # Errors
    /// [`Refusal::Parameter`] if a request was none, and those behind it were not looked at; [`Refusal::Busy`].
    pub fn bulk_remove(&self, bulk: &mut Bulk) -> Result<(), Refusal> {
        let mut batch = Batch { table: self, hidden: Vec::new(), of: Vec::new() };
        let mut end = Ok(());
        while let Some(at) = bulk.next() {
            match self.request(&mut batch, bulk, at) {
                Ok(()) => bulk.done += 1,
                Err(refusal) => {
                    end = Err(refusal);
                    break;
                }
            }
        }
        batch.finish(bulk);
        end
    }

    /// One request: hidden and put to the batch, or answered.
    fn request<'t>(&'t self, batch: &mut Batch<'t, 'm, T>, bulk: &mut Bulk, at: usize) -> Result<(), Refusal> {
        let word = bulk.words[at];
        let (condition, index) = (condition(word, bulk.words[at + 1]), word & bulk::INDEX);
        let place = self.place(index).filter(|_| word & bulk::TYPE == bulk::REQUEST);
        let (Some(condition), Some(place)) = (condition, place) else {
            bulk.answer(at, bulk::PARAMETER);
            // No more of the list is done.
            bulk.done = Bulk::REQUESTS;
            return Err(Refusal::Parameter);
        };
        let locked = place.try_lock().or_else(|| {
            // It may be one of the batch: nothing is waited for with others' locks held.
            batch.finish(bulk);
            place.lock()
        });
        let locked = locked.ok_or(Refusal::Busy)?;
        if locked.is_free() || !condition.holds(locked.known().papr()) {
            bulk.answer(at, bulk::NOT_FOUND);
            return Ok(());
        }
        batch.add(locked, at);
        Ok(())
    }
}

/// No memory has this: an entry for a device says that it is not cached.
pub(in crate::hash) fn is_device(view: Word1) -> bool {
    view.contains(Word1::INHIBITED)
}

/// Entries that wait for their common flush.
struct Batch<'t, 'm, T> {
    table: &'t Hpt<'m, T>,
    hidden: Vec<Hidden<'m>, BATCH>,
    /// What each was, and whose request it is.
    of: Vec<(Entry, usize), BATCH>,
}

impl<'m, T: Translations> Batch<'_, 'm, T> {
    fn add(&mut self, locked: Locked<'m>, at: usize) {
        let was = locked.guests();
        // There is room: a list has four requests.
        if self.of.push((was, at)).is_ok() {
            let _room = self.hidden.push(locked.hide());
        }
    }

    fn finish(&mut self, bulk: &mut Bulk) {
        let (hidden, of) = (core::mem::take(&mut self.hidden), core::mem::take(&mut self.of));
        for (quiet, (was, at)) in quiet_all(self.table, hidden).zip(of) {
            let recorded = quiet.view() & Word1::RECORDED;
            self.table.release(quiet, was);
            bulk.answer(at, recorded.bits() << bulk::RECORDED_SHIFT);
        }
    }
}

/// The list of H_BULK_REMOVE: four pairs of doublewords, a request and its value (LoPAR 14.5.4.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// The doublewords, as they came in r4 to r11, and as they go back.
    pub words: [u64; 8],
    done: usize,
}

impl Bulk {
    const REQUESTS: usize = 4;

    /// A list that nothing was done of yet.
    #[must_use]
    pub const fn new(words: [u64; 8]) -> Self {
        Self { words, done: 0 }
    }

    /// Where the next request stands.
    fn next(&self) -> Option<usize> {
        let at = 2 * self.done;
        (self.done < Self::REQUESTS && self.words[at] & bulk::TYPE != bulk::END).then_some(at)
    }

    /// Turns a request into its answer: the flags and the entry's number stay.
    fn answer(&mut self, at: usize, answer: u64) {
        self.words[at] = self.words[at] & (bulk::FLAGS | bulk::INDEX) | bulk::RESPONSE | answer;
    }
}

/// The condition of a request, if it is one.
fn condition(word: u64, value: u64) -> Option<Condition> {
    let flags = match (word & bulk::FLAGS) >> bulk::FLAGS_SHIFT {
        0 => 0,
        1 => flags::ANDCOND,
        2 => flags::AVPN,
        _ => return None,
    };
    Some(Condition { flags, value })
}

/// Fields of a request, and of its answer.
mod bulk {
    use super::{bit, mask, shift};

    /// What the doubleword is.
    pub const TYPE: u64 = mask(0, 1);
    /// To be done.
    pub const REQUEST: u64 = bit(1);
    /// Done.
    pub const RESPONSE: u64 = bit(0);
    /// The list ends before this.
    pub const END: u64 = TYPE;
    /// There was nothing, or not what was said.
    pub const NOT_FOUND: u64 = bit(3);
    /// The request is none.
    pub const PARAMETER: u64 = bit(2);
    /// R and C of what was there: bits 4 and 5.
    pub const RECORDED_SHIFT: usize = shift(4) - shift(55);
    /// The condition.
    pub const FLAGS: u64 = mask(6, 7);
    /// Its place.
    pub const FLAGS_SHIFT: usize = shift(7);
    /// The entry's number.
    pub const INDEX: u64 = mask(8, 63);
}

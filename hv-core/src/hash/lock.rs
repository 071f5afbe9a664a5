//! An entry's lock, and the only order in which an entry changes.
//!
//! ```text
//!   Place ── try_lock ──► Locked ── hide ──► Hidden ── flush ──► Quiet ── free, show, drop: absent ──► Place
//!     │                     │  └── quiet (is absent or free) ───────▲
//!     │                     └── drop: as it was                    │
//!     └── try_lock_free ───────────────────────────────────────────┘
//! ```
//!
//! * [`Locked`]: nobody else changes the entry; hardware may use it, and may set R and C.
//! * [`Hidden`]: V was cleared; hardware may still use what it has cached, and set R and C.
//! * [`Quiet`]: the flush is complete, R and C are in the view. Only now doubleword 1 may change.

use super::machine::Translations;
use super::table::Hpt;
use crate::sync::{AtomicU64, Ordering, entry, relax};
use heapless::Vec;
use ppc64_arch::hash::tlbie::Operands;
use ppc64_arch::hash::{Entry, Word0, Word1};

/// The lock, one of the two software bits that PAPR keeps from guests.
pub(super) const LOCK: Word0 = Word0::SW0;
/// The guest has an entry here, hardware has not.
pub(super) const ABSENT: Word0 = Word0::SW1;
/// What of doubleword 0 is the guest's.
pub(super) const GUESTS: Word0 = Word0::NAME.union(Word0::SW2).union(Word0::SW3);
/// How often a lock is tried for before its holder is left to itself.
const PATIENCE: usize = if cfg!(loom) { 2 } else { 1000 };
/// Entries that are flushed at once.
pub(super) const BATCH: usize = 16;

/// A place in the table, and its side.
#[derive(Clone, Copy, Debug)]
pub struct Place<'t> {
    index: u64,
    words: &'t [AtomicU64; 2],
    side: &'t [AtomicU64; 2],
}

/// What was seen of an entry without its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Glance {
    pub index: u64,
    pub word0: Word0,
    pub view: Word1,
}

impl<'t> Place<'t> {
    /// The place with these two doublewords and this side.
    pub(super) const fn new(index: u64, words: &'t [AtomicU64; 2], side: &'t [AtomicU64; 2]) -> Self {
        Self { index, words, side }
    }

    /// Its number.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// Doubleword 0. Acquire: pairs with the release of whoever gave the lock back, or shows that somebody has it.
    #[inline]
    pub(super) fn word0(self) -> Word0 {
        let word0 = self.peek();
        entry::acquire();
        word0
    }

    /// Doubleword 0 for whoever is not interested in the rest, or calls [`entry::acquire`] if that turns out.
    #[inline]
    pub(super) fn peek(self) -> Word0 {
        Word0::from_bits_retain(entry::follow(&self.words[0]))
    }

    /// Doubleword 1. Relaxed: under the lock only hardware writes it.
    #[inline]
    fn word1(self) -> Word1 {
        Word1::from_bits_retain(entry::load(&self.words[1]))
    }

    /// The guest's view. Acquire: for who reads it without the lock, before looking at doubleword 0 again.
    #[inline]
    fn view(self) -> Word1 {
        Word1::from_bits_retain(self.side[0].load(Ordering::Acquire))
    }

    /// The guest's view for whoever has the lock. Relaxed: nobody else writes it, and the lock brought what its last holder wrote.
    #[inline]
    fn own_view(self) -> Word1 {
        Word1::from_bits_retain(self.side[0].load(Ordering::Relaxed))
    }

    /// Release: what was done before is seen by whoever sees this.
    #[inline]
    fn store_word0(self, word: Word0) {
        entry::store_release(&self.words[0], word.bits());
    }

    /// What stands here; `None` if it is free, or changed while it was looked at.
    #[inline]
    pub(super) fn glance(self, word0: Word0) -> Option<Glance> {
        let view = self.view();
        (self.word0() == word0).then_some(Glance { index: self.index, word0, view })
    }

    /// An entry that was hidden and [left locked](Hidden::leave).
    pub(super) fn left_hidden(self) -> Option<Hidden<'t>> {
        let word0 = self.word0();
        let left = word0.contains(LOCK.union(ABSENT));
        left.then(|| Hidden { locked: Locked { place: self, word0: word0.difference(LOCK) }, owed: true })
    }

    /// What stands here, locked or not. Name and view may be of two entries, unless something keeps them.
    pub(super) fn seen(self) -> Entry {
        Entry { word0: self.word0(), word1: self.view() }
    }

    /// Takes the lock, if nobody has it.
    #[inline]
    pub(super) fn try_lock(self) -> Option<Locked<'t>> {
        // What it says counts only if the comparison finds it again.
        let word0 = Word0::from_bits_retain(entry::load(&self.words[0]));
        if word0.contains(LOCK) { None } else { self.lock_as(word0, entry::in_memory(word0.bits())) }
    }

    /// Takes the lock of a place that is free, if it is and nobody has it. Hardware has nothing of such a place.
    #[inline]
    pub(super) fn try_lock_free(self) -> Option<Quiet<'t>> {
        Some(Quiet { locked: self.lock_as(Word0::empty(), 0)?, recorded: Word1::empty() })
    }

    /// Takes the lock if doubleword 0 is `word0`, `from` in memory.
    #[inline]
    fn lock_as(self, word0: Word0, from: u64) -> Option<Locked<'t>> {
        let to = from | LOCK.bits().to_be();
        // Acquire: everything that the last holder did, and knew. Release: an eviction's turn at the lock is seen by a fault that has the next one, with what was done before it.
        self.words[0].compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        Some(Locked { place: self, word0 })
    }

    /// Takes the lock, or gives up after a while: its holder may be waiting for a flush.
    #[inline]
    pub(super) fn lock(self) -> Option<Locked<'t>> {
        self.try_lock().or_else(|| self.lock_patiently())
    }

    #[cold]
    #[inline(never)]
    fn lock_patiently(self) -> Option<Locked<'t>> {
        for _ in 1..PATIENCE {
            relax();
            if let Some(locked) = self.try_lock() {
                return Some(locked);
            }
        }
        None
    }
}

/// An entry that nobody else changes. Dropped, it is again what it was.
#[derive(Debug)]
#[must_use = "a lock that is dropped at once protects nothing"]
pub struct Locked<'t> {
    place: Place<'t>,
    /// What it is when the lock is given back.
    word0: Word0,
}

impl Drop for Locked<'_> {
    #[inline]
    fn drop(&mut self) {
        self.place.store_word0(self.word0);
    }
}

impl<'t> Locked<'t> {
    /// Its number.
    pub(super) const fn index(&self) -> u64 {
        self.place.index
    }

    /// Doubleword 0 without the lock.
    pub(super) const fn word0(&self) -> Word0 {
        self.word0
    }

    /// The guest has nothing here.
    pub(super) const fn is_free(&self) -> bool {
        self.word0.is_empty()
    }

    /// Hardware uses it.
    pub(super) const fn is_shown(&self) -> bool {
        self.word0.contains(Word0::VALID)
    }

    /// The guest's view, with what hardware has recorded so far.
    #[inline]
    pub(super) fn view(&self) -> Word1 {
        let recorded = if self.is_shown() { self.shown() & Word1::RECORDED } else { Word1::empty() };
        self.place.own_view() | recorded
    }

    /// Changes R and C of the view alone. Release: who sees it without the lock sees after it that the lock was taken.
    #[inline]
    pub(super) fn set_view(&self, view: Word1) {
        self.place.side[0].store(view.bits(), Ordering::Release);
    }

    /// What hardware reads as doubleword 1 of an entry that is shown.
    #[inline]
    pub(super) fn shown(&self) -> Word1 {
        self.place.word1()
    }

    /// The entry as the guest has it.
    #[inline]
    pub(super) fn guests(&self) -> Entry {
        Entry { word1: self.view(), ..self.known() }
    }

    /// The entry as the guest has it, but for what hardware has recorded since it was shown.
    #[inline]
    pub(super) fn known(&self) -> Entry {
        let valid = if self.is_free() { Word0::empty() } else { Word0::VALID };
        Entry { word0: self.word0 & GUESTS | valid, word1: self.place.own_view() }
    }

    /// Clears V. What hardware has cached of it is still to be flushed.
    #[inline]
    pub(super) fn hide(mut self) -> Hidden<'t> {
        let owed = self.is_shown();
        if owed {
            self.word0 = (self.word0 & GUESTS) | ABSENT;
            self.place.store_word0(self.word0 | LOCK);
        }
        Hidden { locked: self, owed }
    }

    /// Clears V and flushes: an entry that was not shown owes nothing.
    #[inline]
    pub(super) fn quiet<T: Translations>(self, table: &Hpt<'_, T>) -> Quiet<'t> {
        if !self.is_shown() {
            return Quiet { locked: self, recorded: Word1::empty() };
        }
        let hidden = self.hide();
        hidden.flush(table);
        hidden.merge()
    }
}

/// An entry whose V was cleared.
#[derive(Debug)]
#[must_use = "what was hidden has to be flushed"]
pub struct Hidden<'t> {
    locked: Locked<'t>,
    owed: bool,
}

impl<'t> Hidden<'t> {
    #[inline(always)]
    fn flush<T: Translations>(&self, table: &Hpt<'_, T>) {
        if self.owed {
            table.hardware.forget(&[self.operands(table)]);
        }
    }

    /// Leaves it locked and hidden, for whoever has the table alone and finds it [again](Place::left_hidden) when all of them were flushed together.
    pub(super) fn leave(self) {
        core::mem::forget(self);
    }

    #[inline(always)]
    fn operands<T: Translations>(&self, table: &Hpt<'_, T>) -> Operands {
        let entry = Entry { word0: self.locked.word0, word1: self.locked.place.own_view() };
        // An entry whose sizes cannot be told is one that nobody wrote: memory gone bad.
        table.operands(self.locked.index(), entry).unwrap_or_else(|| table.everything())
    }

    /// Takes over what hardware recorded, which it does no more.
    #[inline]
    pub(super) fn merge(self) -> Quiet<'t> {
        let recorded = if self.owed { self.locked.place.word1() & Word1::RECORDED } else { Word1::empty() };
        let locked = self.locked;
        locked.set_view(locked.place.own_view() | recorded);
        Quiet { locked, recorded }
    }
}

/// Flushes many at once, and hands each on. The flush is one: so much is hidden when it begins, and nothing of it is used when it ends.
pub(super) fn quiet_all<'t, T: Translations>(
    table: &Hpt<'_, T>,
    hidden: Vec<Hidden<'t>, BATCH>,
) -> impl Iterator<Item = Quiet<'t>> {
    let owed = hidden.iter().filter(|hidden| hidden.owed);
    let operands: Vec<_, BATCH> = owed.map(|hidden| hidden.operands(table)).collect();
    if !operands.is_empty() {
        table.hardware.forget(&operands);
    }
    hidden.into_iter().map(Hidden::merge)
}

/// An entry that no hardware uses, and nobody else changes. Dropped, it is absent, or free if it was.
#[derive(Debug)]
#[must_use = "an entry that is quiet is to become something"]
pub struct Quiet<'t> {
    locked: Locked<'t>,
    /// R and C as hardware set them while it was shown.
    recorded: Word1,
}

impl<'t> Quiet<'t> {
    /// Its number.
    pub(super) const fn index(&self) -> u64 {
        self.locked.index()
    }

    /// What hardware recorded while it was shown.
    pub(super) const fn recorded(&self) -> Word1 {
        self.recorded
    }

    /// The guest's view: all that is known.
    pub(super) fn view(&self) -> Word1 {
        self.locked.place.own_view()
    }

    /// Changes the guest's view.
    pub(super) fn set_view(&self, view: Word1) {
        self.locked.set_view(view);
    }

    /// Gives a free entry to the guest. Its name stands there from now on, still locked.
    #[inline]
    pub(super) fn claim(&mut self, word0: Word0, view: Word1) {
        self.set_view(view);
        self.locked.word0 = (word0 & GUESTS) | ABSENT;
        self.locked.place.store_word0(self.locked.word0 | LOCK);
    }

    /// Valid for both: doubleword 1 first, then doubleword 0 with V, when the lock is given back (ISA 3.1B Book III 6.10.1, "Adding a Page Table Entry").
    #[inline]
    pub(super) fn show(mut self, word1: Word1) {
        entry::store(&self.locked.place.words[1], word1.bits());
        self.locked.word0 = (self.locked.word0 & GUESTS) | Word0::VALID;
    }

    /// Nobody's any more. It has been unlinked from the reverse map.
    #[inline]
    pub(super) fn free(mut self) {
        self.set_view(Word1::empty());
        entry::store(&self.locked.place.words[1], 0);
        self.locked.word0 = Word0::empty();
    }
}

//! A hash guest's table, and how another one takes its place.
//!
//! ```text
//!   state: which of two cells is present, closed?
//!
//!   calls, faults     pin ─ state ─┬─ open ───► work with the present cell ─ unpin
//!                                  └─ closed ─► busy: asked again
//!   a commit          mutation lock ─ close ─ grace ─ hide all, move what stays, exchange, tell hardware ─ open
//! ```
//!
//! Who pins before the state is closed is waited for by the grace period; who comes later is turned away. So whoever commits (or empties) has both cells alone, and nobody holds a reference into the table
//! that goes. Evictions are made by who has the mutation lock, or is pinned by a fault of the space, so that they and a commit exclude each other. Between a fault's look and its commit nothing is pinned:
//! it compares all that it relies on, in whichever table is present then.

use super::calls::{Bulk, Four, Recorded, Refusal};
use super::fault::{Fault, Look, Outcome, patiently};
use super::machine::{Backing, Kind, Page, Translations};
use super::rehash::Full;
use super::resize::Preparation;
use super::table::{Hpt, LARGEST, Misfit, Parts};
use crate::mmu::{Access, Hashed, Resolution};
use crate::sync::{AtomicU64, Lock, Ordering, UnsafeCell};
use core::fmt::{self, Debug, Formatter};
use ppc64_arch::addr::GuestReal;
use ppc64_arch::hash::{PageSize, PaprEntry, Shape, pate};

/// Memory for tables.
pub trait HptMemory<'m>: Debug + Sync {
    /// The parts of a table of this shape with `heads` heads; what they hold is of no account. `None`: there is no memory for it.
    fn take(&self, shape: Shape, heads: usize) -> Option<Parts<'m>>;

    /// Takes them back: neither hardware nor anybody else uses them any more.
    fn give(&self, parts: Parts<'m>);
}

/// The state: which of the two cells has the present table,
const WHICH: u64 = 1;
/// and whether who comes is turned away.
const CLOSED: u64 = 2;

/// The tables of a hash guest: the present one, and one that is being made.
pub struct Tables<'m, T> {
    hardware: &'m T,
    memory: &'m dyn HptMemory<'m>,
    lpid: u32,
    end: u64,
    /// The largest table that the guest may ask for.
    most: Shape,
    state: AtomicU64,
    /// Doubleword 0 of the partition table entry that names the present table, but for the page size of real mode.
    scoped: AtomicU64,
    cells: [UnsafeCell<Option<Hpt<'m, T>>>; 2],
    /// Held for as long as a call about another size takes.
    pub(super) pending: Lock<Option<Preparation<'m>>>,
}

// SAFETY: 1. A cell is written only by who has the tables to itself (`exchange`, `empty`); everybody else reads it, pinned, after the state said that it may, or keeps that one out.
unsafe impl<T: Sync> Sync for Tables<'_, T> {}
// SAFETY: 1. All that is inside may go to another CPU.
unsafe impl<T: Sync> Send for Tables<'_, T> {}

impl<T> Debug for Tables<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables").field("lpid", &self.lpid).field("end", &self.end).finish_non_exhaustive()
    }
}

/// Why there is no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTable {
    /// There is no memory for it.
    Memory,
    /// The memory that was given for it does not fit.
    Misfit(Misfit),
}

impl<'m, T: Translations> Tables<'m, T> {
    /// An empty table of `shape` for partition `lpid`, whose memory has guest real addresses below `end`.
    ///
    /// # Errors
    /// See [`NoTable`].
    pub fn new(
        hardware: &'m T,
        memory: &'m dyn HptMemory<'m>,
        lpid: u32,
        shape: Shape,
        end: u64,
    ) -> Result<Self, NoTable> {
        if shape.order() > LARGEST {
            return Err(NoTable::Misfit(Misfit::TooLarge));
        }
        let parts = memory.take(shape, Parts::heads_for(end)).ok_or(NoTable::Memory)?;
        let table = Hpt::new(hardware, lpid, parts, end).map_err(|misfit| {
            memory.give(parts);
            NoTable::Misfit(misfit)
        })?;
        let cells = [Some(table), None].map(UnsafeCell::new);
        let (state, scoped) = (AtomicU64::new(0), AtomicU64::new(scoped(parts)));
        let (pending, most) = (Lock::new(None), largest(shape, end));
        Ok(Self { hardware, memory, lpid, end, most, state, scoped, cells, pending })
    }

    /// The present table's size. It is for the guest to be told at its start: who asks while it runs knows only what was.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let _no_commit = self.pending.lock();
        // SAFETY: 1. A commit holds this lock until it has ended.
        unsafe { self.present(|table| table.shape()) }
    }

    /// Where the guest's memory ends.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// The largest table that the guest may have.
    pub(super) const fn most(&self) -> Shape {
        self.most
    }

    /// Works with the present table, closed or not.
    ///
    /// # Safety
    /// Nobody exchanges or empties it meanwhile: the caller has seen to that.
    unsafe fn present<R>(&self, work: impl FnOnce(&Hpt<'m, T>) -> R) -> R {
        // Acquire: the table before the word that says that it is present.
        let state = self.state.load(Ordering::Acquire);
        // SAFETY: 1. passed on to the caller.
        unsafe { self.present_in(state, work) }
    }

    /// The same for whoever has looked at the state already, by an Acquire load.
    ///
    /// # Safety
    /// As for [`present`](Self::present).
    #[inline]
    unsafe fn present_in<R>(&self, state: u64, work: impl FnOnce(&Hpt<'m, T>) -> R) -> R {
        self.cells[(state & WHICH) as usize].with(|cell| {
            // SAFETY: 1. Nobody writes it, by the caller.
            match unsafe { &*cell } {
                Some(table) => work(table),
                // The present cell is never empty.
                None => unreachable!("the present table is there"),
            }
        })
    }

    /// Works with the present table, unless it is being exchanged.
    #[inline]
    fn pinned<B: Backing, R>(&self, backing: &B, work: impl FnOnce(&Hpt<'m, T>) -> R) -> Option<R> {
        let _pin = backing.pin();
        // Acquire: as in `present`. The pin's fence is before it, and pairs with that of the grace period behind `close`: either this sees it closed, or that waits for the pin.
        let state = self.state.load(Ordering::Acquire);
        // SAFETY: 1. An exchange waits for the pin.
        (state & CLOSED == 0).then(|| unsafe { self.present_in(state, work) })
    }

    #[inline]
    fn call<B: Backing, R>(
        &self,
        backing: &B,
        work: impl FnOnce(&Hpt<'m, T>) -> Result<R, Refusal>,
    ) -> Result<R, Refusal> {
        self.pinned(backing, work).unwrap_or(Err(Refusal::Busy))
    }

    /// [`Hpt::enter`].
    ///
    /// # Errors
    /// [`Refusal`].
    #[inline]
    pub fn enter<B: Backing>(&self, backing: &B, flags: u64, index: u64, claim: PaprEntry) -> Result<u64, Refusal> {
        self.call(backing, |table| table.enter(&Pinned(backing), flags, index, claim))
    }

    /// [`Hpt::remove`].
    ///
    /// # Errors
    /// [`Refusal`].
    #[inline]
    pub fn remove<B: Backing>(&self, backing: &B, flags: u64, index: u64, value: u64) -> Result<PaprEntry, Refusal> {
        self.call(backing, |table| table.remove(flags, index, value))
    }

    /// [`Hpt::bulk_remove`].
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn bulk_remove<B: Backing>(&self, backing: &B, bulk: &mut Bulk) -> Result<(), Refusal> {
        self.call(backing, |table| table.bulk_remove(bulk))
    }

    /// [`Hpt::read`].
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn read<B: Backing>(&self, backing: &B, flags: u64, index: u64) -> Result<Four, Refusal> {
        self.call(backing, |table| table.read(flags, index))
    }

    /// [`Hpt::protect`].
    ///
    /// # Errors
    /// [`Refusal`].
    #[inline]
    pub fn protect<B: Backing>(&self, backing: &B, flags: u64, index: u64, value: u64) -> Result<(), Refusal> {
        self.call(backing, |table| table.protect(flags, index, value))
    }

    /// [`Hpt::clear`].
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn clear<B: Backing>(&self, backing: &B, what: Recorded, index: u64) -> Result<u64, Refusal> {
        self.call(backing, |table| table.clear(what, index))
    }

    /// Resolves a storage interrupt: [`Hpt::fault`]. Between the look and the commit nothing is pinned, so the table may be another one then. An entry of it that has the same place, name and view is shown as that
    /// entry says, and the access tried again; any other is none of this fault's.
    #[inline]
    pub fn fault<B: Backing>(&self, backing: &B, fault: &Fault) -> Outcome {
        patiently(|| {
            let wanted = match self.pinned(backing, |table| table.look(&Pinned(backing), fault)) {
                Some(Look::End(outcome)) => return Some(outcome),
                Some(Look::Again) => return None,
                Some(Look::Wanted(wanted)) => wanted,
                None => return Some(Outcome::Busy),
            };
            if let Err(outcome) = wanted.prepare(backing) {
                return Some(outcome);
            }
            self.pinned(backing, |table| table.settle(&Pinned(backing), &wanted))?
        })
    }

    /// The table that `preparation` has made ready.
    pub(super) const fn table(&self, preparation: &Preparation<'m>) -> Hpt<'m, T> {
        Hpt::of_cleared(self.hardware, self.lpid, preparation.parts(), self.end)
    }

    /// Memory for another table.
    pub(super) fn memory_for(&self, shape: Shape) -> Option<Parts<'m>> {
        let parts = self.memory.take(shape, Parts::heads_for(self.end))?;
        if parts.check(self.end).is_err() {
            self.memory.give(parts);
            return None;
        }
        Some(parts)
    }

    /// Gives it back.
    pub(super) fn give(&self, parts: Parts<'m>) {
        self.memory.give(parts);
    }

    /// Puts `next` in the present table's place, with what the guest wants to keep; whichever is not present afterwards is handed back. Hardware has to be told before that one's memory is anybody else's.
    ///
    /// # Safety
    /// The table is closed, a grace period has gone by since, and the caller keeps mutations out: nobody is there.
    pub(super) unsafe fn exchange(&self, next: Hpt<'m, T>) -> Result<Hpt<'m, T>, (Full, Hpt<'m, T>)> {
        // SAFETY: 1. Only the caller is here.
        let moved = unsafe {
            self.present(|table| {
                table.hide_all();
                next.take_over(table)
            })
        };
        if let Err(full) = moved {
            return Err((full, next));
        }
        let state = self.state.load(Ordering::Relaxed);
        let (old, new) = ((state & WHICH) as usize, (state & WHICH ^ WHICH) as usize);
        self.scoped.store(scoped(next.parts()), Ordering::Relaxed);
        // SAFETY: 1. Nobody reads the cell that is not present.
        self.cells[new].with_mut(|cell| unsafe { *cell = Some(next) });
        // Release: the table before the word that says that it is present.
        self.state.store(state ^ WHICH, Ordering::Release);
        // SAFETY: 1. Nor is anybody at this one, by the caller.
        match self.cells[old].with_mut(|cell| unsafe { (*cell).take() }) {
            Some(table) => Ok(table),
            None => unreachable!("the present table is there"),
        }
    }
}

/// What names a table to hardware.
const fn scoped(parts: Parts<'_>) -> u64 {
    pate::partition_scoped(parts.at, parts.shape, PageSize::Size4K)
}

/// The largest table that a guest may ask for: twice what is recommended, as QEMU has it, so that a small guest does not take much; or what it began with.
fn largest(first: Shape, end: u64) -> Shape {
    let twice = Shape::new(Shape::recommended(end).order() + 1).unwrap_or(first);
    let most = if twice > first { twice } else { first };
    Shape::new(LARGEST).filter(|limit| *limit < most).unwrap_or(most)
}

impl<T: Translations> Hashed for Tables<'_, T> {
    fn scoped(&self, medium: bool) -> u64 {
        let real_mode = if medium { PageSize::Size64K } else { PageSize::Size4K };
        // Relaxed: it is asked before the guest begins, and by whoever has exchanged the table.
        self.scoped.load(Ordering::Relaxed) | pate::real_mode(real_mode)
    }

    unsafe fn evict(&self, from: u64, to: u64) {
        // SAFETY: 1. An exchange waits for the caller, or the other way round.
        unsafe {
            self.present(|table| table.evict(from, to));
        }
    }

    fn close(&self) {
        // Relaxed: the grace period's fence is behind it.
        self.state.fetch_or(CLOSED, Ordering::Relaxed);
    }

    fn open(&self) {
        // Release: what was done while it was closed.
        self.state.fetch_and(!CLOSED, Ordering::Release);
    }

    unsafe fn empty(&self) {
        // SAFETY: 1. Only the caller is here.
        unsafe {
            self.present(|table| {
                table.hide_all();
                let parts = table.parts();
                parts.clear(0, parts.words());
            });
        }
    }
}

impl<T> Drop for Tables<'_, T> {
    fn drop(&mut self) {
        if let Some(preparation) = self.pending.lock().take() {
            self.memory.give(preparation.parts());
        }
        for cell in &self.cells {
            // SAFETY: 1. It is ours alone.
            if let Some(table) = cell.with_mut(|cell| unsafe { (*cell).take() }) {
                self.memory.give(table.parts);
            }
        }
    }
}

/// The same memory for who is pinned already.
struct Pinned<'b, B>(&'b B);

impl<B: Backing> Backing for Pinned<'_, B> {
    type Pin<'a>
        = ()
    where
        Self: 'a;

    #[inline]
    fn pin(&self) {}

    #[inline]
    fn largest(&self) -> PageSize {
        self.0.largest()
    }

    #[inline]
    fn kind(&self, at: GuestReal, size: PageSize) -> Kind {
        self.0.kind(at, size)
    }

    #[inline(always)]
    fn look(&self, at: GuestReal, size: PageSize) -> Option<Page> {
        self.0.look(at, size)
    }

    fn prepare(&self, at: GuestReal, size: PageSize, access: Access) -> Resolution {
        self.0.prepare(at, size, access)
    }
}

//! One CPU at one hash guest's memory: the space's [`Seat`], and the guest's tables.

use super::calls::{Bulk, Calls, Four, Recorded, Refusal};
use super::fault::{Fault, Outcome};
use super::machine::{Backing, Kind, Page, Translations};
use super::resize::Unresized;
use super::tables::Tables;
use crate::mmu::pins::Pins;
use crate::mmu::{Access, Cpu, Discipline, Hardware, Resolution, Seat};
use ppc64_arch::addr::{GuestReal, LeafSize};
use ppc64_arch::hash::{PageSize, Pages, PaprEntry};

/// A CPU at a hash guest's space, whose [`Config`](crate::mmu::Config) named these tables.
pub struct HashSeat<'a, 'm, H, T, D: Discipline + 'a = Pins> {
    seat: Seat<'a, 'm, H, D>,
    tables: &'a Tables<'m, T>,
    /// Guest real addresses from here on are no memory.
    end: u64,
}

/// The sizes of page that entries may have: what `ibm,segment-page-sizes` says.
#[must_use]
pub const fn sizes(medium: bool) -> &'static [Pages] {
    if medium { &[Pages::SMALL, Pages::MEDIUM] } else { &[Pages::SMALL] }
}

impl<'a, 'm, H: Hardware, T: Translations, D: Discipline> HashSeat<'a, 'm, H, T, D> {
    /// The CPU of `seat` at `tables`; `None`: its space was not built with these.
    pub fn new(seat: Seat<'a, 'm, H, D>, tables: &'a Tables<'m, T>) -> Option<Self> {
        seat.space().is_hashed_by(tables).then_some(Self { seat, tables, end: tables.end() })
    }

    /// The CPU at the space alone.
    pub const fn seat(&self) -> &Seat<'a, 'm, H, D> {
        &self.seat
    }

    /// Leaves; the CPU can take another seat.
    pub fn leave(self) -> Cpu {
        self.seat.leave()
    }

    /// Resolves a storage interrupt.
    #[inline]
    pub fn fault(&self, fault: &Fault) -> Outcome {
        self.tables.fault(self, fault)
    }
}

impl<'s, H: Hardware, T: Translations, D: Discipline> Backing for HashSeat<'s, '_, H, T, D> {
    type Pin<'a>
        = D::Pin<'s>
    where
        Self: 'a;

    #[inline]
    fn pin(&self) -> D::Pin<'s> {
        self.seat.pin()
    }

    #[inline]
    fn largest(&self) -> PageSize {
        if self.seat.space().granule().last_level() == LeafSize::Size64K { PageSize::Size64K } else { PageSize::Size4K }
    }

    /// Behind the guest's memory may be anything: entries for it are the guest's, and whoever uses one is told that there is nothing.
    #[inline]
    fn kind(&self, at: GuestReal, size: PageSize) -> Kind {
        match at.raw().checked_add(size.bytes()) {
            Some(to) if to <= self.end => Kind::Memory,
            Some(_) if at.raw() >= self.end => Kind::Device,
            _ => Kind::Nothing,
        }
    }

    #[inline(always)]
    fn look(&self, at: GuestReal, size: PageSize) -> Option<Page> {
        let (frame, stores) = self.seat.look(at, size.bytes())?;
        Some(Page { frame, stores })
    }

    fn prepare(&self, at: GuestReal, _: PageSize, access: Access) -> Resolution {
        self.seat.prepare(at, access)
    }
}

impl<H: Hardware, T: Translations, D: Discipline> Calls for HashSeat<'_, '_, H, T, D> {
    #[inline(always)]
    fn enter(&self, flags: u64, index: u64, claim: PaprEntry) -> Result<u64, Refusal> {
        self.tables.enter(self, flags, index, claim)
    }

    #[inline(always)]
    fn remove(&self, flags: u64, index: u64, value: u64) -> Result<PaprEntry, Refusal> {
        self.tables.remove(self, flags, index, value)
    }

    fn bulk_remove(&self, bulk: &mut Bulk) -> Result<(), Refusal> {
        self.tables.bulk_remove(self, bulk)
    }

    fn read(&self, flags: u64, index: u64) -> Result<Four, Refusal> {
        self.tables.read(self, flags, index)
    }

    #[inline(always)]
    fn protect(&self, flags: u64, index: u64, value: u64) -> Result<(), Refusal> {
        self.tables.protect(self, flags, index, value)
    }

    fn clear(&self, what: Recorded, index: u64) -> Result<u64, Refusal> {
        self.tables.clear(self, what, index)
    }

    fn prepare_resize(&self, flags: u64, shift: u64) -> Result<(), Unresized> {
        self.tables.prepare(flags, shift)
    }

    fn commit_resize(&self, flags: u64, shift: u64) -> Result<(), Unresized> {
        let space = self.seat.space();
        // SAFETY: 1. `alone` closes the tables that the space was built with, and with them every slot; it has the lock, and waits for every pin. 2. The partition table entry is written and flushed.
        unsafe { self.tables.commit(flags, shift, |work| space.alone(work), || space.set_process_table(0)) }
    }
}

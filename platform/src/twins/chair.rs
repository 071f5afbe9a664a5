//! One CPU at one twin's memory, whichever kind of guest that is: so the run loop is there once for both.

use crate::boot::refusal::Refusal;
use crate::crew::Home;
use crate::hardware::Machine as Hardware;
use alloc::boxed::Box;
use hv_core::guest::host::{HashAnswer, Upkeep, UpkeepError};
use hv_core::guest::{FaultHandler, GuestMemory, MemoryError};
use hv_core::hash::{self, Calls, HashSeat};
use hv_core::mmu::stats::Stats;
use hv_core::mmu::{Cpu, Resolution, Seat, StorageFault};
use ppc64_arch::addr::GuestReal;

/// A seat that stays on the heap: the machine is switched off when the twins have ended.
pub enum Chair<'m> {
    /// At a radix guest.
    Radix(&'m Seat<'m, 'm, Hardware>),
    /// At a hash guest.
    Hash(&'m HashSeat<'m, 'm, Hardware, Hardware>),
}

impl<'m> Chair<'m> {
    /// Seats `cpu` at a twin's home.
    ///
    /// # Errors
    /// [`Refusal::NoFrames`]: the tables are not the space's, which cannot be.
    #[inline(never)]
    pub fn new(Home { space, tables }: Home<'m, 'm>, cpu: Cpu) -> Result<Self, Refusal> {
        let seat = Seat::new(space, cpu);
        let Some(tables) = tables else { return Ok(Self::Radix(Box::leak(Box::new(seat)))) };
        let seat = HashSeat::new(seat, tables).ok_or(Refusal::NoFrames)?;
        Ok(Self::Hash(Box::leak(Box::new(seat))))
    }

    /// What the memory core has counted here.
    pub fn counted(&self) -> Stats {
        match self {
            Self::Radix(seat) => seat.counted(),
            Self::Hash(seat) => seat.seat().counted(),
        }
    }

    fn memory(&self) -> &dyn GuestMemory {
        match *self {
            Self::Radix(seat) => seat,
            Self::Hash(seat) => seat,
        }
    }

    fn faults(&self) -> &dyn FaultHandler {
        match *self {
            Self::Radix(seat) => seat,
            Self::Hash(seat) => seat,
        }
    }
}

impl FaultHandler for Chair<'_> {
    fn fault(&self, fault: &StorageFault) -> Resolution {
        self.faults().fault(fault)
    }

    fn hash_fault(&self, fault: &hash::Fault) -> HashAnswer {
        self.faults().hash_fault(fault)
    }

    fn entering(&self) {
        self.faults().entering();
    }

    fn left(&self) {
        self.faults().left();
    }

    fn forbid_fetch(&self, page: GuestReal) -> bool {
        self.faults().forbid_fetch(page)
    }

    fn wait(&self, vcpu: u32) {
        self.faults().wait(vcpu);
    }

    fn unwait(&self, vcpu: u32) {
        self.faults().unwait(vcpu);
    }
}

impl GuestMemory for Chair<'_> {
    fn read(&self, at: GuestReal, into: &mut [u8]) -> Result<(), MemoryError> {
        self.memory().read(at, into)
    }

    fn write(&self, at: GuestReal, from: &[u8]) -> Result<(), MemoryError> {
        self.memory().write(at, from)
    }

    fn zero(&self, at: GuestReal, bytes: u64) -> Result<(), MemoryError> {
        self.memory().zero(at, bytes)
    }

    fn contains(&self, at: GuestReal, bytes: u64) -> bool {
        self.memory().contains(at, bytes)
    }

    fn set_process_table(&self, dw1: u64) {
        self.memory().set_process_table(dw1);
    }

    fn hash(&self) -> Option<&dyn Calls> {
        self.memory().hash()
    }

    fn upkeep(&self, what: Upkeep, from: GuestReal, bytes: u64) -> Result<u64, UpkeepError> {
        self.memory().upkeep(what, from, bytes)
    }

    fn make_fetchable(&self, at: GuestReal, bytes: u64) {
        self.memory().make_fetchable(at, bytes);
    }
}

//! Where the two halves meet: a CPU's [`Seat`] at a guest's memory is what the guest half calls its [`GuestMemory`] and its [`FaultHandler`].

use crate::guest::{FaultHandler, GuestMemory, HashAnswer, MemoryError, Upkeep, UpkeepError};
use crate::hash::{self, Calls, HashSeat, Translations};
use crate::mmu::{AccessError, Cpu, Hardware, LogError, Resolution, Seat, Space, StorageFault};
use ppc64_arch::addr::GuestReal;

impl<H: Hardware> FaultHandler for Seat<'_, '_, H> {
    #[inline]
    fn fault(&self, fault: &StorageFault) -> Resolution {
        Seat::fault(self, fault)
    }

    #[inline]
    fn entering(&self) {
        self.enter();
    }

    #[inline]
    fn left(&self) {
        self.leave_guest();
    }

    fn forbid_fetch(&self, page: GuestReal) -> bool {
        !self.is_fetchable(page) || self.with_cpu(|space, cpu| space.forbid_fetch(cpu, page)).is_ok()
    }

    fn wait(&self, vcpu: u32) {
        Seat::wait(self, vcpu);
    }

    fn unwait(&self, vcpu: u32) {
        Seat::unwait(self, vcpu);
    }
}

impl<H: Hardware> GuestMemory for Seat<'_, '_, H> {
    fn read(&self, at: GuestReal, into: &mut [u8]) -> Result<(), MemoryError> {
        Ok(Seat::read(self, at, into)?)
    }

    fn write(&self, at: GuestReal, from: &[u8]) -> Result<(), MemoryError> {
        Ok(Seat::write(self, at, from)?)
    }

    fn zero(&self, at: GuestReal, bytes: u64) -> Result<(), MemoryError> {
        Ok(Seat::zero(self, at, bytes)?)
    }

    fn contains(&self, at: GuestReal, bytes: u64) -> bool {
        Seat::contains(self, at, bytes)
    }

    fn set_process_table(&self, dw1: u64) {
        self.space().set_process_table(dw1);
    }

    fn upkeep(&self, what: Upkeep, from: GuestReal, bytes: u64) -> Result<u64, UpkeepError> {
        let to = from.checked_add(bytes).ok_or(UpkeepError::NoSlot)?;
        self.with_cpu(|space, cpu| match what {
            Upkeep::Unmap => space.unmap(cpu, from, to).map(|()| 0).map_err(|_| UpkeepError::OutOfMemory),
            Upkeep::PageOut => Ok(space.page_out_range(cpu, from, to)),
            Upkeep::StartLog | Upkeep::Harvest | Upkeep::StopLog => log(space, cpu, what, from),
        })
    }

    fn make_fetchable(&self, at: GuestReal, bytes: u64) {
        Seat::make_fetchable(self, at, bytes);
    }
}

impl<H: Hardware, T: Translations> FaultHandler for HashSeat<'_, '_, H, T> {
    /// No hardware walks the space's tree: what says so is broken.
    fn fault(&self, _: &StorageFault) -> Resolution {
        Resolution::MachineError
    }

    #[inline]
    fn hash_fault(&self, fault: &hash::Fault) -> HashAnswer {
        HashSeat::fault(self, fault)
    }

    fn wait(&self, vcpu: u32) {
        self.seat().wait(vcpu);
    }

    fn unwait(&self, vcpu: u32) {
        self.seat().unwait(vcpu);
    }
}

impl<H: Hardware, T: Translations> GuestMemory for HashSeat<'_, '_, H, T> {
    fn read(&self, at: GuestReal, into: &mut [u8]) -> Result<(), MemoryError> {
        GuestMemory::read(self.seat(), at, into)
    }

    fn write(&self, at: GuestReal, from: &[u8]) -> Result<(), MemoryError> {
        GuestMemory::write(self.seat(), at, from)
    }

    fn zero(&self, at: GuestReal, bytes: u64) -> Result<(), MemoryError> {
        GuestMemory::zero(self.seat(), at, bytes)
    }

    fn contains(&self, at: GuestReal, bytes: u64) -> bool {
        self.seat().contains(at, bytes)
    }

    /// It has none.
    fn set_process_table(&self, _: u64) {}

    fn hash(&self) -> Option<&dyn Calls> {
        Some(self)
    }

    fn upkeep(&self, what: Upkeep, from: GuestReal, bytes: u64) -> Result<u64, UpkeepError> {
        self.seat().upkeep(what, from, bytes)
    }

    fn make_fetchable(&self, at: GuestReal, bytes: u64) {
        self.seat().make_fetchable(at, bytes);
    }
}

/// The dirty log of the slot that `at` lies in. Its content is nobody's business but how much there is.
fn log<H: Hardware>(space: &Space<'_, H>, cpu: &mut Cpu, what: Upkeep, at: GuestReal) -> Result<u64, UpkeepError> {
    let base = space.slot_base(at).ok_or(UpkeepError::NoSlot)?;
    Ok(match what {
        Upkeep::StartLog => space.start_log(cpu, base).map(|()| 0),
        Upkeep::StopLog => space.stop_log(cpu, base).map(|()| 0),
        _ => space.harvest(cpu, base, |_, _| {}),
    }?)
}

impl From<LogError> for UpkeepError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::NoSuchSlot => Self::NoSlot,
            LogError::AlreadyOn | LogError::Off => Self::NotNow,
            LogError::OutOfMemory => Self::OutOfMemory,
        }
    }
}

impl From<AccessError> for MemoryError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Outside => Self::Outside,
            AccessError::ReadOnly => Self::ReadOnly,
            AccessError::OutOfMemory | AccessError::Stuck => Self::OutOfMemory,
        }
    }
}

//! Where the two halves meet: a CPU's [`Seat`] at a guest's memory is what the guest half calls its [`GuestMemory`] and its [`FaultHandler`].

use crate::guest::{FaultHandler, GuestMemory, MemoryError};
use crate::mmu::{AccessError, Hardware, Resolution, Seat, StorageFault};
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

    fn make_fetchable(&self, at: GuestReal, bytes: u64) {
        Seat::make_fetchable(self, at, bytes);
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

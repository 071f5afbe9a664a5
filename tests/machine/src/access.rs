//! Loads, stores and fetches of a guest on one of the CPUs.

use crate::recording::Recording;
use crate::{Arena, Machine, held};
use hv_core::mmu::Access;
use hv_core::sync::Ordering;
use ppc64_arch::addr::{EffAddr, GuestReal, HostReal, LeafSize};

/// A storage interrupt of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was tried.
    pub access: Access,
    /// Where.
    pub at: GuestReal,
    /// There is a translation, but it forbids this.
    pub protection: bool,
}

impl From<Fault> for hv_core::mmu::StorageFault {
    fn from(fault: Fault) -> Self {
        Self { access: fault.access, ea: EffAddr::new(fault.at.raw()), claim: fault.at, table_walk: false, cause: None }
    }
}

impl<const BROADCAST: bool> Machine<BROADCAST> {
    /// What CPU `cpu` reaches when partition `lpid` accesses `at`: a host address, or the storage interrupt. Where other CPUs can take the page away meanwhile, use
    /// [`load`](Self::load) and [`store`](Self::store).
    ///
    /// # Errors
    /// The fault as the registers would show it.
    ///
    /// # Panics
    /// If the CPU meets what hardware does not bear: a multi-hit, or a tree that it does not take.
    pub fn access(&self, cpu: usize, lpid: u32, at: GuestReal, access: Access) -> Result<HostReal, Fault> {
        self.with_access(cpu, lpid, at, access, |_, host| host)
    }

    /// Loads `into.len()` bytes, which lie in one page.
    ///
    /// # Errors
    /// The storage interrupt.
    pub fn load(&self, cpu: usize, lpid: u32, at: GuestReal, into: &mut [u8]) -> Result<(), Fault> {
        check_one_page(at, into.len());
        self.with_access(cpu, lpid, at, Access::Read, |arena, host| arena.read(host, into))
    }

    /// Stores bytes, which lie in one page.
    ///
    /// # Errors
    /// The storage interrupt.
    pub fn store(&self, cpu: usize, lpid: u32, at: GuestReal, from: &[u8]) -> Result<(), Fault> {
        check_one_page(at, from.len());
        self.with_access(cpu, lpid, at, Access::Write, |arena, host| arena.write(host, from))
    }

    /// Loads an aligned doubleword, little-endian.
    ///
    /// # Errors
    /// The storage interrupt.
    pub fn load_u64(&self, cpu: usize, lpid: u32, at: GuestReal) -> Result<u64, Fault> {
        self.with_access(cpu, lpid, at, Access::Read, Arena::read_u64)
    }

    /// Stores an aligned doubleword, little-endian.
    ///
    /// # Errors
    /// The storage interrupt.
    pub fn store_u64(&self, cpu: usize, lpid: u32, at: GuestReal, value: u64) -> Result<(), Fault> {
        self.with_access(cpu, lpid, at, Access::Write, |arena, host| arena.write_u64(host, value))
    }

    /// Translates and does `work` before any flush that names the translation can complete, as an access of a real CPU.
    fn with_access<T>(
        &self,
        cpu: usize,
        lpid: u32,
        at: GuestReal,
        access: Access,
        work: impl FnOnce(&Arena, HostReal) -> T,
    ) -> Result<T, Fault> {
        let partition = self.partition(lpid);
        let recording = Recording::from_raw(self.recording.load(Ordering::Relaxed));
        let mut state = held(&self.cpus[cpu]);
        let (used, walked) = state.translate(partition, recording, at, access)?;
        let done = work(&self.arena, used.host(at));
        drop(state);
        if BROADCAST && walked {
            self.check_agreement(cpu, &used);
        }
        Ok(done)
    }
}

fn check_one_page(at: GuestReal, bytes: usize) {
    assert!(at.offset_in(LeafSize::Size4K) + bytes as u64 <= LeafSize::Size4K.bytes(), "{at} and {bytes} bytes");
}

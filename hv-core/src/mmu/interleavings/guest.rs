//! What CPUs do in the models: as the guest, through cached translations and storage interrupts, or as the hypervisor on the guest's behalf.

use super::account::Seat;
use super::machine::Machine;
use crate::mmu::{Access, AccessError, Hardware, Reflect, Resolution, StorageFault};
use crate::sync::relax;
use ppc64_arch::addr::{EffAddr, GuestReal, HostReal};

/// How an access ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The load saw this.
    Loaded(u64),
    /// The store is in memory.
    Stored(u64),
    /// It was the guest's error.
    Refused,
}

/// One access of the guest on this CPU, storage interrupts and all.
fn guest<const B: bool>(
    seat: &Seat<B>,
    at: u64,
    access: Access,
    work: impl Fn(&Machine<B>, HostReal) -> Outcome,
) -> Outcome {
    let at = GuestReal::new(at);
    let (hardware, root) = (&seat.space().memory().hardware, seat.space().top());
    let cpu = seat.with_cpu(|_, cpu| cpu.id());
    loop {
        seat.enter();
        let outcome = hardware.access(cpu, root, at, access, &work);
        seat.leave_guest();
        if let Some(outcome) = outcome {
            return outcome;
        }
        let fault = StorageFault { access, ea: EffAddr::new(0), claim: at, table_walk: false, cause: None };
        match seat.fault(&fault) {
            Resolution::Resume => {}
            Resolution::Wait(_) => relax(),
            Resolution::Reflect(Reflect::NoSlot | Reflect::ReadOnly) => return Outcome::Refused,
            other => panic!("{other:?}"),
        }
    }
}

/// The guest loads the doubleword at `at`.
pub fn load<const B: bool>(seat: &Seat<B>, at: u64) -> Outcome {
    guest(seat, at, Access::Read, loaded)
}

/// The guest fetches from `at`, and sees what it fetches.
pub fn fetch<const B: bool>(seat: &Seat<B>, at: u64) -> Outcome {
    guest(seat, at, Access::Fetch, loaded)
}

fn loaded<const B: bool>(model: &Machine<B>, host: HostReal) -> Outcome {
    let mut bytes = [0; 8];
    // SAFETY: 1. The model finds it if the frame is not the guest's any more.
    unsafe { model.read(host, &mut bytes) };
    Outcome::Loaded(u64::from_le_bytes(bytes))
}

/// The guest stores `value` at `at`.
pub fn store<const B: bool>(seat: &Seat<B>, at: u64, value: u64) -> Outcome {
    guest(seat, at, Access::Write, move |model, host| {
        // SAFETY: 1. As in `loaded`.
        unsafe { model.write(host, &value.to_le_bytes()) };
        Outcome::Stored(value)
    })
}

/// The hypervisor reads the doubleword at `at`.
pub fn read<const B: bool>(seat: &Seat<B>, at: u64) -> Outcome {
    let mut bytes = [0; 8];
    match seat.read(GuestReal::new(at), &mut bytes) {
        Ok(()) => Outcome::Loaded(u64::from_le_bytes(bytes)),
        Err(AccessError::Outside | AccessError::ReadOnly) => Outcome::Refused,
        Err(other) => panic!("{other:?}"),
    }
}

/// The hypervisor writes `value` at `at`.
pub fn write<const B: bool>(seat: &Seat<B>, at: u64, value: u64) -> Outcome {
    match seat.write(GuestReal::new(at), &value.to_le_bytes()) {
        Ok(()) => Outcome::Stored(value),
        Err(AccessError::Outside | AccessError::ReadOnly) => Outcome::Refused,
        Err(other) => panic!("{other:?}"),
    }
}

/// What the guest would see at `at`.
pub fn contents<const B: bool>(seat: &Seat<B>, at: u64) -> u64 {
    match read(seat, at) {
        Outcome::Loaded(value) => value,
        other => panic!("{other:?}"),
    }
}

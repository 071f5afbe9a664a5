//! What CPUs do in the models: as the guest, through cached translations and storage interrupts, or as the hypervisor on the guest's behalf.

use super::harness::Seat;
use super::machine::Machine;
use crate::mmu::{Access, AccessError, Frame, Granule, Hardware, Reflect, Resolution, StorageFault};
use ppc64_arch::addr::{EffAddr, GuestReal, HostReal, LeafSize};

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
            Resolution::Wait(_) => loom::thread::yield_now(),
            Resolution::Reflect(Reflect::NoSlot | Reflect::ReadOnly) => return Outcome::Refused,
            other => panic!("{other:?}"),
        }
    }
}

/// Lets CPU `cpu` cache what the tables say of `at`, as if the guest had been there before.
pub fn warm<const B: bool>(seat: &Seat<B>, cpu: usize, at: u64) {
    let (hardware, root) = (&seat.space().memory().hardware, seat.space().top());
    for access in [Access::Read, Access::Write] {
        // An access that would raise an interrupt caches nothing more.
        let _interrupt = hardware.access(cpu, root, GuestReal::new(at), access, |_, _| ());
    }
}

/// Overwrites the frames that this CPU freed last, as their next owner would: whoever still uses one of them makes loom report a race.
pub fn reuse_what_was_freed<const B: bool>(seat: &Seat<B>) {
    seat.with_cpu(|space, cpu| {
        let (memory, Granule::Fixed(granule)) = (space.memory(), space.granule()) else { unreachable!("a setup") };
        let sizes = [LeafSize::Size4K, LeafSize::Size4K, granule];
        let frames: Vec<Frame> = sizes.iter().filter_map(|size| cpu.frames.take(&memory.pool, *size)).collect();
        for mut frame in frames {
            frame.zero(&memory.hardware);
            cpu.frames.put(&memory.pool, frame);
        }
    });
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

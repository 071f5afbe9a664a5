//! A partition with one virtual CPU.

use crate::{Failure, IMAGE, IMAGE_BYTES, MIB};
use hv_core::mmu::{Access, Config, Cpu, Granule, Memory, Resolution, Seat, SlotSpec, Source, Space};
use machine::{Fault, Machine};
use ppc64_arch::addr::{GuestReal, HostReal};

/// Where a guest's memory of zeros begins; the image is below.
pub const ZEROS: u64 = 4 * MIB;

/// The fault path could not help: why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped(pub Resolution);

/// Partition `lpid`: the image at 0, 8 MiB of zeros from [`ZEROS`] on.
pub fn with_slots(
    memory: &'static Memory<Machine>,
    lpid: u32,
    granule: Granule,
    budget: Option<u64>,
) -> Result<Space<'static, Machine>, Failure> {
    let space = Space::build(memory, lpid, &Config { granule, budget, ..Config::default() })?;
    let image = Source::Image { at: IMAGE, bytes: IMAGE_BYTES };
    for (base, bytes, source) in [(0, IMAGE_BYTES, image), (ZEROS, 8 * MIB, Source::Zero)] {
        let spec = SlotSpec { base: GuestReal::new(base), bytes, source, read_only: false };
        // SAFETY: 1. The image stands in memory that is in no pool, and nobody writes it after `main` did.
        unsafe { space.add_slot(&spec) }?;
    }
    Ok(space)
}

/// What runs in a partition.
pub struct Guest<'a> {
    seat: Seat<'a, 'static, Machine>,
    cpu: usize,
}

impl<'a> Guest<'a> {
    /// On CPU number `cpu` of the machine.
    pub fn new(space: &'a Space<'static, Machine>, cpu: usize) -> Result<Self, Failure> {
        let seated = Cpu::new(cpu).ok_or("there are not that many CPUs")?;
        Ok(Self { seat: Seat::new(space, seated), cpu })
    }

    /// Its memory.
    pub fn space(&self) -> &'a Space<'static, Machine> {
        self.seat.space()
    }

    /// A mutation of its memory, or a look at what was counted.
    pub fn with_cpu<R>(&self, work: impl FnOnce(&Space<'static, Machine>, &mut Cpu) -> R) -> R {
        self.seat.with_cpu(work)
    }

    /// It loads up to 24 bytes of text.
    pub fn text(&self, at: u64) -> Result<String, Stopped> {
        let mut bytes = [0; 24];
        self.run(|hardware, lpid| hardware.load(self.cpu, lpid, GuestReal::new(at), &mut bytes))?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    /// It stores.
    pub fn write(&self, at: u64, bytes: &[u8]) -> Result<(), Stopped> {
        self.run(|hardware, lpid| hardware.store(self.cpu, lpid, GuestReal::new(at), bytes))
    }

    /// Where an address leads it.
    pub fn host(&self, at: u64) -> Result<HostReal, Stopped> {
        self.run(|hardware, lpid| hardware.access(self.cpu, lpid, GuestReal::new(at), Access::Read))
    }

    /// What every hypervisor's run loop comes to: let the guest run, and when a storage interrupt ends that, resolve it and let it try again.
    fn run<T>(&self, mut access: impl FnMut(&Machine, u32) -> Result<T, Fault>) -> Result<T, Stopped> {
        loop {
            self.seat.enter();
            let done = access(&self.space().memory().hardware, self.space().lpid());
            self.seat.leave_guest();
            let fault = match done {
                Ok(done) => return Ok(done),
                Err(fault) => fault,
            };
            match self.seat.fault(&fault.into()) {
                Resolution::Resume => {}
                // Another CPU is at work on that page. A run loop would let another virtual CPU run.
                Resolution::Wait(_) => std::hint::spin_loop(),
                other => return Err(Stopped(other)),
            }
        }
    }

    /// It runs no more; the CPU is free for another one.
    pub fn end(self) -> Cpu {
        self.seat.leave()
    }
}

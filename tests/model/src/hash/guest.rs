//! A guest with one processor: it makes calls by its registers, and faults.

use super::LPID;
use super::hardware::{Access, Hardware};
use super::model::Registers;
use super::regions::{END, Regions};
use hv_core::guest::hcall::{Call, handle};
use hv_core::guest::machine::Settings;
use hv_core::guest::vcpu::Entry;
use hv_core::guest::{Counters, Flow, GuestMemory, Host, Machine, MemoryError, Vcpu};
use hv_core::hash::calls::Four;
use hv_core::hash::{Bulk, Calls, Fault, Outcome, Recorded, Refusal, Tables, Unresized};
use hv_core::mmu::{self, Hashed};
use ppc64_arch::addr::{EffAddr, GuestReal};
use ppc64_arch::hash::{PaprEntry, Shape, VsidWord};
use ppc64_arch::trap::Msr;

/// Where guests begin.
const ENTRY: Entry = Entry { nip: 0x1000, fdt: 0, little_endian: true };
/// How often an access is tried before it is said that it gets nowhere: each of table, page, R and C, and once more.
const TRIES: u32 = 5;

/// One CPU at a guest's tables and memory: what [`HashSeat`](hv_core::hash::HashSeat) is on a machine.
#[derive(Debug)]
pub struct Seat<'a, 's> {
    /// The hardware that searches the present table.
    pub hardware: &'a Hardware<'s>,
    /// The tables.
    pub tables: Tables<'a, Hardware<'s>>,
    /// The memory.
    pub regions: Regions,
}

/// Where an access went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Memory, at this host real address.
    Host(u64),
    /// A device, at this guest real address.
    Device(u64),
    /// The guest has its own storage interrupt.
    Interrupt,
}

impl<'a, 's> Seat<'a, 's> {
    /// A guest with an empty table of `1 << order` bytes.
    ///
    /// # Panics
    /// If there is no such.
    #[must_use]
    pub fn new(hardware: &'a Hardware<'s>, order: u32) -> Self {
        let shape = Shape::new(order).expect("a size");
        let tables = Tables::new(hardware, hardware, LPID, shape, END).expect("memory for it");
        hardware.search_in(tables.scoped(false));
        Self { hardware, tables, regions: Regions::default() }
    }

    /// The guest's program accesses memory, with as many storage interrupts as it takes.
    ///
    /// # Panics
    /// If it gets nowhere.
    #[must_use]
    pub fn reach(&self, access: Access, asdr: VsidWord) -> Reached {
        let kind = if access.store { mmu::Access::Write } else { mmu::Access::Read };
        let ea = EffAddr::new(access.at.low());
        let fault = Fault { ea, asdr, access: kind, problem_state: false, amr: 0, iamr: 0 };
        for _ in 0..TRIES {
            if let Some(host) = self.hardware.access(access) {
                return Reached::Host(host);
            }
            match self.tables.fault(&self.regions, &fault) {
                Outcome::Resume => {}
                Outcome::Reflect(_) => return Reached::Interrupt,
                Outcome::Device(at) => return Reached::Device(at.raw()),
                other => panic!("{other:?} with nobody else there"),
            }
        }
        panic!("it was resumed again and again: {access:x?}");
    }

    /// Memory leaves its frames: what was shown of it is hidden.
    pub fn take(&self, at: u64) {
        self.evict(self.regions.take(at));
    }

    /// The next store to memory is to be noticed.
    pub fn forbid(&self, at: u64) {
        self.evict(self.regions.protect(at));
    }

    fn evict(&self, (from, to): (u64, u64)) {
        // SAFETY: 1. One thread has all of it: nobody exchanges the table.
        unsafe { self.tables.evict(from, to) };
    }

    /// The guest begins anew, with an empty table.
    pub fn begin_anew(&self) {
        self.tables.forget_resize();
        self.alone(&mut || {
            // SAFETY: 1. Closed; one thread has all of it.
            unsafe { self.tables.empty() };
        });
    }

    /// Does `work` while nobody is at the table: with one thread, nobody is.
    fn alone(&self, work: &mut dyn FnMut()) {
        self.tables.close();
        work();
        self.tables.open();
    }
}

impl Calls for Seat<'_, '_> {
    fn enter(&self, flags: u64, index: u64, claim: PaprEntry) -> Result<u64, Refusal> {
        self.tables.enter(&self.regions, flags, index, claim)
    }

    fn remove(&self, flags: u64, index: u64, value: u64) -> Result<PaprEntry, Refusal> {
        self.tables.remove(&self.regions, flags, index, value)
    }

    fn bulk_remove(&self, bulk: &mut Bulk) -> Result<(), Refusal> {
        self.tables.bulk_remove(&self.regions, bulk)
    }

    fn read(&self, flags: u64, index: u64) -> Result<Four, Refusal> {
        self.tables.read(&self.regions, flags, index)
    }

    fn protect(&self, flags: u64, index: u64, value: u64) -> Result<(), Refusal> {
        self.tables.protect(&self.regions, flags, index, value)
    }

    fn clear(&self, what: Recorded, index: u64) -> Result<u64, Refusal> {
        self.tables.clear(&self.regions, what, index)
    }

    fn prepare_resize(&self, flags: u64, shift: u64) -> Result<(), Unresized> {
        self.tables.prepare(flags, shift)
    }

    fn commit_resize(&self, flags: u64, shift: u64) -> Result<(), Unresized> {
        let tell = || self.hardware.search_in(self.tables.scoped(false));
        // SAFETY: 1. One thread has all of it: who is to be waited for is not there, and nobody evicts. 2. The hardware is told, and forgets.
        unsafe { self.tables.commit(flags, shift, |work| self.alone(work), tell) }
    }
}

impl GuestMemory for Seat<'_, '_> {
    fn read(&self, _: GuestReal, _: &mut [u8]) -> Result<(), MemoryError> {
        Err(MemoryError::Outside)
    }

    fn write(&self, _: GuestReal, _: &[u8]) -> Result<(), MemoryError> {
        Err(MemoryError::Outside)
    }

    fn zero(&self, _: GuestReal, _: u64) -> Result<(), MemoryError> {
        Err(MemoryError::Outside)
    }

    fn contains(&self, _: GuestReal, _: u64) -> bool {
        false
    }

    fn set_process_table(&self, _: u64) {
        panic!("a hash guest has none");
    }

    fn hash(&self) -> Option<&dyn Calls> {
        Some(self)
    }
}

/// A host that no call about a table asks for anything.
struct Nothing;

impl Host for Nothing {
    fn timebase(&self) -> u64 {
        0
    }

    fn timebase_hz(&self) -> u64 {
        1
    }

    fn wall_clock(&self) -> Option<(u64, u32)> {
        None
    }

    fn console_write(&self, _: &[u8]) -> usize {
        0
    }

    fn console_read(&self, _: &mut [u8]) -> usize {
        0
    }

    fn random(&self) -> Option<u64> {
        None
    }

    fn cpu_characteristics(&self) -> Option<(u64, u64)> {
        None
    }

    fn kick(&self, _: usize) {}
}

/// The processor, and what it shares with no other.
#[derive(Debug)]
pub struct Processor {
    vcpu: Vcpu,
    machine: Machine,
    counters: Counters,
}

impl Default for Processor {
    fn default() -> Self {
        let settings = Settings {
            memory_bytes: END,
            cpus: 1,
            relocatable_vectors: true,
            bench: false,
            isa_3_1: true,
            console_poll: None,
        };
        let machine = Machine::new(settings, LPID, ENTRY, 0, 1);
        Self { vcpu: Vcpu::at_reset(0, LPID, ENTRY, 0), machine, counters: Counters::default() }
    }
}

impl Processor {
    /// Makes a call: r3, and r4 to r12 behind it.
    ///
    /// # Panics
    /// If another register than those has changed, or the guest does not go on behind its instruction.
    pub fn call(
        &mut self,
        memory: &dyn GuestMemory,
        number: u64,
        problem_state: bool,
        args: Registers,
    ) -> (i64, Registers) {
        let Self { vcpu, machine, counters } = self;
        vcpu.regs.gpr = core::array::from_fn(|n| 0x5a5a_0000 + n as u64);
        vcpu.regs.gpr[3] = number;
        vcpu.regs.gpr[4..13].copy_from_slice(&args);
        vcpu.regs.nip = ENTRY.nip;
        let msr = vcpu.regs.msr & !Msr::PR.bits();
        vcpu.regs.msr = if problem_state { msr | Msr::PR.bits() } else { msr };
        let before = vcpu.regs.clone();
        let flow = handle(&mut Call { vcpu, machine, host: &Nothing, memory, counters });
        let after = &vcpu.regs;
        assert_eq!((flow, after.nip, after.msr), (Flow::Resume, before.nip, before.msr), "it goes on");
        assert_eq!((&after.gpr[..3], &after.gpr[13..]), (&before.gpr[..3], &before.gpr[13..]), "not its registers");
        let mut results = [0; 9];
        results.copy_from_slice(&after.gpr[4..13]);
        (after.gpr[3].cast_signed(), results)
    }
}

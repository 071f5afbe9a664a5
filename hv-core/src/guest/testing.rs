//! Stand-ins for the platform: memory that is a vector, a host that records, a world that plays a script.

use super::host::{Exit, FaultHandler, GuestMemory, Host, MemoryError, Next, Short, Upkeep, UpkeepError, World};
use super::machine::{Machine, Settings};
use super::vcpu::{Entry, Vcpu};
use crate::hash::calls::Four;
use crate::hash::{Bulk, Calls, Fault, Outcome, Recorded, Refusal, Unresized};
use crate::mmu::{Resolution, StorageFault};
use ppc64_arch::addr::GuestReal;
use ppc64_arch::hash::PaprEntry;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::vec::Vec;

/// Memory from 0 on. Faults are answered from a script, then with "resume".
#[derive(Default)]
pub struct Ram {
    bytes: RefCell<Vec<u8>>,
    pub process_table: Cell<Option<u64>>,
    pub resolutions: RefCell<VecDeque<Resolution>>,
    pub always: Cell<Option<Resolution>>,
    /// Answers to a hash guest's faults, before "resume".
    pub outcomes: RefCell<VecDeque<Outcome>>,
    /// The guest is a hash guest.
    pub table: Option<FakeTable>,
    /// What was asked for, with address and length.
    pub upkeep: RefCell<Vec<(Upkeep, u64, u64)>>,
}

impl Ram {
    pub fn new(bytes: usize) -> Self {
        Self { bytes: RefCell::new(vec![0; bytes]), ..Self::default() }
    }

    pub fn put(&self, at: u64, bytes: &[u8]) {
        // Tests also prepare blocks that end outside; what does not fit is not there.
        for (n, byte) in bytes.iter().enumerate() {
            let _ = self.write(GuestReal::new(at + n as u64), &[*byte]);
        }
    }

    pub fn put_words(&self, at: u64, words: &[u32]) {
        words.iter().enumerate().for_each(|(n, word)| self.put(at + 4 * n as u64, &word.to_be_bytes()));
    }

    pub fn shrink(&self, bytes: usize) {
        self.bytes.borrow_mut().truncate(bytes);
    }

    pub fn byte(&self, at: u64) -> u8 {
        self.get::<1>(at)[0]
    }

    pub fn be32(&self, at: u64) -> u32 {
        u32::from_be_bytes(self.get(at))
    }

    pub fn be64(&self, at: u64) -> u64 {
        u64::from_be_bytes(self.get(at))
    }

    fn get<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.read(GuestReal::new(at), &mut bytes).expect("inside");
        bytes
    }

    fn range(&self, at: GuestReal, len: usize) -> Result<core::ops::Range<usize>, MemoryError> {
        let start = usize::try_from(at.raw()).map_err(|_| MemoryError::Outside)?;
        let end = start.checked_add(len).ok_or(MemoryError::Outside)?;
        if end <= self.bytes.borrow().len() { Ok(start..end) } else { Err(MemoryError::Outside) }
    }
}

impl GuestMemory for Ram {
    fn read(&self, at: GuestReal, into: &mut [u8]) -> Result<(), MemoryError> {
        let range = self.range(at, into.len())?;
        into.copy_from_slice(&self.bytes.borrow()[range]);
        Ok(())
    }

    fn write(&self, at: GuestReal, from: &[u8]) -> Result<(), MemoryError> {
        let range = self.range(at, from.len())?;
        self.bytes.borrow_mut()[range].copy_from_slice(from);
        Ok(())
    }

    fn zero(&self, at: GuestReal, bytes: u64) -> Result<(), MemoryError> {
        self.write(at, &vec![0; usize::try_from(bytes).expect("small")])
    }

    fn contains(&self, at: GuestReal, bytes: u64) -> bool {
        usize::try_from(bytes).is_ok_and(|len| self.range(at, len).is_ok())
    }

    fn set_process_table(&self, dw1: u64) {
        self.process_table.set(Some(dw1));
    }

    fn hash(&self) -> Option<&dyn Calls> {
        Some(self.table.as_ref()?)
    }

    fn upkeep(&self, what: Upkeep, from: GuestReal, bytes: u64) -> Result<u64, UpkeepError> {
        self.upkeep.borrow_mut().push((what, from.raw(), bytes));
        Ok(bytes / 4096)
    }
}

/// A table that refuses what it is told to refuse, and otherwise answers with what it was asked.
#[derive(Default)]
pub struct FakeTable {
    pub refusals: RefCell<VecDeque<Refusal>>,
    pub unresized: Cell<Option<Unresized>>,
    /// The next list of removals is begun before it is refused.
    pub begins: Cell<bool>,
    /// Flags and size of the table that was asked for last.
    pub wanted: Cell<(u64, u64)>,
}

impl FakeTable {
    fn answer<R>(&self, answer: R) -> Result<R, Refusal> {
        self.refusals.borrow_mut().pop_front().map_or(Ok(answer), Err)
    }

    fn resize(&self, flags: u64, shift: u64) -> Result<(), Unresized> {
        self.wanted.set((flags, shift));
        self.unresized.get().map_or(Ok(()), Err)
    }
}

impl Calls for FakeTable {
    fn enter(&self, flags: u64, index: u64, claim: PaprEntry) -> Result<u64, Refusal> {
        self.answer(flags ^ index ^ claim.word0 ^ claim.word1)
    }

    fn remove(&self, flags: u64, index: u64, value: u64) -> Result<PaprEntry, Refusal> {
        self.answer(PaprEntry { word0: flags ^ index, word1: value })
    }

    fn bulk_remove(&self, bulk: &mut Bulk) -> Result<(), Refusal> {
        bulk.words[0] ^= u64::from(self.begins.take());
        self.answer(())?;
        bulk.words.iter_mut().for_each(|word| *word ^= 1);
        Ok(())
    }

    fn read(&self, flags: u64, _: u64) -> Result<Four, Refusal> {
        self.answer(Four::of([1, 2, 3, 4].map(|n| PaprEntry { word0: 2 * n, word1: 2 * n + 1 }), flags != 0))
    }

    fn protect(&self, _: u64, _: u64, _: u64) -> Result<(), Refusal> {
        self.answer(())
    }

    fn clear(&self, what: Recorded, index: u64) -> Result<u64, Refusal> {
        self.answer(if what == Recorded::Changed { index } else { !index })
    }

    fn prepare_resize(&self, flags: u64, shift: u64) -> Result<(), Unresized> {
        self.resize(flags, shift)
    }

    fn commit_resize(&self, flags: u64, shift: u64) -> Result<(), Unresized> {
        self.resize(flags, shift)
    }
}

impl FaultHandler for Ram {
    fn fault(&self, _: &StorageFault) -> Resolution {
        let scripted = self.resolutions.borrow_mut().pop_front();
        scripted.or(self.always.get()).unwrap_or(Resolution::Resume)
    }

    fn hash_fault(&self, _: &Fault) -> Outcome {
        self.outcomes.borrow_mut().pop_front().unwrap_or(Outcome::Resume)
    }
}

/// A host with a console, a clock that the test moves, and random bits that are not.
pub struct FakeHost {
    pub now: Cell<u64>,
    pub clock: Cell<Option<(u64, u32)>>,
    /// How many more bytes the console takes.
    pub room: Cell<usize>,
    pub written: RefCell<Vec<u8>>,
    typed: RefCell<VecDeque<u8>>,
    pub random: Cell<Option<u64>>,
    pub characteristics: Cell<Option<(u64, u64)>>,
    /// The CPUs that were kicked, in order.
    pub kicked: RefCell<Vec<usize>>,
}

impl Default for FakeHost {
    fn default() -> Self {
        Self {
            now: Cell::new(1000),
            clock: Cell::new(Some((1_709_210_096, 789))),
            room: Cell::new(usize::MAX),
            written: RefCell::default(),
            typed: RefCell::default(),
            random: Cell::new(Some(0x0123_4567_89ab_cdef)),
            characteristics: Cell::new(Some((0x11, 0x22))),
            kicked: RefCell::default(),
        }
    }
}

impl FakeHost {
    pub const HZ: u64 = 512_000_000;

    pub fn type_in(&self, bytes: &[u8]) {
        self.typed.borrow_mut().extend(bytes);
    }
}

impl Host for FakeHost {
    fn timebase(&self) -> u64 {
        self.now.get()
    }

    fn timebase_hz(&self) -> u64 {
        Self::HZ
    }

    fn wall_clock(&self) -> Option<(u64, u32)> {
        self.clock.get()
    }

    fn console_write(&self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room.get());
        self.room.set(self.room.get() - taken);
        self.written.borrow_mut().extend(&bytes[..taken]);
        taken
    }

    fn console_read(&self, bytes: &mut [u8]) -> usize {
        let mut typed = self.typed.borrow_mut();
        let got = bytes.len().min(typed.len());
        bytes.iter_mut().zip(typed.drain(..got)).for_each(|(to, from)| *to = from);
        got
    }

    fn random(&self) -> Option<u64> {
        self.random.get()
    }

    fn cpu_characteristics(&self) -> Option<(u64, u64)> {
        self.characteristics.get()
    }

    fn kick(&self, cpu: usize) {
        self.kicked.borrow_mut().push(cpu);
    }
}

/// One stay in the guest: what it does to the registers, and why it leaves.
pub type Stay<'a> = std::boxed::Box<dyn FnMut(&mut Vcpu, u64) -> Exit + 'a>;

/// Plays stays in order; when the script is over, leaves with [`Exit::Failed`]`(0)`. Sleeping moves the clock to the deadline.
pub struct Script<'a> {
    pub host: &'a FakeHost,
    pub stays: VecDeque<Stay<'a>>,
    pub sleeps: Vec<u64>,
    /// Called in each sleep.
    pub on_idle: std::boxed::Box<dyn FnMut() + 'a>,
    /// Whether exits are offered to the short way first.
    pub short_way: bool,
    /// Calls are those of a hash guest.
    pub hash: bool,
    /// How the exits went that ended there.
    pub resumed: Vec<Next>,
}

impl<'a> Script<'a> {
    pub fn new(host: &'a FakeHost) -> Self {
        Self {
            host,
            stays: VecDeque::new(),
            sleeps: Vec::new(),
            on_idle: std::boxed::Box::new(|| {}),
            short_way: false,
            hash: false,
            resumed: Vec::new(),
        }
    }

    /// Offers exits to the short way first, as bare metal does.
    pub fn with_short_way(mut self) -> Self {
        self.short_way = true;
        self
    }

    /// Adds a stay.
    pub fn then(mut self, stay: impl FnMut(&mut Vcpu, u64) -> Exit + 'a) -> Self {
        self.stays.push_back(std::boxed::Box::new(stay));
        self
    }
}

impl World for Script<'_> {
    fn enter<S: Short>(&mut self, vcpu: &mut Vcpu, deadline: u64, short: &mut S) -> Exit {
        while let Some(mut stay) = self.stays.pop_front() {
            let exit = stay(vcpu, deadline);
            let next = match &exit {
                Exit::Hcall if self.short_way && self.hash => short.hash_call(vcpu),
                Exit::Hcall if self.short_way => short.call(vcpu),
                Exit::Storage(fault) if self.short_way => short.storage(vcpu, fault),
                Exit::HashStorage(fault) if self.short_way => short.hash_storage(vcpu, fault),
                _ => Next::Whole,
            };
            match next {
                Next::Resume | Next::Reload | Next::Interrupt => self.resumed.push(next),
                Next::Begun => return Exit::Begun,
                Next::Whole => return exit,
            }
        }
        Exit::Failed(0)
    }

    fn put_away(&mut self, _: &mut Vcpu) {}

    fn idle(&mut self, deadline: u64) {
        assert!(self.sleeps.len() < 1000, "sleeps for ever");
        self.sleeps.push(deadline);
        self.host.now.set(self.host.now.get().max(deadline));
        (self.on_idle)();
    }
}

/// A vCPU in 64-bit little-endian privileged state, interrupts off.
pub fn vcpu() -> Vcpu {
    Vcpu::at_reset(0, 1, ENTRY, 1000)
}

/// A machine of one CPU with everything allowed.
pub fn machine() -> Machine {
    machine_with(settings())
}

/// What that machine was promised.
pub fn settings() -> Settings {
    Settings {
        memory_bytes: 1 << 20,
        cpus: 1,
        relocatable_vectors: true,
        bench: true,
        isa_3_1: true,
        console_poll: None,
    }
}

/// A machine on one CPU.
pub fn machine_with(settings: Settings) -> Machine {
    Machine::new(settings, 1, ENTRY, 1000, 1)
}

/// Where guests of the tests begin.
const ENTRY: Entry = Entry { nip: 0, fdt: 0, little_endian: true };

/// Sets number and arguments of a hypervisor call.
pub fn set_call(vcpu: &mut Vcpu, number: u64, args: &[u64]) {
    vcpu.regs.gpr[3] = number;
    vcpu.regs.gpr[4..13].fill(0);
    vcpu.regs.gpr[4..4 + args.len()].copy_from_slice(args);
}

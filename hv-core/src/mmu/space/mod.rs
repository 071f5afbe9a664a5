//! One guest's memory: its slots, the root of its tables, and the mutations.
//!
//! Mutations hold the one lock, close what they concern, wait for the grace period, and only then edit ([`super`] draws it).
//! A CPU that mutates must not be pinned: every public function here takes and drops its own pins.
//!
//! | file | what |
//! | --- | --- |
//! | `account` | frames, tables and stored pages on the guest's account |
//! | `slots` | slots added, removed, resized, made read-only |
//! | `pages` | pages unmapped, aged, taken out; leaves split and promoted; tables pruned |
//! | `log` | the dirty log of a slot |

mod account;
mod log;
mod pages;
mod slots;

use super::discipline::Discipline;
use super::frame::Memory;
use super::hardware::{Flush, Hardware};
use super::hashed::{self, Hashed};
use super::ledger::{Ledger, Tables};
use super::pins::Pins;
use super::reclaim::Hand;
use super::residency::Residency;
use super::seat::Cpu;
use super::slot::{Granule, Slots};
use super::store::Compressed;
use super::waiters::{Held, Waiters, Wake};
use super::walk::{Seen, walk, walk_here};
use crate::delays::delay;
use crate::sync::{Lock, LockGuard, relax};
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::{Level, geometry, pate};

/// Pages that the working set of one instruction may take, tables included: two pages of code and two of data that cross a page's end, the guest's own tables that map them, ours.
const WORKING_SET: u64 = if cfg!(loom) { 2 } else { 64 };

/// One guest's memory.
///
/// ```
/// # use hv_core::mmu::*;
/// # use ppc64_arch::addr::{GuestReal, LeafSize};
/// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
///
/// let space = Space::new(memory, 1, Granule::Auto).unwrap();
/// let spec = SlotSpec { base: GuestReal::new(0), bytes: 8 << 20, source: Source::Zero, read_only: false };
/// // SAFETY: 1. There is no image.
/// unsafe { space.add_slot(&spec) }.unwrap();
///
/// // A virtual CPU takes its seat: its storage interrupts come in there.
/// let seat = Seat::new(&space, Cpu::new(0).unwrap());
/// seat.write(GuestReal::new(0x1000), b"hello").unwrap();
///
/// // When it is over, every frame goes back to the pool.
/// let mut cpu = seat.leave();
/// space.destroy(&mut cpu);
/// cpu.frames.drain(&memory.pool);
/// assert_eq!(memory.pool.free_bytes(), 32 << 20);
/// ```
#[derive(Debug)]
pub struct Space<'m, H, D = Pins> {
    memory: &'m Memory<H>,
    lpid: u32,
    top: &'static Level,
    root: HostReal,
    granule: Granule,
    slots: Slots,
    pins: D,
    residency: Residency,
    ledger: Ledger,
    tables: Tables,
    /// Where pages go when memory is short, if the guest has a budget.
    store: Option<Compressed>,
    /// Held by whoever mutates or reclaims.
    mutation: Lock<Mutation>,
    /// What hardware walks instead of the tree, if this is a hash guest's.
    hashed: Option<&'m dyn Hashed>,
    waiters: Waiters<'m>,
}

/// What mutations keep between them.
#[derive(Debug, Default)]
pub(super) struct Mutation {
    /// How many there were, modulo 2^20: the generation of what the present one empties.
    pub generation: u32,
    /// Where reclaim goes on.
    pub hand: Hand,
}

/// While this lives no other mutation runs.
type Turn<'a, 'm> = Held<'a, 'm, LockGuard<'a, Mutation>>;

/// What a space is like, given at its beginning.
///
/// ```
/// # use hv_core::mmu::*;
/// # use ppc64_arch::addr::{GuestReal, LeafSize};
/// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
///
/// let config = Config { granule: Granule::Fixed(LeafSize::Size4K), budget: Some(4 << 20), ..Config::default() };
/// let space: Space<'_, _> = Space::build(memory, 1, &config).unwrap();
/// assert_eq!(space.ledger().budget(), 1024);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Config<'m> {
    /// How large its leaves are made. With a budget pages of 4 KiB take the place of those of 64 KiB, which could not be taken out.
    pub granule: Granule,
    /// The shape of its tree. A root takes a frame of 64 KiB, or 4 KiB if it fits one.
    pub top: &'static Level,
    /// The host memory in bytes that it may take: private frames, tables and compressed pages together. What the guest does not use is compressed to make room.
    pub budget: Option<u64>,
    /// The table of a hash guest, which hardware walks instead of the tree. It chooses the granule as well: see [`hashed`].
    pub hashed: Option<&'m dyn Hashed>,
}

impl Default for Config<'_> {
    fn default() -> Self {
        Self { granule: Granule::Auto, top: &geometry::ROOT, budget: None, hashed: None }
    }
}

/// Why a space could not be made.
///
/// ```
/// # use hv_core::mmu::*;
/// # use ppc64_arch::addr::{GuestReal, LeafSize};
/// # let memory = machine::Machine::with_pool(32 << 20, 2, 0);
///
/// let root = &ppc64_arch::radix::geometry::ROOT;
/// let refused = Space::with_budget(memory, 1, Granule::Auto, root, 4096).map(drop);
/// assert!(matches!(refused, Err(SpaceError::BudgetTooSmall { least }) if least > 4096));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpaceError {
    /// The machine has no frame for the root.
    NoFrames,
    /// The budget is smaller than what one instruction may need.
    BudgetTooSmall {
        /// The smallest that is taken, in bytes.
        least: u64,
    },
}

impl<'m, H: Hardware> Space<'m, H> {
    /// An empty space for partition `lpid`, with its entry in the partition table.
    ///
    /// # Errors
    /// [`SpaceError::NoFrames`].
    pub fn new(memory: &'m Memory<H>, lpid: u32, granule: Granule) -> Result<Self, SpaceError> {
        Self::build(memory, lpid, &Config { granule, ..Config::default() })
    }

    /// The same with a tree of another shape, for models.
    ///
    /// # Errors
    /// [`SpaceError::NoFrames`].
    pub fn with_geometry(
        memory: &'m Memory<H>,
        lpid: u32,
        granule: Granule,
        top: &'static Level,
    ) -> Result<Self, SpaceError> {
        Self::build(memory, lpid, &Config { granule, top, ..Config::default() })
    }

    /// An empty space that takes no more than `budget` bytes of host memory.
    ///
    /// # Errors
    /// See [`SpaceError`].
    pub fn with_budget(
        memory: &'m Memory<H>,
        lpid: u32,
        granule: Granule,
        top: &'static Level,
        budget: u64,
    ) -> Result<Self, SpaceError> {
        Self::build(memory, lpid, &Config { granule, top, budget: Some(budget), ..Config::default() })
    }
}

impl<'m, H: Hardware, D: Discipline> Space<'m, H, D> {
    /// An empty space for partition `lpid` under any discipline.
    ///
    /// # Errors
    /// See [`SpaceError`].
    pub fn build(memory: &'m Memory<H>, lpid: u32, config: &Config<'m>) -> Result<Self, SpaceError> {
        let Config { top, budget, hashed, .. } = *config;
        // What a huge leaf is split into has to fit the store.
        let granule = match config.granule {
            Granule::Fixed(LeafSize::Size64K) if budget.is_some() => Granule::Fixed(LeafSize::Size4K),
            granule if hashed.is_some() => hashed::granule(granule, budget.is_some()),
            granule => granule,
        };
        let pages = budget.map_or(u64::MAX, |bytes| bytes / LeafSize::Size4K.bytes());
        let root_pages = account::pages_of(root_size(top));
        if pages < root_pages + WORKING_SET {
            let least = (root_pages + WORKING_SET) * LeafSize::Size4K.bytes();
            return Err(SpaceError::BudgetTooSmall { least });
        }
        let mut root = memory.pool.take(root_size(top)).ok_or(SpaceError::NoFrames)?;
        root.zero(&memory.hardware);
        let root = root.into_entry();
        let ledger = Ledger::new(pages, root_pages);
        let tables = Tables::new(if budget.is_some() { pages / 4 } else { u64::MAX });
        let store = budget.map(|_| Compressed::new());
        let (slots, pins, mutation) = (Slots::new(), D::default(), Lock::new(Mutation::default()));
        let (residency, waiters) = (Residency::new(), Waiters::default());
        let space = Self {
            memory,
            lpid,
            top,
            root,
            granule,
            slots,
            pins,
            residency,
            ledger,
            tables,
            store,
            mutation,
            hashed,
            waiters,
        };
        space.set_process_table(0);
        Ok(space)
    }

    /// The partition's number.
    #[must_use]
    pub const fn lpid(&self) -> u32 {
        self.lpid
    }

    /// How large its leaves are made.
    #[must_use]
    pub const fn granule(&self) -> Granule {
        self.granule
    }

    /// Whether hardware sets R in the tree's leaves.
    pub(super) fn sets_reference(&self) -> bool {
        self.hashed.is_none() && self.memory.hardware.sets_reference()
    }

    /// Whether this is the table that hardware walks instead of the tree.
    #[must_use]
    pub fn is_hashed_by(&self, table: &dyn Hashed) -> bool {
        self.hashed.is_some_and(|hashed| core::ptr::addr_eq(hashed, table))
    }

    /// The host memory that it is made of.
    #[must_use]
    pub const fn memory(&self) -> &'m Memory<H> {
        self.memory
    }

    /// Tells the hardware where the guest's process table is: doubleword 1 of the partition table entry, checked by the caller.
    pub fn set_process_table(&self, process: u64) {
        if let Some(hashed) = self.hashed {
            // A hash guest's processes are its own business.
            let scoped = hashed.scoped(self.granule.last_level() == LeafSize::Size64K);
            return self.memory.hardware.set_partition(self.lpid, scoped, 0);
        }
        self.memory.hardware.set_partition(self.lpid, pate::partition_scoped(self.root, self.top), process);
    }

    /// Gives everything back, the root included.
    pub fn destroy(self, cpu: &mut Cpu) {
        self.clear(cpu);
        self.memory.hardware.set_partition(self.lpid, 0, 0);
        // SAFETY: 1. The root was taken in `build` at this size. 2. The partition table does not name it any more, and no CPU is at the space.
        cpu.frames.put(&self.memory.pool, unsafe { super::Frame::from_entry(self.root, root_size(self.top)) });
    }

    /// Flushes on every CPU what hardware has of the tree.
    fn flush(&self, cpu: &mut Cpu, what: &[Flush]) {
        delay!(BeforeFlush);
        cpu.stats.flushes += what.len() as u64;
        what.iter().for_each(|flush| self.memory.hardware.flush(*flush));
        if !self.memory.hardware.broadcasts() {
            self.residency.evict(
                cpu.id(),
                |other| self.memory.hardware.kick(other),
                |other| self.memory.hardware.stuck(other),
            );
        }
    }

    /// Flushes whatever hardware has of guest real `from..to`, and of the tables that lead there, on every CPU.
    pub(super) fn flush_area(&self, cpu: &mut Cpu, from: u64, to: u64) {
        match self.hashed {
            Some(hashed) => self.evict(cpu, hashed, from, to),
            None => self.flush(cpu, &[Flush::Partition { lpid: self.lpid }]),
        }
    }

    /// Flushes leaves of one size each.
    pub(super) fn flush_ranges(&self, cpu: &mut Cpu, ranges: &[Flush]) {
        let Some(hashed) = self.hashed else { return self.flush(cpu, ranges) };
        for range in ranges {
            if let Flush::Range { from, to, .. } = range {
                self.evict(cpu, hashed, from.raw(), to.raw());
            }
        }
    }

    fn evict(&self, cpu: &mut Cpu, hashed: &dyn Hashed, from: u64, to: u64) {
        delay!(BeforeFlush);
        cpu.stats.flushes += 1;
        // SAFETY: 1. What owes a flush is a mutation, which has the lock, or a fault, pinned, that saw its slot open.
        unsafe { hashed.evict(from, to) }
    }

    /// Does `work` while no fault, no mutation and nobody at the hashed table is under way, and none begins.
    #[cfg(feature = "hash")]
    pub(crate) fn alone<R>(&self, work: impl FnOnce() -> R) -> R {
        let _turn = self.begin();
        self.stop();
        let done = work();
        self.go_on();
        done
    }

    /// Closes everything, and waits for those that are still in. The lock is held.
    fn stop(&self) {
        self.slots.close();
        if let Some(hashed) = self.hashed {
            hashed.close();
        }
        self.pins.grace();
    }

    fn go_on(&self) {
        if let Some(hashed) = self.hashed {
            hashed.open();
        }
        self.slots.open();
    }

    /// One turn of an access of the hypervisor's own that waits for a mutation to end. That of a hash guest's whole table is long.
    pub(super) fn await_mutation(&self) {
        match self.hashed {
            Some(_) => drop(self.lock()),
            None => relax(),
        }
    }

    /// Whom to tell when a fault need not wait any more ([`Resolution::Wait`](super::Resolution::Wait)). Only the first call counts; nobody waits before it
    /// ([`Seat::wait`](super::Seat::wait)).
    pub fn set_waker(&self, waker: &'m dyn Wake) {
        self.waiters.set_waker(waker);
    }

    /// Those who wait.
    pub(super) const fn waiters(&self) -> &Waiters<'m> {
        &self.waiters
    }

    /// Which CPUs are inside the guest.
    pub(super) const fn residency(&self) -> &Residency {
        &self.residency
    }

    /// Begins a mutation: the lock, and a new generation for what it empties.
    fn begin(&self) -> Turn<'_, 'm> {
        let mut turn = self.lock();
        delay!(Locked);
        turn.generation = turn.generation.wrapping_add(1) & 0xf_ffff;
        turn
    }

    /// Keeps mutations out for as long as the guard lives.
    pub(super) fn lock(&self) -> Turn<'_, 'm> {
        Held::new(self.mutation.lock(), &self.waiters)
    }

    /// The same, if nobody else is at it.
    pub(super) fn try_lock(&self) -> Option<Turn<'_, 'm>> {
        Some(Held::new(self.mutation.try_lock()?, &self.waiters))
    }

    /// The slots.
    #[must_use]
    #[inline]
    pub(super) const fn slots(&self) -> &Slots {
        &self.slots
    }

    /// The pins of the CPUs at this space.
    #[inline]
    pub(super) const fn pins(&self) -> &D {
        &self.pins
    }

    pub(super) const fn top(&self) -> (HostReal, &'static Level) {
        (self.root, self.top)
    }

    /// Walks to the entry for `at`.
    ///
    /// # Safety
    /// The caller is pinned, or holds the mutation lock, for as long as it uses what it sees.
    #[inline]
    pub(super) unsafe fn walk(&self, at: GuestReal) -> Seen<'_> {
        // SAFETY: 1. The root lives as long as the space. 2. The caller keeps the tables.
        unsafe { walk(&self.memory.hardware, self.root, self.top, at) }
    }

    /// The same as part of its caller, which is the fault path.
    ///
    /// # Safety
    /// As for [`walk`](Self::walk).
    #[inline(always)]
    pub(super) unsafe fn walk_here(&self, at: GuestReal) -> Seen<'_> {
        // SAFETY: 1. and 2. as above.
        unsafe { walk_here(&self.memory.hardware, self.root, self.top, at) }
    }
}

fn root_size(top: &Level) -> LeafSize {
    if top.table_bytes() <= LeafSize::Size4K.bytes() { LeafSize::Size4K } else { LeafSize::Size64K }
}

//! One guest's memory: its slots, the root of its tables, and the mutations.
//!
//! Mutations hold the one lock, close what they concern, wait for the grace period, and only then edit ([`super`] draws it).
//! A CPU that mutates must not be pinned: every public function here takes and drops its own pins.

use super::cache::FrameCache;
use super::discipline::Discipline;
use super::frame::{Frame, Memory};
use super::hardware::Hardware;
use super::ledger::{Ledger, Purse};
use super::pins::Pins;
use super::reclaim::Hand;
use super::seat::Cpu;
use super::slot::{Granule, SlotError, SlotSpec, Slots};
use super::store::{Compressed, Frames, Handle, StoreError};
use super::unlink::Unlinked;
use super::walk::{Place, Seen, walk};
use crate::sync::Lock;
use core::ops::DerefMut;
use ppc64_arch::addr::{GuestReal, HostReal, LeafSize};
use ppc64_arch::radix::{Level, geometry, pate};

/// One guest's memory.
#[derive(Debug)]
pub struct Space<'m, H, D = Pins> {
    memory: &'m Memory<H>,
    lpid: u32,
    top: &'static Level,
    root: HostReal,
    granule: Granule,
    slots: Slots,
    pins: D,
    ledger: Ledger,
    /// Where pages go when memory is short, if the guest has a budget.
    store: Option<Compressed>,
    /// Held by whoever mutates or reclaims.
    mutation: Lock<Mutation>,
}

/// What mutations keep between them.
#[derive(Debug, Default)]
pub(super) struct Mutation {
    /// How many there were, modulo 2^20: the generation of what the present one empties.
    generation: u32,
    /// Where reclaim goes on.
    pub hand: Hand,
}

/// What a space is like, given at its beginning.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How large its leaves are made.
    pub granule: Granule,
    /// The shape of its tree. A root takes a frame of 64 KiB, or 4 KiB if it fits one.
    pub top: &'static Level,
    /// The host memory in bytes that it may take: private frames, tables and compressed pages together. What the guest does not use is compressed to make room.
    pub budget: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self { granule: Granule::Auto, top: &geometry::ROOT, budget: None }
    }
}

impl<'m, H: Hardware> Space<'m, H> {
    /// An empty space for partition `lpid`, with its entry in the partition table. `None` if there is no memory for the root.
    pub fn new(memory: &'m Memory<H>, lpid: u32, granule: Granule) -> Option<Self> {
        Self::build(memory, lpid, &Config { granule, ..Config::default() })
    }

    /// The same with a tree of another shape, for models.
    pub fn with_geometry(memory: &'m Memory<H>, lpid: u32, granule: Granule, top: &'static Level) -> Option<Self> {
        Self::build(memory, lpid, &Config { granule, top, budget: None })
    }

    /// An empty space that takes no more than `budget` bytes of host memory.
    pub fn with_budget(
        memory: &'m Memory<H>,
        lpid: u32,
        granule: Granule,
        top: &'static Level,
        budget: u64,
    ) -> Option<Self> {
        Self::build(memory, lpid, &Config { granule, top, budget: Some(budget) })
    }
}

impl<'m, H: Hardware, D: Discipline> Space<'m, H, D> {
    /// An empty space for partition `lpid` under any discipline. `None` if there is no memory for the root.
    pub fn build(memory: &'m Memory<H>, lpid: u32, config: &Config) -> Option<Self> {
        let Config { granule, top, budget } = *config;
        let mut root = memory.pool.take(root_size(top))?;
        root.zero(&memory.hardware);
        let root = root.into_entry();
        let ledger = Ledger::new(budget.map_or(u64::MAX, |bytes| bytes / LeafSize::Size4K.bytes()));
        let store = budget.map(|_| Compressed::new());
        let (slots, pins, mutation) = (Slots::new(), D::default(), Lock::new(Mutation::default()));
        let space = Self { memory, lpid, top, root, granule, slots, pins, ledger, store, mutation };
        space.set_process_table(0);
        Some(space)
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

    /// The host memory that it is made of.
    #[must_use]
    pub const fn memory(&self) -> &'m Memory<H> {
        self.memory
    }

    /// What it is charged for.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Its compressed pages, if it has a budget.
    #[must_use]
    pub const fn store(&self) -> Option<&Compressed> {
        self.store.as_ref()
    }

    /// A frame on the guest's account. `None`: the budget or the machine has none left.
    #[inline]
    pub(super) fn take(&self, cpu: &mut Cpu, size: LeafSize) -> Option<Frame> {
        if !self.ledger.spend(&mut cpu.purse, pages_of(size)) {
            return None;
        }
        let frame = cpu.frames.take(&self.memory.pool, size);
        if frame.is_none() {
            self.ledger.refund(&mut cpu.purse, pages_of(size));
        }
        frame
    }

    /// Takes back a frame that was on the guest's account.
    #[inline]
    pub(super) fn put(&self, cpu: &mut Cpu, frame: Frame) {
        self.ledger.refund(&mut cpu.purse, pages_of(frame.size()));
        cpu.frames.put(&self.memory.pool, frame);
    }

    /// Fills `frame` with a page of the store.
    pub(super) fn fetch(&self, cpu: &mut Cpu, handle: Handle, frame: &mut Frame) -> Result<(), StoreError> {
        let store = self.store.as_ref().ok_or(StoreError::Gone)?;
        store.get(self.memory, &mut cpu.buffer, handle, frame)
    }

    /// Puts a page into the store. Its memory may overdraw the account: the page's own frame is given back right after.
    pub(super) fn keep(&self, cpu: &mut Cpu, frame: &Frame) -> Result<Handle, StoreError> {
        let store = self.store.as_ref().ok_or(StoreError::Full)?;
        let mut frames = Overdraft { space: self, purse: &mut cpu.purse, cache: &mut cpu.frames };
        store.put(self.memory, &mut frames, &mut cpu.buffer, frame)
    }

    /// Forgets a page of the store.
    pub(super) fn forget(&self, cpu: &mut Cpu, handle: Handle) {
        let Some(store) = self.store.as_ref() else { return };
        let mut frames = Overdraft { space: self, purse: &mut cpu.purse, cache: &mut cpu.frames };
        let forgotten = store.forget(self.memory, &mut frames, handle);
        debug_assert!(forgotten.is_ok(), "a handle was forgotten twice");
    }

    /// Tells the hardware where the guest's process table is: doubleword 1 of the partition table entry, checked by the caller.
    pub fn set_process_table(&self, process: u64) {
        self.memory.hardware.set_partition(self.lpid, pate::partition_scoped(self.root, self.top), process);
    }

    /// Adds a slot.
    ///
    /// # Errors
    /// See [`SlotError`]; nothing has changed then.
    ///
    /// # Safety
    /// The image of the slot, if it has one, is host memory that nobody writes for as long as the slot lives.
    pub unsafe fn add_slot(&self, spec: &SlotSpec) -> Result<(), SlotError> {
        spec.check(self.top.address_bits(), self.granule.slot_alignment())?;
        let _turn = self.begin();
        self.slots.close();
        self.pins.grace();
        let added = self.slots.insert(spec);
        self.slots.open();
        added
    }

    /// Takes out every page and every table: the guest sees its slots as they were in the beginning. Frames go back to the pool.
    pub fn empty(&self, cpu: &mut Cpu) {
        let turn = self.begin();
        self.slots.close();
        self.pins.grace();
        self.unlink_all(cpu, turn.generation);
        self.slots.open();
    }

    /// Ends the space: pages, tables and the slots go; the root stays until [`destroy`](Self::destroy).
    pub fn clear(&self, cpu: &mut Cpu) {
        let turn = self.begin();
        self.slots.close();
        self.pins.grace();
        self.unlink_all(cpu, turn.generation);
        self.slots.clear();
        self.slots.open();
    }

    /// Gives everything back, the root included.
    pub fn destroy(self, cpu: &mut Cpu) {
        self.clear(cpu);
        self.memory.hardware.set_partition(self.lpid, 0, 0);
        // SAFETY: 1. The root was taken in `with_geometry` at this size. 2. The partition table does not name it any more, and no CPU is at the space.
        cpu.frames.put(&self.memory.pool, unsafe { Frame::from_entry(self.root, root_size(self.top)) });
    }

    /// Takes out the pages of `from..to` that lie in slots; what hangs below an entry that the range covers only in part stays as a whole if it is one leaf.
    /// Bounds are rounded outwards to whole leaves.
    pub fn unmap(&self, cpu: &mut Cpu, from: GuestReal, to: GuestReal) {
        let turn = self.begin();
        self.slots.close_range(from.raw(), to.raw());
        self.pins.grace();
        let mut at = from.raw();
        while at < to.raw() {
            // SAFETY: 1. We hold the lock: tables are taken away only by us.
            let seen = unsafe { self.walk(GuestReal::new(at)) };
            if let Some(unlinked) = Unlinked::take(seen.place, turn.generation) {
                unlinked.flush(self, cpu).free(self, cpu);
            }
            let span = seen.place.level.entry_span();
            let Some(next) = (at & !(span - 1)).checked_add(span) else { break };
            at = next;
        }
        self.slots.open_range(from.raw(), to.raw());
    }

    fn unlink_all(&self, cpu: &mut Cpu, generation: u32) {
        for index in 0..self.top.entries() as u64 {
            let at = GuestReal::new(index << self.top.shift);
            // SAFETY: 1. The root is a live table of the top level for as long as the space lives.
            let place = unsafe { Place::in_table(&self.memory.hardware, self.root, self.top, at) };
            if let Some(unlinked) = Unlinked::take(place, generation) {
                unlinked.flush(self, cpu).free(self, cpu);
            }
        }
    }

    /// Begins a mutation: the lock, and a new generation for what it empties.
    fn begin(&self) -> impl DerefMut<Target = Mutation> + '_ {
        let mut turn = self.mutation.lock();
        turn.generation = turn.generation.wrapping_add(1) & 0xf_ffff;
        turn
    }

    /// Keeps mutations out for as long as the guard lives.
    pub(super) fn lock(&self) -> impl DerefMut<Target = Mutation> + '_ {
        self.mutation.lock()
    }

    /// The same, if nobody else is at it.
    pub(super) fn try_lock(&self) -> Option<impl DerefMut<Target = Mutation> + '_> {
        self.mutation.try_lock()
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
}

/// The store's frames on the guest's account.
struct Overdraft<'a, 'm, H, D> {
    space: &'a Space<'m, H, D>,
    purse: &'a mut Purse,
    cache: &'a mut FrameCache,
}

impl<H: Hardware, D: Discipline> Frames for Overdraft<'_, '_, H, D> {
    fn take(&mut self) -> Option<Frame> {
        let frame = self.cache.take(&self.space.memory.pool, LeafSize::Size4K)?;
        self.space.ledger.overdraw(self.purse, 1);
        Some(frame)
    }

    fn put(&mut self, frame: Frame) {
        self.space.ledger.refund(self.purse, pages_of(frame.size()));
        self.cache.put(&self.space.memory.pool, frame);
    }
}

const fn pages_of(size: LeafSize) -> u64 {
    size.bytes() / LeafSize::Size4K.bytes()
}

fn root_size(top: &Level) -> LeafSize {
    if top.table_bytes() <= LeafSize::Size4K.bytes() { LeafSize::Size4K } else { LeafSize::Size64K }
}

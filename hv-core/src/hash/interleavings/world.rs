//! A table, a page of memory behind it, and what CPUs do with them.

use super::machine::{BASE, Machine};
use crate::hash::{Backing, Fault, Hpt, Kind, Outcome, Page, Parts, Refusal};
use crate::mmu::pins::{Pin, Pins};
use crate::mmu::{Access, Discipline, Resolution};
use crate::sync::{AtomicU64, Ordering, relax};
use core::ops::Deref;
use ppc64_arch::addr::{EffAddr, GuestReal, HostReal};
use ppc64_arch::hash::{PageSize, PaprEntry, Segment, Shape, VsidWord, Word0};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// The guest has 64 KiB of memory.
pub(super) const END: u64 = 1 << 16;
/// Two pages of virtual memory, in segments of their own.
pub const PAGE: u64 = 1;
/// The other one.
pub const OTHER: u64 = 2;
/// The first page of real mode: the number of its segment.
pub const REAL: u64 = ppc64_arch::hash::segment::VRMA;
/// Doubleword 1 of an entry that permits everything.
pub const OPEN: u64 = 0x12;
/// Of one that permits loads.
pub const CLOSED: u64 = 0x13;
/// What a store stores.
pub const NEW: u64 = 99;

/// Memory of one page: which frame it is in, if in any, and whether stores need nothing more.
pub struct Memory {
    page: AtomicU64,
    pub(super) pins: Pins,
    /// The next frame that is given to it.
    next: AtomicU64,
}

const STORES: u64 = 1 << 32;

impl Memory {
    pub(super) fn new(there: bool) -> Self {
        Self { page: AtomicU64::new(if there { 1 | STORES } else { 0 }), pins: Pins::new(), next: AtomicU64::new(1) }
    }

    /// Whether it says that a store was noticed.
    pub fn is_stored_to(&self) -> bool {
        self.page.load(Ordering::Acquire) & STORES != 0
    }
}

/// A CPU at the memory.
pub struct Cpu<'a>(pub(super) &'a Memory, pub(super) usize);

impl Backing for Cpu<'_> {
    type Pin<'a>
        = Pin<'a>
    where
        Self: 'a;

    fn pin(&self) -> Pin<'_> {
        Pins::pin(self.0.pins.desk(self.1))
    }

    fn largest(&self) -> PageSize {
        PageSize::Size4K
    }

    fn kind(&self, at: GuestReal, _size: PageSize) -> Kind {
        if at.raw() < END { Kind::Memory } else { Kind::Nothing }
    }

    fn look(&self, at: GuestReal, _size: PageSize) -> Option<Page> {
        let page = self.0.page.load(Ordering::Acquire);
        let number = (page & (STORES - 1)).checked_sub(1)?;
        let frame = HostReal::new(BASE + (number << 16) + (at.raw() & 0xf000));
        Some(Page { frame, stores: page & STORES != 0 })
    }

    fn prepare(&self, _at: GuestReal, _size: PageSize, access: Access) -> Resolution {
        let page = self.0.page.load(Ordering::Acquire);
        if page == 0 {
            let frame = self.0.next.fetch_add(1, Ordering::AcqRel) + 1;
            let stores = if access == Access::Write { STORES } else { 0 };
            let _lost = self.0.page.compare_exchange(0, frame | stores, Ordering::AcqRel, Ordering::Acquire);
        } else if access == Access::Write && page & STORES == 0 {
            let _lost = self.0.page.compare_exchange(page, page | STORES, Ordering::AcqRel, Ordering::Acquire);
        }
        Resolution::Resume
    }
}

/// How an access ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Loaded(u64),
    Stored,
    Refused,
}

/// What the model is made of.
pub(super) struct Parted {
    pub entries: Box<[AtomicU64]>,
    pub sides: Box<[AtomicU64]>,
    pub heads: Box<[AtomicU64]>,
}

impl Parted {
    /// One group.
    pub fn new() -> Self {
        let words = |many: usize| (0..many).map(|_| AtomicU64::new(0)).collect::<Box<[_]>>();
        let many = 2 * SHAPE.entries() as usize;
        Self { entries: words(many), sides: words(many), heads: words(Parts::heads_for(END)) }
    }

    pub fn parts(&self) -> Parts<'_> {
        let Self { entries, sides, heads } = self;
        Parts { shape: SHAPE, at: HostReal::new(1 << 50), entries, sides, heads }
    }
}

/// A table of one group.
pub(super) const SHAPE: Shape = Shape::of_groups(0);

/// What others borrow for as long as it lives: they stand before it, and so are dropped before it.
pub(super) struct Held<T: 'static>(*mut T);

// SAFETY: 1. It is a box, shared as loom's types allow.
unsafe impl<T: Sync + 'static> Sync for Held<T> {}
// SAFETY: 1. As above.
unsafe impl<T: Send + 'static> Send for Held<T> {}

impl<T: 'static> Held<T> {
    pub fn new(value: T) -> Self {
        Self(Box::into_raw(Box::new(value)))
    }

    /// For those who stand before it.
    pub fn lent(&self) -> &'static T {
        // SAFETY: 1. It lives until it is dropped, which they are before.
        unsafe { &*self.0 }
    }
}

impl<T: 'static> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.lent()
    }
}

impl<T: 'static> Drop for Held<T> {
    fn drop(&mut self) {
        // SAFETY: 1. Made by `Box::into_raw`. 2. Who borrowed it was dropped before.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// A machine, a table on it, and memory.
pub struct World {
    table: Hpt<'static, Machine>,
    machine: Held<Machine>,
    _parts: Held<Parted>,
    pub memory: Memory,
}

impl World {
    fn new(there: bool) -> Self {
        let parts = Held::new(Parted::new());
        let machine = Held::new(Machine::new(&parts.lent().entries));
        let table = Hpt::new(machine.lent(), 1, parts.lent().parts(), END).expect("parts");
        Self { table, machine, _parts: parts, memory: Memory::new(there) }
    }

    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    pub fn table(&self) -> &Hpt<'static, Machine> {
        &self.table
    }

    /// CPU number `cpu`.
    pub fn cpu(&self, cpu: usize) -> Cpu<'_> {
        Cpu(&self.memory, cpu)
    }

    /// The guest makes an entry for a page, wherever there is room.
    pub fn enter(&self, cpu: usize, page: u64, word1: u64) -> Result<u64, Refusal> {
        patiently(|| self.table().enter(&self.cpu(cpu), 0, 0, claim(page, word1)))
    }

    /// The guest accesses a page.
    pub fn access(&self, cpu: usize, page: u64, store: Option<u64>) -> Ended {
        accessed(&self.machine, cpu, page, store, |fault| self.table.fault(&self.cpu(cpu), fault))
    }

    /// The hypervisor resolves a fault of the guest's.
    pub fn fault(&self, cpu: usize, page: u64, access: Access) -> Outcome {
        self.table.fault(&self.cpu(cpu), &fault(page, access))
    }

    /// The page leaves its frame, which somebody else gets.
    pub fn page_out(&self) {
        let was = self.memory.page.swap(0, Ordering::AcqRel);
        self.table().evict(0, END);
        self.memory.pins.grace();
        if let Some(frame) = (was & (STORES - 1)).checked_sub(1) {
            self.machine().reuse(frame as usize);
        }
    }

    /// From now on the next store is noticed: what the page says now.
    pub fn harvest(&self) -> u64 {
        let was = self.memory.page.fetch_and(!STORES, Ordering::AcqRel);
        self.table().evict(0, END);
        let frame = (was & (STORES - 1)).checked_sub(1).expect("it is there");
        self.machine().contents(frame as usize)
    }

    /// What the guest reads of an entry.
    pub fn read(&self, index: u64) -> PaprEntry {
        patiently(|| self.table().read(0, index)).expect("in the table").entries()[0]
    }
}

/// Makes a call again for as long as others are at the entry.
pub fn patiently<T>(call: impl Fn() -> Result<T, Refusal>) -> Result<T, Refusal> {
    loop {
        match call() {
            Err(Refusal::Busy) => relax(),
            done => return done,
        }
    }
}

/// A CPU of the guest accesses a page, with as many storage interrupts as it takes.
pub(super) fn accessed(
    machine: &Machine,
    cpu: usize,
    page: u64,
    store: Option<u64>,
    resolve: impl Fn(&Fault) -> Outcome,
) -> Ended {
    let access = if store.is_some() { Access::Write } else { Access::Read };
    loop {
        match (machine.access(cpu, name(page), store), store) {
            (Some(value), None) => return Ended::Loaded(value),
            (Some(_), Some(_)) => return Ended::Stored,
            (None, _) => {}
        }
        match resolve(&fault(page, access)) {
            Outcome::Resume => {}
            Outcome::Busy => relax(),
            Outcome::Reflect(_) => return Ended::Refused,
            other => panic!("{other:?}"),
        }
    }
}

/// The storage interrupt of an access to the first byte of a page.
fn fault(page: u64, access: Access) -> Fault {
    Fault { ea: EffAddr::new(0), asdr: segment(page), access, problem_state: false, amr: 0, iamr: 0 }
}

fn segment(page: u64) -> VsidWord {
    VsidWord::of(Segment::Size1T, page, PageSize::Size4K)
}

/// The name of a page in doubleword 0.
pub fn name(page: u64) -> Word0 {
    Word0::naming(segment(page).translate(EffAddr::new(0)).expect("68 bits"))
}

/// What a guest says to get an entry: the only page of its memory.
pub fn claim(page: u64, word1: u64) -> PaprEntry {
    PaprEntry { word0: name(page).bits() | 1 << 62 | 1, word1 }
}

/// Runs two CPUs against each other in every order, between `before` and `check`.
pub fn every_order<X: 'static, Y: 'static>(
    preemptions: usize,
    there: bool,
    before: fn(&World),
    first: fn(&World) -> X,
    second: fn(&World) -> Y,
    check: fn(&World, X, Y),
) {
    every_order_of(preemptions, move || World::new(there), before, first, second, check);
}

/// The same in a world of any kind.
pub(super) fn every_order_of<W: Send + Sync + 'static, X: 'static, Y: 'static>(
    preemptions: usize,
    new: impl Fn() -> W + Send + Sync + 'static,
    before: fn(&W),
    first: fn(&W) -> X,
    second: fn(&W) -> Y,
    check: fn(&W, X, Y),
) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.max_branches = 20_000;
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = orders.clone();
    model.check(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let world = loom::sync::Arc::new(new());
        before(&world);
        let theirs = world.clone();
        let other = loom::thread::spawn(move || second(&theirs));
        let mine = first(&world);
        let other = other.join().expect("no panic");
        check(&world, mine, other);
    });
    std::println!("{} orders", orders.load(std::sync::atomic::Ordering::Relaxed));
}

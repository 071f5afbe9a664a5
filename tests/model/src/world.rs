//! The model and the real thing side by side.

use crate::memory::{Model, PAGE};
use crate::{Op, Setup, image};
use hv_core::mmu::{Config, Cpu, Memory, Seat, SlotSpec, Source, Space, SpaceError};
use machine::{Machine, Owned, on_cpu};
use ppc64_arch::addr::GuestReal;
use std::ops::AddAssign;

/// The partition.
pub const LPID: u32 = 3;

/// What a run came across: whether sequences do what they are meant to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Operations.
    pub operations: u64,
    /// Storage interrupts.
    pub faults: u64,
    /// Accesses that ended for want of memory.
    pub out_of_memory: u64,
    /// Accesses, and operations on slots and logs, that were refused, as the model said.
    pub refused: u64,
    /// Pages that harvests reported.
    pub harvested: u64,
    /// Of those, pages that nobody had written.
    pub over_reported: u64,
    /// Leaves that were split.
    pub splits: u64,
    /// Regions whose leaves became one.
    pub promotions: u64,
    /// Tables that were pruned.
    pub pruned: u64,
    /// Pages that went to the store.
    pub paged_out: u64,
    /// Pages whose contents were compared.
    pub compared: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.faults += other.faults;
        self.out_of_memory += other.out_of_memory;
        self.refused += other.refused;
        self.harvested += other.harvested;
        self.over_reported += other.over_reported;
        self.splits += other.splits;
        self.promotions += other.promotions;
        self.pruned += other.pruned;
        self.paged_out += other.paged_out;
        self.compared += other.compared;
    }
}

/// Runs a sequence on both.
///
/// # Panics
/// Where they differ.
pub fn run(setup: &Setup, ops: impl IntoIterator<Item = Op>) -> Tally {
    if setup.broadcast { run_on::<true>(setup, ops) } else { run_on::<false>(setup, ops) }
}

fn run_on<const BROADCAST: bool>(setup: &Setup, ops: impl IntoIterator<Item = Op>) -> Tally {
    let memory = machine::<BROADCAST>(setup);
    on_cpu(0);
    let config = Config { granule: setup.granule, budget: setup.budget.map(|pages| pages * PAGE), ..Config::default() };
    let space = match Space::build(&memory, LPID, &config) {
        Ok(space) => space,
        Err(why) => {
            let too_small = |least| setup.budget.is_some_and(|pages| pages * PAGE < least);
            assert!(matches!(why, SpaceError::BudgetTooSmall { least } if too_small(least)), "{setup:?}: {why:?}");
            return Tally::default();
        }
    };
    let (tally, mut cpus) = {
        let mut world = World::new(setup, &memory, &space);
        for op in ops {
            world.step(op);
        }
        world.finish()
    };
    space.destroy(&mut cpus[0]);
    for cpu in &mut cpus {
        cpu.frames.drain(&memory.pool);
    }
    assert_eq!(
        (memory.pool.free_bytes(), memory.pool.double_frees()),
        (memory.given(), 0),
        "frames are lost, or freed twice"
    );
    assert!(image::is_whole(&memory.hardware), "an image was written to");
    tally
}

fn machine<const BROADCAST: bool>(setup: &Setup) -> Owned<BROADCAST> {
    let hardware = Machine::<BROADCAST>::build(image::BYTES + setup.pool, setup.cpus, image::BYTES);
    image::write(&hardware);
    hardware.set_recording(setup.recording);
    if setup.speculates {
        hardware.speculate();
    }
    Owned::new(hardware, image::BYTES)
}

/// Both, in the middle of a sequence.
pub(crate) struct World<'a, 'm, const BROADCAST: bool> {
    pub(crate) setup: &'a Setup,
    pub(crate) memory: &'m Memory<Machine<BROADCAST>>,
    pub(crate) space: &'a Space<'m, Machine<BROADCAST>>,
    pub(crate) seats: Vec<Seat<'a, 'm, Machine<BROADCAST>>>,
    pub(crate) model: Model,
    /// Whether memory, or tables, may run out from now on.
    pub(crate) is_tight: bool,
    pub(crate) tally: Tally,
    /// What the guest is charged for while it has nothing: the root.
    pub(crate) charged: u64,
}

impl<'a, 'm, const BROADCAST: bool> World<'a, 'm, BROADCAST> {
    fn new(setup: &'a Setup, memory: &'m Memory<Machine<BROADCAST>>, space: &'a Space<'m, Machine<BROADCAST>>) -> Self {
        let seats = (0..setup.cpus).map(|id| Seat::new(space, Cpu::new(id).expect("few CPUs"))).collect();
        let (model, tally) = (Model::default(), Tally::default());
        let charged = space.ledger().drawn();
        let mut world = Self { setup, memory, space, seats, model, is_tight: setup.is_tight(), tally, charged };
        for (base, slot) in setup.slots() {
            world.add_slot(0, base, slot.bytes, slot.material, slot.read_only);
        }
        world
    }

    /// One operation on both.
    fn step(&mut self, op: Op) {
        self.tally.operations += 1;
        let cpu = op.cpu() % self.seats.len();
        on_cpu(cpu);
        match op {
            Op::Load { at, bytes, .. } => self.load(cpu, at, bytes),
            Op::Store { at, bytes, seed, .. } => self.store(cpu, at, bytes, seed),
            Op::Sweep { at, pages, seed, .. } => self.sweep(cpu, at, pages, seed),
            Op::Noise { at, seed, .. } => self.noise(cpu, at, seed),
            Op::Fetch { at, .. } => self.fetch(cpu, at),
            Op::Read { at, bytes, .. } => self.read(cpu, at, bytes),
            Op::Write { at, bytes, seed, .. } => self.write(cpu, at, bytes, seed),
            Op::Zero { at, bytes, .. } => self.zero(cpu, at, bytes),
            Op::AddSlot { base, bytes, material, read_only, .. } => {
                self.add_slot(cpu, base, bytes, material, read_only)
            }
            Op::RemoveSlot { base, .. } => self.remove_slot(cpu, base),
            Op::ResizeSlot { base, bytes, .. } => self.resize_slot(cpu, base, bytes),
            Op::SetReadOnly { base, read_only, .. } => self.set_read_only(cpu, base, read_only),
            Op::Unmap { from, to, .. } => self.unmap(cpu, from, to),
            Op::Empty { .. } => self.empty(cpu),
            Op::StartLog { base, .. } => self.start_log(cpu, base),
            Op::StopLog { base, .. } => self.stop_log(cpu, base),
            Op::Harvest { base, .. } => self.harvest(cpu, base),
            Op::Split { at, .. } => self.split(cpu, at),
            Op::Promote { at, .. } => self.promote(cpu, at),
            Op::Age { from, to, .. } => self.age(cpu, from, to),
            Op::Prune { .. } => self.prune(cpu),
            Op::PageOut { .. } => self.page_out(cpu),
            Op::LimitTables { pages } => self.limit_tables(pages),
            Op::Deliver { keep, .. } => {
                self.memory.hardware.deliver(cpu, keep);
            }
            Op::Drain { .. } => self.drain(cpu),
        }
        self.check_after(&op);
    }

    /// Runs a mutation on CPU `cpu`.
    pub(crate) fn mutate<T>(&self, cpu: usize, work: impl FnOnce(&Space<'m, Machine<BROADCAST>>, &mut Cpu) -> T) -> T {
        self.seats[cpu].with_cpu(work)
    }

    fn drain(&self, cpu: usize) {
        self.mutate(cpu, |space, cpu| cpu.frames.drain(&space.memory().pool));
    }
}

/// The slot that hv-core is told of.
pub(crate) fn spec(base: u64, bytes: u64, material: crate::memory::Material, read_only: bool) -> SlotSpec {
    let source = match material {
        crate::memory::Material::Zero => Source::Zero,
        crate::memory::Material::Image { offset, bytes } => Source::Image { at: image::host(offset), bytes },
    };
    SlotSpec { base: GuestReal::new(base), bytes, source, read_only }
}

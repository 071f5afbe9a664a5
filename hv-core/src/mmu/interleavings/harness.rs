//! Runs two CPUs against each other in every order, and draws up the account afterwards.

use super::machine::{Machine, be_cpu};
use super::world::{FREE_AT_FIRST, Setup, World, touch_all_free};
use crate::mmu::audit::Audit;
use crate::mmu::stats::{Pages, Stats};
use crate::mmu::{Cpu, Space};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A CPU at the model's guest.
pub type Seat<const B: bool = true> = crate::mmu::Seat<'static, 'static, Machine<B>>;
type Guest<const B: bool> = &'static Space<'static, Machine<B>>;

/// What a model does: `first` on CPU 0 against `second` on CPU 1, between `before` and `check`, which CPU 0 does alone.
#[derive(Clone, Copy)]
pub struct Run<Before, First, Second, Check> {
    pub setup: Setup,
    /// The most involuntary switches between the two.
    pub preemptions: usize,
    pub before: Before,
    pub first: First,
    pub second: Second,
    pub check: Check,
}

impl<Before, First, Second, Check> Run<Before, First, Second, Check> {
    /// Every order, on a machine whose flushes are broadcast or not. How many there were is printed, for whoever passes `--nocapture`.
    pub fn every_order<X: 'static, Y: 'static, const B: bool>(self)
    where
        Before: Fn(&Seat<B>) + Copy + Send + Sync + 'static,
        First: Fn(&Seat<B>) -> X + Copy + Send + Sync + 'static,
        Second: Fn(&Seat<B>) -> Y + Copy + Send + Sync + 'static,
        Check: Fn(&Seat<B>, X, Y) + Copy + Send + Sync + 'static,
    {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(self.preemptions);
        model.max_branches = 20_000;
        let orders = Arc::new(AtomicU64::new(0));
        let counted = orders.clone();
        model.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            self.one_order::<X, Y, B>();
        });
        std::println!("{} orders", orders.load(Ordering::Relaxed));
    }

    fn one_order<X: 'static, Y: 'static, const B: bool>(self)
    where
        Before: Fn(&Seat<B>),
        First: Fn(&Seat<B>) -> X,
        Second: Fn(&Seat<B>) -> Y + Send + 'static,
        Check: Fn(&Seat<B>, X, Y),
    {
        let world = World::new(&self.setup);
        let space = world.space();
        let seat = Seat::new(space, Cpu::new(0).expect("a number"));
        (self.before)(&seat);
        let cpu = seat.leave();
        let second = self.second;
        let other = loom::thread::spawn(move || on_cpu(space, Cpu::new(1).expect("a number"), second));
        let (mut cpu, a) = on_cpu(space, cpu, self.first);
        let (theirs, b) = other.join().expect("no panic");
        add(&mut cpu.stats, &theirs.stats);
        let seat = Seat::new(space, cpu);
        check_books(&seat);
        (self.check)(&seat, a, b);
        tear_down(seat, theirs);
    }
}

fn on_cpu<R, const B: bool>(space: Guest<B>, cpu: Cpu, work: impl Fn(&Seat<B>) -> R) -> (Cpu, R) {
    be_cpu(cpu.id());
    let seat = Seat::new(space, cpu);
    let result = work(&seat);
    (seat.leave(), result)
}

fn add(sum: &mut Stats, more: &Stats) {
    sum.made.merge(&more.made);
    sum.unmapped.merge(&more.unmapped);
    sum.tables_made += more.tables_made;
    sum.tables_freed += more.tables_freed;
}

/// Made − unmapped = live, for pages and tables.
fn check_books<const B: bool>(seat: &Seat<B>) {
    let audit = Audit::of(seat.space());
    assert_eq!((audit.transit, audit.broken), (0, 0));
    assert_eq!(seat.space().store().map_or(0, |store| store.held().pages), audit.stored);
    seat.with_cpu(|_, cpu| {
        let mut live: Pages = cpu.stats.made;
        live.subtract(&cpu.stats.unmapped);
        assert_eq!(live, audit.live);
        assert_eq!(cpu.stats.tables_made - cpu.stats.tables_freed, audit.tables);
    });
}

/// Every frame comes back, once.
fn tear_down<const B: bool>(seat: Seat<B>, mut other: Cpu) {
    let memory = seat.space().memory();
    seat.with_cpu(|space, cpu| {
        space.clear(cpu);
        cpu.frames.drain(&memory.pool);
    });
    other.frames.drain(&memory.pool);
    assert_eq!((memory.pool.free_bytes(), memory.pool.double_frees()), (FREE_AT_FIRST, 0));
    touch_all_free(memory);
}

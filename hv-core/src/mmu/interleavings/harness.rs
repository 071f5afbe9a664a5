//! Runs two or three CPUs against each other in every order, and draws up the account afterwards.

use super::account::{Seat, check_books, on_cpu, tear_down};
use super::world::{Setup, World};
use crate::mmu::Cpu;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a model does: `first` on CPU 0 against `second` on each other CPU, between `before` and `check`, which CPU 0 does alone. How many others there are follows
/// from what `check` is given.
#[derive(Clone, Copy)]
pub struct Run<Before, First, Second, Check> {
    pub setup: Setup,
    /// The most involuntary switches between them.
    pub preemptions: usize,
    pub before: Before,
    pub first: First,
    pub second: Second,
    pub check: Check,
}

impl<Before, First, Second, Check> Run<Before, First, Second, Check> {
    /// Every order, on a machine whose flushes are broadcast or not. How many there were is printed, for whoever passes `--nocapture`.
    pub fn every_order<X: 'static, Y: 'static, const B: bool, const OTHERS: usize>(self)
    where
        Before: Fn(&Seat<B>) + Copy + Send + Sync + 'static,
        First: Fn(&Seat<B>) -> X + Copy + Send + Sync + 'static,
        Second: Fn(&Seat<B>) -> Y + Copy + Send + Sync + 'static,
        Check: Fn(&Seat<B>, X, [Y; OTHERS]) + Copy + Send + Sync + 'static,
    {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(self.preemptions);
        model.max_branches = 20_000;
        let orders = Arc::new(AtomicU64::new(0));
        let counted = orders.clone();
        model.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            self.one_order::<X, Y, B, OTHERS>();
        });
        std::println!("{} orders", orders.load(Ordering::Relaxed));
    }

    fn one_order<X: 'static, Y: 'static, const B: bool, const OTHERS: usize>(self)
    where
        Before: Fn(&Seat<B>),
        First: Fn(&Seat<B>) -> X,
        Second: Fn(&Seat<B>) -> Y + Copy + Send + 'static,
        Check: Fn(&Seat<B>, X, [Y; OTHERS]),
    {
        let world = World::new(&self.setup);
        let space = world.space();
        let seat = Seat::new(space, Cpu::new(0).expect("a number"));
        (self.before)(&seat);
        let cpu = seat.leave();
        let second = self.second;
        let others: [_; OTHERS] = core::array::from_fn(|other| {
            loom::thread::spawn(move || on_cpu(space, Cpu::new(other + 1).expect("a number"), second))
        });
        let (mut cpu, a) = on_cpu(space, cpu, self.first);
        let mut cpus = Vec::new();
        let others = others.map(|other| {
            let (other, outcome) = other.join().expect("no panic");
            cpu.stats.merge(&other.stats);
            cpus.push(other);
            outcome
        });
        let seat = Seat::new(space, cpu);
        check_books(&seat);
        (self.check)(&seat, a, others);
        tear_down(seat, cpus);
    }
}

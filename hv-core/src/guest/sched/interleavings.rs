//! Two CPUs at one scheduler, in every order: there is no bound on preemptions, since each test is small enough to do without; but for `whole`, which states its own.
//!
//! | test | who meets whom | what is defended |
//! | --- | --- | --- |
//! | `hand_over` | requeue, next; a thief | the state before the queue; a swap takes out |
//! | `notes` | block; wake | the note, and that a swap hands over the reason |
//! | `sleep` | next, going to sleep; wake, confer | the fences; the look at all queues; somebody comes for the rest |
//! | `choice` | wake; wake | two sleepers for two vCPUs |
//! | `want` | next; wake | cleared before the queue is looked at |
//! | `confer` | confer; next | a swap takes out, wherever it stands |
//! | `life` | start, stop, end | who is last; nobody is queued twice |
//! | `time` | due; wake | nobody is queued twice |
//! | `whole` | two run loops | all of it: nobody sleeps for ever |
//!
//! A vCPU's registers stand for what its owner does to it: two owners at once, or one that does not see what the last one did, are a data race. Kicks are counted beside the model, so
//! that they order nothing: a CPU that sleeps and was not kicked sleeps for ever.

mod choice;
mod confer;
mod hand_over;
mod life;
mod notes;
mod sleep;
mod time;
mod want;
mod whole;

use super::{Kick, MAX_CPUS, NEVER, Sched, State};
use crate::sync::{AtomicU64, Ordering};
use loom::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::AtomicU64 as Uncounted;

/// What the CPUs share in one order.
struct Stage {
    sched: Sched,
    kicks: Kicks,
    registers: [UnsafeCell<()>; 2],
    /// What a wake tells of.
    reason: AtomicU64,
}

/// How often each CPU was kicked.
#[derive(Default)]
struct Kicks([Uncounted; MAX_CPUS]);

impl Kick for Kicks {
    fn kick(&self, cpu: usize) {
        self.0[cpu].fetch_add(1, Ordering::Relaxed);
    }
}

impl Stage {
    fn new(vcpus: usize, cpus: usize) -> Self {
        let registers = core::array::from_fn(|_| UnsafeCell::new(()));
        Self { sched: Sched::new(vcpus, cpus), kicks: Kicks::default(), registers, reason: AtomicU64::new(0) }
    }

    fn was_kicked(&self, cpu: usize) -> bool {
        self.kicks.0[cpu].load(Ordering::Relaxed) != 0
    }

    /// Kicks until now do not count.
    fn forget_kicks(&self) {
        self.kicks.0.iter().for_each(|kicks| kicks.store(0, Ordering::Relaxed));
    }

    fn start(&self, vcpu: usize, cpu: usize) -> bool {
        self.sched.start(vcpu, cpu, &self.kicks)
    }

    fn wake(&self, vcpu: usize, cpu: usize) {
        self.sched.wake(1 << vcpu, cpu, &self.kicks);
    }

    fn requeue(&self, vcpu: usize, cpu: usize) {
        self.run(vcpu);
        self.sched.requeue(vcpu, cpu);
    }

    /// The next one, which runs for a moment.
    fn next(&self, cpu: usize) -> Option<usize> {
        let vcpu = self.sched.next(cpu, &self.kicks)?;
        self.run(vcpu);
        Some(vcpu)
    }

    fn run(&self, vcpu: usize) {
        self.registers[vcpu].with_mut(|_| {});
    }

    /// vCPU number `vcpu` runs on `cpu`, from the beginning.
    fn begin(&self, vcpu: usize, cpu: usize) {
        assert!(self.start(vcpu, cpu));
        assert_eq!(self.next(cpu), Some(vcpu));
    }

    /// All that is queued at the end, taken out by CPU 0.
    fn rest(&self) -> Vec<usize> {
        core::iter::from_fn(|| self.next(0)).collect()
    }
}

/// `first` is what CPU 0 does (alone: `before` and `check`), `second` what CPU 1 does.
struct Run<X, Y> {
    vcpus: usize,
    cpus: usize,
    before: fn(&Stage),
    first: fn(&Stage) -> X,
    second: fn(&Stage) -> Y,
    check: fn(&Stage, X, Y),
}

impl<X: 'static, Y: 'static> Run<X, Y> {
    /// How many orders there were is printed, for whoever passes `--nocapture`.
    fn every_order(self) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = None;
        let orders = Arc::new(Uncounted::new(0));
        let counted = orders.clone();
        let Self { vcpus, cpus, before, first, second, check } = self;
        model.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let stage = Arc::new(Stage::new(vcpus, cpus));
            before(&stage);
            stage.forget_kicks();
            let its = stage.clone();
            let other = loom::thread::spawn(move || second(&its));
            let x = first(&stage);
            let y = other.join().expect("no panic");
            check(&stage, x, y);
        });
        std::println!("{} orders", orders.load(Ordering::Relaxed));
    }
}

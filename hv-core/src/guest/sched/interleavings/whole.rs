//! A guest's whole life on two CPUs that really sleep: whoever is not woken sleeps for ever, which the model finds. At most three involuntary switches.
//!
//! vCPU 0 waits for what vCPU 1 makes; each stops then, and the last one ends the guest.

use super::{NEVER, Stage};
use crate::guest::sched::Kick;
use crate::sync::Ordering;
use loom::sync::{Condvar, Mutex};
use std::sync::Arc;

/// Kicks that wake a sleeper, or the next one.
struct Bells([(Mutex<bool>, Condvar); 2]);

impl Bells {
    fn new() -> Self {
        Self(core::array::from_fn(|_| (Mutex::new(false), Condvar::new())))
    }

    fn sleep(&self, cpu: usize) {
        let (rung, bell) = &self.0[cpu];
        let mut rung = rung.lock().expect("no panic");
        while !*rung {
            rung = bell.wait(rung).expect("no panic");
        }
        *rung = false;
    }
}

impl Kick for Bells {
    fn kick(&self, cpu: usize) {
        let (rung, bell) = &self.0[cpu];
        *rung.lock().expect("no panic") = true;
        bell.notify_one();
    }
}

/// One CPU from its first vCPU to the guest's end.
fn run(stage: &Stage, bells: &Bells, cpu: usize) {
    let sched = &stage.sched;
    while !sched.has_ended() {
        match sched.next(cpu, bells) {
            Some(vcpu) => stay(stage, bells, vcpu, cpu),
            None if sched.going_to_sleep(cpu) => {
                bells.sleep(cpu);
                sched.woke(cpu);
            }
            None => {}
        }
    }
}

fn stay(stage: &Stage, bells: &Bells, vcpu: usize, cpu: usize) {
    stage.run(vcpu);
    let makes = vcpu == 1;
    if makes {
        stage.reason.store(1, Ordering::Relaxed);
        stage.sched.wake(1, cpu, bells);
    }
    while !makes && stage.reason.load(Ordering::Relaxed) == 0 {
        stage.run(vcpu);
        if stage.sched.block(vcpu, cpu, NEVER) {
            return;
        }
    }
    if stage.sched.stop(vcpu, cpu) == 0 {
        stage.sched.end(bells);
    }
}

#[test]
fn a_guest_on_two_cpus_comes_to_its_end() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.max_branches = 10_000;
    let orders = Arc::new(super::Uncounted::new(0));
    let counted = orders.clone();
    model.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new((Stage::new(2, 2), Bells::new()));
        let (stage, bells) = &*shared;
        assert!((0..2).all(|vcpu| stage.sched.start(vcpu, 0, bells)));
        let its = shared.clone();
        let other = loom::thread::spawn(move || run(&its.0, &its.1, 1));
        run(stage, bells, 0);
        other.join().expect("no panic");
        assert_eq!(stage.sched.running(), 0);
    });
    std::println!("{} orders", orders.load(Ordering::Relaxed));
}

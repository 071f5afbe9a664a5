//! A CPU that goes to sleep while somebody can run again: it stays awake, or it is kicked, or the vCPU was taken.

use super::{Kick, NEVER, Run, Stage};
use crate::sync::Ordering;

/// CPU 0 has nothing to do; whether it sleeps.
fn go_to_sleep(stage: &Stage) -> bool {
    stage.next(0).is_none() && stage.sched.going_to_sleep(0)
}

/// A CPU that sleeps for ever, for nobody kicked it, leaves nobody in a queue.
fn not_beside_work(stage: &Stage, sleeps: bool) {
    assert!(!sleeps || stage.was_kicked(0) || stage.rest().is_empty());
}

#[test]
fn a_cpu_does_not_sleep_while_its_own_vcpu_is_woken() {
    Run {
        vcpus: 1,
        cpus: 2,
        before: |stage| {
            stage.begin(0, 0);
            assert!(stage.sched.block(0, 0, NEVER));
        },
        first: go_to_sleep,
        second: |stage| stage.wake(0, 1),
        check: |stage, sleeps, ()| not_beside_work(stage, sleeps),
    }
    .every_order();
}

/// CPU 1 runs vCPU 1; vCPU 0 was there before.
fn two_on_cpu_1(stage: &Stage) {
    stage.begin(1, 1);
    assert!(stage.start(0, 0));
    assert_eq!(stage.next(1), Some(0));
}

#[test]
fn a_cpu_does_not_sleep_beside_a_queue_that_it_could_steal_from() {
    Run {
        vcpus: 2,
        cpus: 2,
        before: |stage| {
            two_on_cpu_1(stage);
            assert!(stage.sched.block(1, 1, NEVER));
            // vCPU 0 still runs there.
            stage.requeue(0, 1);
            assert_eq!(stage.next(1), Some(0));
        },
        first: go_to_sleep,
        second: |stage| stage.wake(1, 1),
        check: |stage, sleeps, ()| not_beside_work(stage, sleeps),
    }
    .every_order();
}

#[test]
fn a_cpu_does_not_sleep_beside_one_that_let_another_go_first() {
    Run {
        vcpus: 2,
        cpus: 2,
        before: |stage| {
            two_on_cpu_1(stage);
            stage.requeue(1, 1);
        },
        first: go_to_sleep,
        second: |stage| {
            let _taken_by_the_other = stage.sched.confer(1, 1);
            stage.requeue(0, 1);
            let _either = stage.next(1);
        },
        check: |stage, sleeps, ()| not_beside_work(stage, sleeps),
    }
    .every_order();
}

#[test]
fn a_cpu_that_slept_finds_what_it_was_chosen_for() {
    Run {
        vcpus: 1,
        cpus: 2,
        before: |stage| {
            stage.begin(0, 0);
            assert!(stage.sched.block(0, 0, NEVER));
            assert!(stage.sched.going_to_sleep(0));
        },
        // Kicked or not: its time is over.
        first: |stage| {
            let kicked = stage.reason.load(Ordering::Relaxed) == 1;
            stage.sched.woke(0);
            let next = stage.next(0);
            assert!(!kicked || next == Some(0));
            next.is_none() && stage.sched.going_to_sleep(0)
        },
        // The kick is part of the model here, and orders nothing.
        second: |stage| {
            let kick = |cpu| {
                stage.kicks.kick(cpu);
                stage.reason.store(1, Ordering::Relaxed);
            };
            stage.sched.wake(1, 1, &kick);
        },
        check: |stage, sleeps, ()| not_beside_work(stage, sleeps),
    }
    .every_order();
}

#[test]
fn the_end_finds_a_cpu_awake_or_kicks_it() {
    Run {
        vcpus: 1,
        cpus: 2,
        before: |_| {},
        first: |stage| {
            let ended = stage.sched.has_ended();
            assert!(!ended || stage.reason.load(Ordering::Relaxed) == 1, "why is seen as well");
            !ended && go_to_sleep(stage)
        },
        second: |stage| {
            stage.reason.store(1, Ordering::Relaxed);
            stage.sched.end(&stage.kicks);
        },
        check: |stage, sleeps, ()| {
            assert!(!sleeps || stage.was_kicked(0));
            assert!(stage.sched.has_ended() && stage.sched.is_wanted(0) && stage.sched.is_wanted(1));
        },
    }
    .every_order();
}

//! A wake that comes while its vCPU is about to block, or elsewhere on its way.

use super::{NEVER, Run, Stage, State};
use crate::sync::Ordering;

/// CPU 0 runs vCPU 0 until it blocks; whether it found the reason before.
fn look_and_block(stage: &Stage) -> bool {
    loop {
        if stage.reason.load(Ordering::Relaxed) != 0 {
            return true;
        }
        stage.run(0);
        if stage.sched.block(0, 0, NEVER) {
            return false;
        }
    }
}

fn make_a_reason(stage: &Stage) {
    stage.reason.store(1, Ordering::Relaxed);
    stage.wake(0, 1);
}

fn not_lost(stage: &Stage, found: bool, (): ()) {
    let expected = if found { State::Running } else { State::Queued };
    assert_eq!(stage.sched.state(0), expected);
    assert_eq!(stage.rest().len(), usize::from(!found));
}

#[test]
fn whoever_blocks_is_woken_or_finds_the_reason() {
    Run {
        vcpus: 1,
        cpus: 2,
        before: |stage| stage.begin(0, 0),
        first: look_and_block,
        second: make_a_reason,
        check: not_lost,
    }
    .every_order();
}

#[test]
fn a_second_note_hands_over_its_reason_too() {
    Run {
        vcpus: 1,
        cpus: 2,
        before: |stage| {
            stage.begin(0, 0);
            stage.wake(0, 1);
        },
        first: look_and_block,
        second: make_a_reason,
        check: not_lost,
    }
    .every_order();
}

#[test]
fn a_wake_that_meets_a_queued_vcpu_is_found_when_that_blocks() {
    Run {
        vcpus: 1,
        cpus: 1,
        before: |stage| stage.begin(0, 0),
        first: |stage| {
            stage.requeue(0, 0);
            assert_eq!(stage.next(0), Some(0));
            look_and_block(stage)
        },
        second: make_a_reason,
        check: not_lost,
    }
    .every_order();
}

#[test]
fn a_vcpu_that_runs_without_the_reason_is_made_to_leave() {
    Run {
        vcpus: 1,
        cpus: 2,
        before: |stage| assert!(stage.start(0, 0)),
        first: |stage| {
            assert_eq!(stage.next(0), Some(0));
            stage.reason.load(Ordering::Relaxed) != 0
        },
        second: make_a_reason,
        check: |stage, entered_with_it, ()| assert!(entered_with_it || stage.was_kicked(0)),
    }
    .every_order();
}

#[test]
fn two_wakes_queue_a_vcpu_once() {
    Run {
        vcpus: 1,
        cpus: 2,
        before: |stage| {
            stage.begin(0, 0);
            assert!(stage.sched.block(0, 0, NEVER));
        },
        first: |stage| stage.wake(0, 0),
        second: |stage| stage.wake(0, 1),
        check: |stage, (), ()| assert_eq!(stage.rest(), [0]),
    }
    .every_order();
}

#[test]
fn two_that_are_woken_at_once_are_both_in_the_queue() {
    Run {
        vcpus: 2,
        cpus: 2,
        before: |stage| {
            for vcpu in 0..2 {
                assert!(stage.start(vcpu, 0));
                assert_eq!(stage.next(0), Some(vcpu));
                assert!(stage.sched.block(vcpu, 0, NEVER));
            }
        },
        first: |stage| stage.wake(0, 0),
        second: |stage| stage.wake(1, 1),
        check: |stage, (), ()| assert_eq!(stage.rest().len(), 2),
    }
    .every_order();
}

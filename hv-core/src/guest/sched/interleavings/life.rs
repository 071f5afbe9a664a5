//! Starts and stops.

use super::{Run, Stage};

/// The last one has seen what the other one did.
fn stop(stage: &Stage, vcpu: usize, cpu: usize) -> u64 {
    let left = stage.sched.stop(vcpu, cpu);
    if left == 0 {
        stage.run(1 - vcpu);
    }
    left
}

#[test]
fn only_the_last_that_stops_is_told_that_it_is() {
    Run {
        vcpus: 2,
        cpus: 2,
        before: |stage| stage.begin(0, 0),
        first: |stage| {
            assert!(stage.start(1, 0));
            stage.run(0);
            stop(stage, 0, 0)
        },
        second: |stage| stage.next(1).map(|vcpu| stop(stage, vcpu, 1)),
        check: |stage, here, there| {
            let mut told: Vec<_> = [Some(here), there].into_iter().flatten().collect();
            told.sort_unstable();
            assert_eq!(told, if there.is_some() { vec![0, 1] } else { vec![1] });
            assert_eq!(stage.sched.running(), u64::from(there.is_none()));
        },
    }
    .every_order();
}

#[test]
fn two_starts_start_once() {
    Run {
        vcpus: 1,
        cpus: 2,
        before: |_| {},
        first: |stage| stage.start(0, 0),
        second: |stage| stage.start(0, 1),
        check: |stage, here, there| {
            assert!(here != there);
            assert_eq!((stage.sched.running(), stage.rest()), (1, vec![0]));
        },
    }
    .every_order();
}

#[test]
fn a_start_that_meets_a_stop_comes_too_early_or_begins_anew() {
    Run {
        vcpus: 2,
        cpus: 2,
        before: |stage| {
            stage.begin(0, 0);
            stage.begin(1, 1);
        },
        first: |stage| {
            stage.run(0);
            stage.sched.stop(0, 0)
        },
        second: |stage| {
            let started = stage.start(0, 1);
            if started {
                stage.run(0);
            }
            started
        },
        check: |stage, left, started| {
            // A start that is in vain counts as long as it takes.
            assert!((1..=2).contains(&left));
            assert_eq!(stage.sched.is_stopped(0), !started);
            assert_eq!(stage.sched.running(), 1 + u64::from(started));
        },
    }
    .every_order();
}

#[test]
fn whoever_sees_a_vcpu_stopped_sees_all_that_it_did() {
    Run {
        vcpus: 1,
        cpus: 2,
        before: |stage| stage.begin(0, 0),
        first: |stage| {
            stage.run(0);
            stage.sched.stop(0, 0)
        },
        second: |stage| {
            if stage.sched.is_stopped(0) {
                stage.run(0);
            }
        },
        check: |_, left, ()| assert_eq!(left, 0),
    }
    .every_order();
}

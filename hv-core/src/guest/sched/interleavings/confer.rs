//! A vCPU that another one lets go first, just as its own CPU takes it.

use super::{Run, State};

#[test]
fn whom_somebody_confers_to_runs_once() {
    Run {
        vcpus: 2,
        cpus: 2,
        before: |stage| {
            stage.begin(0, 0);
            assert!(stage.start(1, 0));
        },
        first: |stage| {
            let conferred = stage.sched.confer(1, 0);
            stage.requeue(0, 0);
            let next = stage.next(0);
            assert!(!conferred || next == Some(1));
            next
        },
        second: |stage| stage.next(1),
        check: |stage, here, there| {
            let mut all: Vec<_> = [here, there].into_iter().flatten().chain(stage.rest()).collect();
            all.sort_unstable();
            assert_eq!(all, [0, 1]);
            assert!((0..2).all(|vcpu| stage.sched.state(vcpu) == State::Running));
        },
    }
    .every_order();
}

#[test]
fn the_others_of_a_queue_stay_in_it() {
    Run {
        vcpus: 2,
        cpus: 2,
        before: |stage| {
            stage.begin(0, 0);
            stage.begin(1, 1);
            stage.requeue(1, 1);
        },
        first: |stage| stage.sched.confer(1, 0),
        // The queue changes under the one who takes something out of it.
        second: |stage| {
            assert!(stage.next(1).is_none_or(|vcpu| vcpu == 1));
        },
        check: |stage, conferred, ()| {
            assert_eq!(stage.sched.state(1), State::Running);
            assert_eq!(stage.rest(), if conferred { vec![1] } else { vec![] });
        },
    }
    .every_order();
}

//! A wake that wants a CPU which is just about to run somebody.

use super::{NEVER, Run};

#[test]
fn whoever_is_woken_behind_the_next_one_makes_its_cpu_wanted() {
    Run {
        vcpus: 2,
        cpus: 2,
        before: |stage| {
            stage.begin(0, 0);
            assert!(stage.sched.block(0, 0, NEVER));
            stage.begin(1, 1);
            stage.requeue(1, 0);
        },
        first: |stage| {
            assert_eq!(stage.next(0), Some(1));
            // It came after the head was taken, if it came.
            !stage.sched.has_queued(0)
        },
        second: |stage| stage.wake(0, 1),
        check: |stage, came_later, ()| {
            assert!(!came_later || stage.sched.is_wanted(0) && stage.was_kicked(0));
            assert_eq!(stage.rest(), [0]);
        },
    }
    .every_order();
}

#[test]
fn a_wanted_cpu_finds_whom_it_is_wanted_for() {
    Run {
        vcpus: 1,
        cpus: 2,
        before: |stage| {
            stage.begin(0, 0);
            assert!(stage.sched.block(0, 0, NEVER));
        },
        first: |stage| {
            let wanted = stage.sched.is_wanted(0);
            let next = stage.next(0);
            assert!(!wanted || next == Some(0));
        },
        second: |stage| stage.wake(0, 1),
        check: |stage, (), ()| assert!(stage.rest().len() <= 1),
    }
    .every_order();
}

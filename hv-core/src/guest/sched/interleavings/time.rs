//! A vCPU whose time has come just as it is woken.

use super::{NEVER, Run};

#[test]
fn whoever_is_due_and_woken_is_queued_once() {
    Run {
        vcpus: 1,
        cpus: 2,
        before: |stage| {
            stage.begin(0, 0);
            assert!(stage.sched.block(0, 0, 5));
        },
        first: |stage| assert_eq!(stage.sched.due(0, 5, &stage.kicks), NEVER),
        second: |stage| stage.wake(0, 1),
        check: |stage, (), ()| assert_eq!(stage.rest(), [0]),
    }
    .every_order();
}

#[test]
fn whoever_was_stolen_and_blocks_elsewhere_is_not_woken_by_its_old_time() {
    Run {
        vcpus: 1,
        cpus: 2,
        before: |stage| {
            stage.begin(0, 0);
            assert!(stage.sched.block(0, 0, 5));
        },
        first: |stage| stage.sched.due(0, 5, &stage.kicks),
        second: |stage| {
            stage.wake(0, 1);
            let stolen = stage.next(1).is_some();
            if stolen {
                // If it was due and woken, that is noted, and it runs on.
                let _either = stage.sched.block(0, 1, NEVER);
            }
            stolen
        },
        check: |stage, _, stolen| assert_eq!(stage.rest().len(), usize::from(!stolen)),
    }
    .every_order();
}

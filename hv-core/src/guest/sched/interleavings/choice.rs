//! Two wakes that look for a sleeper at once.

use super::{NEVER, Run};

#[test]
fn two_wakes_at_once_choose_two_sleepers() {
    Run {
        vcpus: 2,
        cpus: 4,
        before: |stage| {
            for cpu in 0..2 {
                stage.begin(cpu, cpu);
                assert!(stage.sched.block(cpu, cpu, NEVER));
            }
            assert!((2..4).all(|cpu| stage.sched.going_to_sleep(cpu)));
        },
        // Each wakes what was last on the other, which does not sleep.
        first: |stage| stage.wake(1, 0),
        second: |stage| stage.wake(0, 1),
        check: |stage, (), ()| assert!(stage.was_kicked(2) && stage.was_kicked(3)),
    }
    .every_order();
}

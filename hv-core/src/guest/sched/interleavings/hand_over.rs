//! A vCPU goes from CPU to CPU: never had by two, never lost.

use super::{Run, State};

#[test]
fn what_one_cpu_gives_away_exactly_one_takes() {
    Run {
        vcpus: 1,
        cpus: 2,
        before: |stage| stage.begin(0, 0),
        first: |stage| {
            stage.requeue(0, 0);
            stage.next(0)
        },
        second: |stage| stage.next(1),
        check: |stage, here, there| {
            assert_eq!([here, there].iter().flatten().count(), 1);
            assert_eq!(stage.sched.state(0), State::Running);
        },
    }
    .every_order();
}

#[test]
fn a_thief_and_the_queues_own_cpu_take_one_each() {
    Run {
        vcpus: 2,
        cpus: 2,
        before: |stage| {
            stage.begin(0, 0);
            stage.begin(1, 1);
            stage.requeue(0, 0);
            stage.requeue(1, 0);
        },
        first: |stage| stage.next(0),
        second: |stage| stage.next(1),
        check: |_, here, there| {
            let mut taken: Vec<_> = [here, there].into_iter().flatten().collect();
            taken.sort_unstable();
            assert_eq!(taken, [0, 1]);
        },
    }
    .every_order();
}

#[test]
fn a_vcpu_goes_to_the_thief_and_back() {
    Run {
        vcpus: 1,
        cpus: 2,
        before: |stage| stage.begin(0, 0),
        first: |stage| {
            stage.requeue(0, 0);
            stage.next(0).is_some()
        },
        second: |stage| {
            let stolen = stage.next(1).is_some();
            if stolen {
                stage.requeue(0, 1);
            }
            stolen
        },
        check: |stage, here, there| {
            assert!(here || there);
            assert_eq!(stage.rest().len(), usize::from(!here), "it is where it was put last");
        },
    }
    .every_order();
}

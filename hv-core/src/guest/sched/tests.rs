//! One after the other: who comes next, whom a wake kicks, when it is time. What happens at once is in `interleavings`.

use super::*;
use std::cell::RefCell;

/// Remembers who was kicked.
#[derive(Default)]
struct Kicked(RefCell<Vec<usize>>);

impl Kick for Kicked {
    fn kick(&self, cpu: usize) {
        self.0.borrow_mut().push(cpu);
    }
}

impl Kicked {
    fn take(&self) -> Vec<usize> {
        self.0.take()
    }
}

/// All vCPUs are started by CPU 0, each in the queue of the CPU of its number (modulo how many there are).
fn started(vcpus: usize, cpus: usize) -> (Sched, Kicked) {
    let (sched, kicked) = (Sched::new(vcpus, cpus), Kicked::default());
    assert!((0..vcpus).all(|vcpu| sched.start(vcpu, 0, &kicked)));
    kicked.take();
    (sched, kicked)
}

#[test]
fn two_that_never_yield_alternate_on_one_cpu() {
    let (sched, kicked) = started(2, 1);
    let mut order = Vec::new();
    for _ in 0..6 {
        let vcpu = sched.next(0, &kicked).expect("one is queued");
        order.push(vcpu);
        assert!(sched.has_queued(0));
        sched.requeue(vcpu, 0);
    }
    assert_eq!(order, [0, 1, 0, 1, 0, 1]);
}

#[test]
fn two_that_wake_each_other_leave_a_third_its_slices() {
    let (sched, kicked) = started(3, 1);
    let mut order = Vec::new();
    for _ in 0..9 {
        let vcpu = sched.next(0, &kicked).expect("one is queued");
        order.push(vcpu);
        match vcpu {
            2 => sched.requeue(2, 0),
            waker => {
                sched.wake(1 << (1 - waker), 0, &kicked);
                while !sched.block(waker, 0, NEVER) {}
            }
        }
    }
    assert!(order.windows(3).all(|three| three.contains(&2)), "{order:?}");
}

#[test]
fn a_cpu_without_work_steals_from_the_next_queue_that_has_some() {
    let (sched, kicked) = started(6, 3);
    let order: Vec<_> = core::iter::from_fn(|| sched.next(1, &kicked)).collect();
    assert_eq!(order, [1, 4, 2, 5, 0, 3]);
    assert!((0..6).all(|vcpu| sched.state(vcpu) == State::Running));
}

#[test]
fn what_was_stolen_comes_back_to_the_thief() {
    let (sched, kicked) = started(1, 2);
    assert_eq!(sched.next(1, &kicked), Some(0));
    sched.requeue(0, 1);
    assert!(sched.has_queued(1) && !sched.has_queued(0));
}

#[test]
fn only_a_stopped_processor_that_exists_can_be_started() {
    let (sched, kicked) = (Sched::new(2, 1), Kicked::default());
    assert!(sched.start(1, 0, &kicked));
    assert!(!sched.start(1, 0, &kicked));
    assert!(!sched.start(2, 0, &kicked));
    assert!(!sched.start(usize::MAX, 0, &kicked));
    assert_eq!(sched.running(), 1);
    assert!(sched.is_stopped(0) && !sched.is_stopped(1) && sched.is_stopped(64));
}

#[test]
fn whoever_stops_last_is_told_so() {
    let (sched, kicked) = started(2, 2);
    assert_eq!((sched.next(0, &kicked), sched.next(1, &kicked)), (Some(0), Some(1)));
    assert_eq!(sched.stop(0, 0), 1);
    assert!(sched.start(0, 1, &kicked), "it can come back");
    assert_eq!(sched.stop(1, 1), 1);
    assert_eq!(sched.next(1, &kicked), Some(0));
    assert_eq!(sched.stop(0, 1), 0);
}

#[test]
fn a_wake_that_comes_before_the_block_is_not_lost() {
    let (sched, kicked) = started(1, 1);
    sched.wake(1, 0, &kicked);
    assert_eq!(sched.next(0, &kicked), Some(0));
    assert!(!sched.block(0, 0, NEVER), "it was woken while it was queued");
    sched.wake(1, 0, &kicked);
    assert!(!sched.block(0, 0, NEVER), "it was woken while it ran");
    assert!(sched.block(0, 0, NEVER), "a wake counts once");
    assert_eq!(sched.next(0, &kicked), None);
    sched.wake(1, 0, &kicked);
    assert_eq!(sched.next(0, &kicked), Some(0));
}

#[test]
fn a_stopped_processor_is_not_woken() {
    let (sched, kicked) = (Sched::new(1, 1), Kicked::default());
    sched.wake(u64::MAX, 0, &kicked);
    assert_eq!(sched.next(0, &kicked), None);
    assert_eq!(kicked.take(), []);
}

#[test]
fn whoever_runs_elsewhere_is_kicked_to_see_its_interrupt_and_whoever_runs_here_is_not() {
    let (sched, kicked) = started(2, 2);
    assert_eq!((sched.next(0, &kicked), sched.next(1, &kicked)), (Some(0), Some(1)));
    sched.wake(0b11, 0, &kicked);
    assert_eq!(kicked.take(), [1]);
    assert!(!sched.is_wanted(1), "it need not make way");
}

/// vCPU n blocked on CPU n, for two of three CPUs.
fn blocked() -> (Sched, Kicked) {
    let (sched, kicked) = started(2, 3);
    for cpu in 0..2 {
        assert_eq!(sched.next(cpu, &kicked), Some(cpu));
        assert!(sched.block(cpu, cpu, NEVER));
    }
    kicked.take();
    (sched, kicked)
}

#[test]
fn a_wake_kicks_the_last_cpu_if_that_sleeps() {
    let (sched, kicked) = blocked();
    assert!((1..3).all(|cpu| sched.going_to_sleep(cpu)));
    sched.wake(1 << 1, 0, &kicked);
    assert_eq!(kicked.take(), [1]);
    sched.woke(1);
    assert_eq!(sched.next(1, &kicked), Some(1));
}

#[test]
fn a_wake_kicks_another_sleeper_if_the_last_cpu_is_busy() {
    let (sched, kicked) = started(2, 2);
    assert_eq!(sched.next(0, &kicked), Some(0));
    assert!(sched.block(0, 0, NEVER));
    assert_eq!(sched.next(0, &kicked), Some(1), "which it steals");
    assert!(sched.going_to_sleep(1));
    kicked.take();
    sched.wake(1, 0, &kicked);
    assert_eq!(kicked.take(), [1]);
    assert!(!sched.is_wanted(0));
    sched.woke(1);
    assert_eq!(sched.next(1, &kicked), Some(0), "which it steals as well");
}

#[test]
fn two_wakes_choose_two_sleepers() {
    let (sched, kicked) = started(3, 3);
    for _ in 0..3 {
        let vcpu = sched.next(0, &kicked).expect("one is queued");
        assert!(sched.block(vcpu, 0, NEVER));
    }
    kicked.take();
    assert!((1..3).all(|cpu| sched.going_to_sleep(cpu)));
    sched.wake(0b011, 2, &kicked);
    assert_eq!(kicked.take(), [1, 2]);
    sched.wake(0b100, 2, &kicked);
    assert_eq!(kicked.take(), [0], "nobody sleeps: the queue's own CPU is wanted");
    assert!(sched.is_wanted(0));
}

#[test]
fn a_wanted_cpu_is_kicked_once_until_it_looked() {
    let (sched, kicked) = started(3, 2);
    for _ in 0..2 {
        let vcpu = sched.next(0, &kicked).expect("one is queued");
        assert!(sched.block(vcpu, 0, NEVER));
    }
    assert_eq!(sched.next(0, &kicked), Some(1));
    kicked.take();
    sched.wake(0b101, 1, &kicked);
    assert_eq!(kicked.take(), [0]);
    sched.requeue(1, 0);
    assert_eq!(sched.next(0, &kicked), Some(0));
    assert!(!sched.is_wanted(0) && sched.has_queued(0));
}

#[test]
fn a_cpu_without_a_vcpu_that_wakes_its_own_kicks_nobody() {
    let (sched, kicked) = blocked();
    assert!(sched.going_to_sleep(2));
    sched.wake(1, 0, &kicked);
    assert_eq!(kicked.take(), []);
    assert_eq!(sched.next(0, &kicked), Some(0));
    assert_eq!(kicked.take(), []);
}

#[test]
fn whoever_is_left_in_a_queue_gets_a_sleeper() {
    let (sched, kicked) = (Sched::new(4, 2), Kicked::default());
    assert!(sched.going_to_sleep(1));
    assert!(sched.start(0, 0, &kicked) && sched.start(2, 0, &kicked));
    assert_eq!(kicked.take(), [], "CPU 0 has not looked yet");
    assert_eq!(sched.next(0, &kicked), Some(0));
    assert_eq!(kicked.take(), [1]);
    sched.woke(1);
    assert_eq!(sched.next(1, &kicked), Some(2));
}

#[test]
fn a_cpu_does_not_sleep_while_somebody_is_in_any_queue() {
    let (sched, kicked) = started(1, 3);
    assert!((0..3).all(|cpu| !sched.going_to_sleep(cpu)));
    assert_eq!(sched.next(2, &kicked), Some(0));
    assert!((0..2).all(|cpu| sched.going_to_sleep(cpu)));
}

#[test]
fn a_processor_wakes_when_its_time_has_come_on_the_cpu_where_it_blocked() {
    let (sched, kicked) = started(3, 2);
    for (at, _) in [(100, 0), (200, 1), (NEVER, 2)] {
        let vcpu = sched.next(0, &kicked).expect("one is queued");
        assert!(sched.block(vcpu, 0, at));
    }
    assert_eq!(sched.due(1, 1000, &kicked), NEVER, "these are not its own");
    assert_eq!(sched.due(0, 99, &kicked), 100);
    assert_eq!(sched.next(0, &kicked), None);
    assert_eq!(sched.due(0, 100, &kicked), 200);
    assert_eq!(sched.next(0, &kicked), Some(0));
    assert_eq!(sched.due(0, u64::MAX, &kicked), NEVER);
    assert_eq!(sched.next(0, &kicked), Some(2));
    assert_eq!(sched.next(0, &kicked), None, "one has no time");
}

#[test]
fn a_processor_that_was_woken_before_its_time_is_not_woken_again_at_it() {
    let (sched, kicked) = started(1, 1);
    assert_eq!(sched.next(0, &kicked), Some(0));
    assert!(sched.block(0, 0, 50));
    sched.wake(1, 0, &kicked);
    assert_eq!(sched.due(0, 60, &kicked), NEVER);
    assert_eq!(sched.next(0, &kicked), Some(0));
    assert_eq!(sched.next(0, &kicked), None);
    assert!(sched.block(0, 0, NEVER));
    assert_eq!(sched.due(0, 60, &kicked), NEVER, "the old time is forgotten");
}

#[test]
fn whom_a_processor_confers_to_is_next_wherever_it_is_queued() {
    let (sched, kicked) = started(6, 2);
    assert_eq!(sched.next(0, &kicked), Some(0));
    assert!(sched.confer(5, 0));
    sched.requeue(0, 0);
    assert_eq!(sched.next(0, &kicked), Some(5));
    let rest: Vec<_> = core::iter::from_fn(|| sched.next(1, &kicked)).collect();
    assert_eq!(rest, [1, 3, 2, 4, 0]);
}

#[test]
fn nobody_is_conferred_to_who_is_not_queued() {
    let (sched, kicked) = started(2, 1);
    assert_eq!(sched.next(0, &kicked), Some(0));
    assert!(!sched.confer(0, 0), "it runs");
    assert!(!sched.confer(2, 0) && !sched.confer(usize::MAX, 0), "there is none");
    sched.requeue(0, 0);
    assert_eq!(sched.next(0, &kicked), Some(1));
}

#[test]
fn conferring_twice_loses_nobody() {
    let (sched, kicked) = started(3, 1);
    assert_eq!(sched.next(0, &kicked), Some(0));
    assert!(sched.confer(1, 0) && sched.confer(2, 0));
    sched.requeue(0, 0);
    let order: Vec<_> = core::iter::from_fn(|| sched.next(0, &kicked)).collect();
    assert_eq!(order, [2, 1, 0]);
}

#[test]
fn the_end_reaches_every_cpu() {
    let (sched, kicked) = started(1, 3);
    assert!(sched.next(0, &kicked).is_some() && sched.going_to_sleep(1));
    sched.end(&kicked);
    assert_eq!(kicked.take(), [0, 1, 2]);
    assert!(sched.has_ended() && (0..3).all(|cpu| sched.is_wanted(cpu)));
    assert!(!sched.going_to_sleep(2));
    let _ = sched.next(2, &kicked);
    assert!(sched.is_wanted(2), "for good");
}

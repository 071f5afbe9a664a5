//! Faults that sleep while they have to wait, against everything that can be waited for: no wake-up is lost. At most three preemptions.
//!
//! A sleeper that nobody wakes is a deadlock, which loom reports.

use super::account::Seat;
use super::guest::contents;
use super::harness::Run;
use super::machine::PAGE;
use super::scene::{NEW, Scene, put};
use super::world::Setup;
use crate::mmu::waiters::{Waiters, Wake};
use crate::mmu::{Access, Cpu, Resolution, Space, StorageFault};
use crate::sync::{AtomicU64, Ordering};
use loom::sync::{Arc, Notify};
use ppc64_arch::addr::{EffAddr, GuestReal};

type Guest = Space<'static, super::machine::Machine<true>>;

/// Faults until the access may be tried, asleep whenever there is something to wait for.
fn fault(seat: &Seat, at: u64, access: Access) {
    let fault = StorageFault { access, ea: EffAddr::new(0), claim: GuestReal::new(at), table_walk: false, cause: None };
    let cpu = seat.with_cpu(|_, cpu| cpu.id());
    let token = u32::try_from(cpu).expect("a small number");
    let mut waits = false;
    loop {
        match seat.fault(&fault) {
            Resolution::Wait(_) if waits => {
                seat.space().memory().hardware.sleep(cpu);
                waits = false;
            }
            Resolution::Wait(_) => {
                seat.wait(token);
                waits = true;
            }
            Resolution::Resume => break,
            other => panic!("{other:?}"),
        }
    }
    if waits {
        seat.unwait(token);
    }
}

fn ready(seat: &Seat, scene: Scene) {
    scene.before(seat);
    seat.space().set_waker(&seat.space().memory().hardware);
}

/// Two accesses that fault: one of them does the work.
fn both_fault(scene: Scene, first: Access, second: Access) {
    Run {
        setup: scene.setup(),
        preemptions: 3,
        before: move |seat: &Seat| ready(seat, scene),
        first: move |seat: &Seat| fault(seat, scene.page(), first),
        second: move |seat: &Seat| fault(seat, scene.page(), second),
        check: move |seat: &Seat, (), [()]: [(); 1]| assert_eq!(contents(seat, scene.page()), scene.old().0),
    }
    .every_order();
}

/// A mutation, and an access that may meet it.
fn against(setup: Setup, scene: Scene, mutation: fn(&Guest, &mut Cpu, Scene), kept: bool) {
    Run {
        setup,
        preemptions: 3,
        before: move |seat: &Seat| ready(seat, scene),
        first: move |seat: &Seat| seat.with_cpu(|space, cpu| mutation(space, cpu, scene)),
        second: move |seat: &Seat| fault(seat, scene.page(), Access::Write),
        check: move |seat: &Seat, (), [()]: [(); 1]| {
            let left = if kept { scene.old().0 } else { scene.source().0 };
            assert_eq!(contents(seat, scene.page()), left);
        },
    }
    .every_order();
}

#[test]
fn a_fault_sleeps_while_another_brings_its_page_back() {
    both_fault(Scene::Stored, Access::Write, Access::Read);
}

#[test]
fn a_fault_sleeps_while_another_copies_its_page() {
    both_fault(Scene::Shared, Access::Write, Access::Write);
}

#[test]
fn a_fault_sleeps_while_a_page_is_unmapped() {
    let unmap = |space: &Guest, cpu: &mut Cpu, scene: Scene| {
        let (from, to) = (GuestReal::new(scene.page()), GuestReal::new(scene.page() + PAGE));
        space.unmap(cpu, from, to).expect("nothing to split");
    };
    against(Scene::Small.setup(), Scene::Small, unmap, false);
}

#[test]
fn a_fault_sleeps_while_its_page_goes_to_the_store() {
    let page_out = |space: &Guest, cpu: &mut Cpu, _: Scene| {
        space.page_out(cpu);
        space.page_out(cpu);
    };
    against(Scene::Small.setup(), Scene::Small, page_out, true);
}

#[test]
fn a_fault_sleeps_while_its_leaf_is_split() {
    let split = |space: &Guest, cpu: &mut Cpu, scene: Scene| {
        space.split(cpu, GuestReal::new(scene.page())).expect("a huge leaf");
    };
    against(Scene::Huge.setup(), Scene::Huge, split, true);
}

#[test]
fn a_fault_sleeps_while_its_table_is_promoted() {
    let promote = |space: &Guest, cpu: &mut Cpu, scene: Scene| {
        let _size = space.promote(cpu, GuestReal::new(scene.page())).expect("a full table");
    };
    against(Scene::Split.setup(), Scene::Split, promote, true);
}

#[test]
fn a_fault_sleeps_while_empty_tables_are_freed() {
    let prune = |space: &Guest, cpu: &mut Cpu, _: Scene| {
        space.prune(cpu);
    };
    against(Scene::Emptied.setup(), Scene::Emptied, prune, true);
}

#[test]
fn two_faults_sleep_while_a_third_brings_their_page_back() {
    let scene = Scene::Stored;
    Run {
        setup: scene.setup(),
        preemptions: 1,
        before: move |seat: &Seat| ready(seat, scene),
        first: move |seat: &Seat| fault(seat, scene.page(), Access::Write),
        second: move |seat: &Seat| fault(seat, scene.page(), Access::Write),
        check: move |seat: &Seat, (), [(), ()]: [(); 2]| {
            put(seat, scene.page(), NEW);
            assert_eq!(contents(seat, scene.page()), NEW);
        },
    }
    .every_order();
}

/// Whoever needs the lock itself, as a fault does that makes room.
#[test]
fn whoever_finds_the_lock_taken_sleeps_until_it_is_given_back() {
    let scene = Scene::Bare;
    Run {
        setup: scene.setup(),
        preemptions: 3,
        before: move |seat: &Seat| ready(seat, scene),
        first: move |seat: &Seat| drop(seat.space().lock()),
        second: move |seat: &Seat| {
            while seat.space().try_lock().is_none() {
                seat.wait(1);
                if seat.space().try_lock().is_some() {
                    seat.unwait(1);
                    break;
                }
                seat.space().memory().hardware.sleep(1);
            }
        },
        check: |_: &Seat, (), [()]: [(); 1]| {},
    }
    .every_order();
}

/// A bell for one that sleeps.
struct Bell(Notify);

impl Wake for Bell {
    fn wake(&self, tokens: u64) {
        assert_eq!(tokens, 1);
        self.0.notify();
    }
}

/// One waits for what another CPU settles last, of `many` things that it settles: the protocol alone, without a fault whose pin brings a fence of its own.
fn settled_one_by_one(many: u64) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let bell: &'static Bell = Box::leak(Box::new(Bell(Notify::new())));
        let waiters = Waiters::default();
        waiters.set_waker(bell);
        let world = Arc::new((waiters, AtomicU64::new(0)));
        let worker = {
            let world = world.clone();
            loom::thread::spawn(move || {
                for settled in 1..=many {
                    world.1.store(settled, Ordering::Relaxed);
                    world.0.settled();
                }
            })
        };
        while world.1.load(Ordering::Relaxed) != many {
            world.0.wait(0);
            if world.1.load(Ordering::Relaxed) == many {
                world.0.unwait(0);
                break;
            }
            bell.0.wait();
        }
        worker.join().expect("no panic");
    });
}

#[test]
fn whoever_waits_sees_what_is_settled_or_is_seen() {
    settled_one_by_one(1);
}

#[test]
fn whoever_is_woken_too_early_is_woken_again() {
    settled_one_by_one(2);
}

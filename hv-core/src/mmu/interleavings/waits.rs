//! Faults that sleep while they have to wait, against everything that can be waited for: no wake-up is lost. At most three preemptions.
//!
//! A sleeper that nobody wakes is a deadlock, which loom reports.

use super::account::Seat;
use super::guest::contents;
use super::harness::Run;
use super::machine::PAGE;
use super::scene::{NEW, Scene, put};
use super::world::Setup;
use crate::mmu::{Access, Cpu, Resolution, Space, StorageFault};
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

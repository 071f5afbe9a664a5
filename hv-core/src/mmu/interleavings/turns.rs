//! Mutations against mutations: the lock lets one go first, and what it leaves is what the other one finds. At most three preemptions.

use super::account::Seat;
use super::guest::contents;
use super::harness::Run;
use super::log::{harvest, start};
use super::machine::PAGE;
use super::prepare::warm;
use super::scene::{BESIDE, OLD, Scene, put};
use crate::mmu::audit::Audit;
use crate::mmu::{Cpu, Space};
use ppc64_arch::addr::GuestReal;

type Guest = Space<'static, super::machine::Machine<true>>;

/// Every order of two mutations; neither page may lose its contents.
fn turns(scene: Scene, first: fn(&Guest, &mut Cpu), second: fn(&Guest, &mut Cpu)) {
    Run {
        setup: scene.setup(),
        preemptions: 3,
        before: move |seat: &Seat| {
            scene.before(seat);
            warm(seat, 1, scene.page());
        },
        first: move |seat: &Seat| seat.with_cpu(first),
        second: move |seat: &Seat| seat.with_cpu(second),
        check: move |seat: &Seat, (), [()]: [(); 1]| {
            assert_eq!((contents(seat, scene.page()), contents(seat, scene.beside())), scene.old());
        },
    }
    .every_order();
}

const AT: GuestReal = GuestReal::new(0);

#[test]
fn a_page_is_in_one_of_two_harvests() {
    let scene = Scene::Small;
    Run {
        setup: scene.setup(),
        preemptions: 3,
        before: move |seat: &Seat| {
            scene.before(seat);
            start(seat, scene);
            put(seat, scene.page(), OLD);
            put(seat, scene.beside(), BESIDE);
        },
        first: move |seat: &Seat| harvest(seat, scene),
        second: move |seat: &Seat| harvest(seat, scene),
        check: move |seat: &Seat, mine: (bool, bool), [theirs]: [(bool, bool); 1]| {
            assert!(mine.0 != theirs.0 && mine.1 != theirs.1, "{mine:?} {theirs:?}");
            assert_eq!(harvest(seat, scene), (false, false));
        },
    }
    .every_order();
}

#[test]
fn a_log_is_switched_on_once() {
    let scene = Scene::Small;
    Run {
        setup: scene.setup(),
        preemptions: 3,
        before: move |seat: &Seat| scene.before(seat),
        first: move |seat: &Seat| seat.with_cpu(|space, cpu| space.start_log(cpu, AT).is_ok()),
        second: move |seat: &Seat| seat.with_cpu(|space, cpu| space.start_log(cpu, AT).is_ok()),
        check: |_: &Seat, mine: bool, [theirs]: [bool; 1]| assert!(mine != theirs),
    }
    .every_order();
}

#[test]
fn a_split_and_a_promotion_lose_nothing() {
    turns(
        Scene::Huge,
        |space, cpu| {
            let _promoted_already = space.split(cpu, AT);
        },
        |space, cpu| {
            let _not_split_yet = space.promote(cpu, AT);
        },
    );
}

#[test]
fn a_page_out_and_a_promotion_lose_nothing() {
    turns(
        Scene::Small,
        |space, cpu| {
            space.page_out(cpu);
            space.page_out(cpu);
        },
        |space, cpu| {
            let _paged_out = space.promote(cpu, AT);
        },
    );
}

#[test]
fn read_only_for_a_while_and_a_log_lose_nothing() {
    turns(
        Scene::Huge,
        |space, cpu| {
            space.set_read_only(cpu, AT, true).expect("a slot");
            space.set_read_only(cpu, AT, false).expect("a slot");
        },
        |space, cpu| {
            space.start_log(cpu, AT).expect("a slot");
            space.stop_log(cpu, AT).expect("a log");
        },
    );
}

#[test]
fn pruning_against_unmapping_frees_the_table_once() {
    Run {
        setup: Scene::Empty.setup(),
        preemptions: 3,
        before: |seat: &Seat| Scene::Empty.before(seat),
        first: |seat: &Seat| seat.with_cpu(|space, cpu| space.prune(cpu)),
        second: |seat: &Seat| {
            let (from, to) = (GuestReal::new(PAGE), GuestReal::new(2 * PAGE));
            seat.with_cpu(|space, cpu| space.unmap(cpu, from, to)).expect("nothing to split");
        },
        check: |seat: &Seat, pruned, [()]: [(); 1]| assert_eq!(Audit::of(seat.space()).tables + pruned, 1),
    }
    .every_order();
}

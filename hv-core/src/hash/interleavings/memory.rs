//! Accesses, faults and calls against memory that is taken away.

use super::machine::CONTENTS;
use super::world::{Ended, NEW, OPEN, OTHER, PAGE, World, every_order, patiently};
use ppc64_arch::hash::Word0;

fn entered(world: &World) {
    assert_eq!(world.enter(0, PAGE, OPEN), Ok(0));
}

fn loaded(world: &World) {
    entered(world);
    assert_eq!(world.access(0, PAGE, None), Ended::Loaded(CONTENTS[0]));
}

/// Nobody is where the page was, and the page can be had again.
fn paged_out(world: &World, access: Ended, (): ()) {
    assert!(
        access == Ended::Stored || matches!(access, Ended::Loaded(value) if CONTENTS.contains(&value)),
        "{access:?}"
    );
    let Ended::Loaded(value) = world.access(0, PAGE, None) else { panic!("refused") };
    assert!(CONTENTS[1..].contains(&value) || value == NEW, "{value:#x}");
}

#[test]
fn a_load_by_a_known_translation_and_page_out() {
    every_order(3, true, loaded, |w| w.access(0, PAGE, None), World::page_out, paged_out);
}

#[test]
fn a_store_that_faults_and_page_out() {
    every_order(
        3,
        true,
        |w| {
            entered(w);
            w.harvest();
        },
        |w| w.access(0, PAGE, Some(NEW)),
        World::page_out,
        paged_out,
    );
}

#[test]
fn h_enter_of_a_page_that_is_there_and_page_out() {
    every_order(
        3,
        true,
        |_| {},
        |w| {
            entered(w);
            w.access(0, PAGE, None)
        },
        World::page_out,
        paged_out,
    );
}

#[test]
fn a_store_and_a_harvest() {
    every_order(
        3,
        true,
        loaded,
        |w| w.access(0, PAGE, Some(NEW)),
        World::harvest,
        |w, access, copy| {
            assert_eq!(access, Ended::Stored);
            assert!(copy == NEW || w.memory.is_stored_to(), "a store that is in no harvest");
        },
    );
}

#[test]
fn h_remove_and_page_out_wait_for_each_other_and_end() {
    every_order(
        3,
        true,
        |w| {
            loaded(w);
            assert_eq!(w.enter(0, OTHER, OPEN), Ok(1));
        },
        |w| patiently(|| w.table().remove(0, 0, 0)).map(drop),
        World::page_out,
        |w, removed, ()| {
            assert_eq!(removed, Ok(()));
            assert_eq!(w.access(0, PAGE, None), Ended::Refused);
            assert!(!w.machine().raw(1).word0.contains(Word0::VALID));
        },
    );
}

#[test]
fn two_evictions_end() {
    every_order(
        3,
        true,
        |w| {
            loaded(w);
            assert_eq!(w.enter(0, OTHER, OPEN), Ok(1));
        },
        |w| {
            w.table().evict(0, 1 << 16);
        },
        World::page_out,
        |w, (), ()| assert!([0, 1].into_iter().all(|index| !w.machine().raw(index).word0.contains(Word0::VALID))),
    );
}

#[test]
fn h_protect_and_page_out() {
    every_order(
        3,
        true,
        loaded,
        |w| patiently(|| w.table().protect(3, 0, 0)).expect("an entry"),
        World::page_out,
        |w, (), ()| {
            assert!(!w.machine().raw(0).word0.contains(Word0::VALID));
            assert_eq!(w.read(0).word1 & 3, 3);
        },
    );
}

//! Faults against faults, at one page or at neighbours, with the dirty log off and on. At most three preemptions.
//!
//! Whatever the order: each store is in memory, each load saw what was there before or what the other one stored, and what was stored is in the log.

use super::account::Seat;
use super::guest::{Outcome, contents};
use super::harness::Run;
use super::log::{harvest, start};
use super::prepare::warm;
use super::scene::{NEW, Racer, Scene};

/// Where the second racer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// At the same page.
    Same,
    /// At the neighbour.
    Beside,
}

fn race(preemptions: usize, scene: Scene, logged: bool, first: Racer, second: Racer, at: At) {
    let theirs = if at == At::Same { scene.page() } else { scene.beside() };
    Run {
        setup: scene.setup(),
        preemptions,
        before: move |seat: &Seat| {
            scene.before(seat);
            if logged {
                start(seat, scene);
            }
            warm(seat, 0, scene.page());
            warm(seat, 1, theirs);
        },
        first: move |seat: &Seat| first.run(seat, scene.page()),
        second: move |seat: &Seat| second.run(seat, theirs),
        check: move |seat: &Seat, mine: Outcome, [other]: [Outcome; 1]| {
            let (old, same) = (scene.old(), at == At::Same);
            let stored = |outcome| matches!(outcome, Outcome::Stored(_));
            let to_page = stored(mine) || same && stored(other);
            let to_beside = !same && stored(other);
            let saw = |outcome, old, stored| match outcome {
                Outcome::Loaded(value) => assert!(value == old || stored && value == NEW, "saw {value:#x}"),
                Outcome::Stored(_) => {}
                Outcome::Refused => panic!("refused"),
            };
            saw(mine, old.0, to_page);
            saw(other, if same { old.0 } else { old.1 }, same && to_page);
            assert_eq!(contents(seat, scene.page()), if to_page { NEW } else { old.0 });
            assert_eq!(contents(seat, scene.beside()), if to_beside { NEW } else { old.1 });
            if logged {
                let dirty = harvest(seat, scene);
                assert!((dirty.0 || !to_page) && (dirty.1 || !to_beside), "{dirty:?}");
            }
        },
    }
    .every_order();
}

macro_rules! races {
    ($($name:ident: $bound:literal, $scene:ident, logged $logged:literal, $first:ident, $second:ident, $at:ident;)*) => {
        $(#[test] fn $name() {
            race($bound, Scene::$scene, $logged, Racer::$first, Racer::$second, At::$at);
        })*
    };
}

races! {
    two_loads_of_an_untouched_page: 3, Bare, logged false, Load, Load, Same;
    a_store_and_a_fetch_of_an_empty_page: 3, Empty, logged false, Store, Fetch, Same;
    stores_to_neighbours_make_one_huge_leaf: 3, BareHuge, logged false, Store, Store, Beside;
    two_stores_to_a_shared_page: 3, Shared, logged false, Store, Store, Same;
    a_store_to_a_shared_page_and_a_fetch_of_it: 3, Shared, logged false, Store, Fetch, Same;
    a_store_to_a_shared_page_and_a_load_of_the_neighbour: 3, Shared, logged false, Store, Load, Beside;
    a_store_to_a_shared_page_and_the_hypervisors: 3, Shared, logged false, Store, Write, Same;
    two_loads_of_a_stored_page: 3, Stored, logged false, Load, Load, Same;
    a_store_to_a_stored_page_and_the_hypervisors_read: 3, Stored, logged false, Store, Read, Same;
    a_logged_store_and_a_load_of_an_empty_page: 3, Empty, logged true, Store, Load, Same;
    two_logged_stores_to_an_empty_page: 3, Empty, logged true, Store, Store, Same;
    logged_stores_to_neighbours: 3, Small, logged true, Store, Store, Beside;
    two_logged_stores_to_a_page: 3, Small, logged true, Store, Write, Same;
    two_logged_stores_to_a_shared_page: 3, Shared, logged true, Store, Store, Same;
    a_logged_store_and_a_load_of_a_stored_page: 3, Stored, logged true, Store, Load, Same;
    a_logged_store_splits_under_a_load: 3, Huge, logged true, Store, Load, Beside;
    a_logged_store_splits_under_a_fetch_of_the_page: 3, Huge, logged true, Store, Fetch, Same;
    a_logged_store_splits_under_the_hypervisors_read: 3, Huge, logged true, Store, Read, Beside;
    two_logged_stores_split_once: 3, Huge, logged true, Store, Store, Same;
    two_logged_stores_to_neighbours_split_once: 3, Huge, logged true, Store, Store, Beside;
    a_logged_store_splits_under_the_hypervisors_write: 3, Huge, logged true, Store, Write, Beside;
    logged_stores_to_an_untouched_huge_page: 3, BareHuge, logged true, Store, Store, Beside;
    a_logged_store_and_a_load_of_an_untouched_huge_page: 3, BareHuge, logged true, Store, Load, Beside;
}

//! Faults and the hypervisor's accesses against the dirty log. At most three preemptions; two where a log, a table and a page are made at once, which has more orders than all the others.
//!
//! The witness of each is a *copy* of the page, made as a migration makes it: once when the log is on, and again whenever a harvest names the page. When everybody has
//! stopped and the last harvest is done, copy and page have to be equal: a store that no harvest named makes them differ.

use super::account::Seat;
use super::guest::{Outcome, store};
use super::machine::PAGE;
use super::pair::{Mutation, NOTHING, Raced, page, pairs};
use super::scene::{OLD, Scene, put};
use crate::mmu::dirty::LogError;
use ppc64_arch::addr::GuestReal;

/// Switches the log of the scene's slot on.
pub fn start(seat: &Seat, scene: Scene) {
    seat.with_cpu(|space, cpu| space.start_log(cpu, GuestReal::new(scene.base()))).expect("a slot");
}

/// Harvests it: whether the page was dirty, and its neighbour.
pub fn harvest(seat: &Seat, scene: Scene) -> (bool, bool) {
    let mut dirty = (false, false);
    let base = GuestReal::new(scene.base());
    let count = seat.with_cpu(|space, cpu| {
        space.harvest(cpu, base, |first, bits| {
            let bit = |page: u64| bits >> ((page - first.raw()) / PAGE) & 1 != 0;
            dirty = (bit(scene.page()), bit(scene.beside()));
        })
    });
    assert_eq!(count, Ok(u64::from(dirty.0) + u64::from(dirty.1)));
    dirty
}

/// The copy after a harvest.
fn copy_if_dirty(seat: &Seat, scene: Scene, copy: u64) -> u64 {
    if harvest(seat, scene).0 { page(seat, scene) } else { copy }
}

fn nothing_is_missed(seat: &Seat, scene: Scene, raced: Raced, copy: u64) {
    assert_eq!(copy_if_dirty(seat, scene, copy), page(seat, scene), "{raced:?} was missed");
    // And the log still works.
    assert_eq!(store(seat, scene.page(), 99), Outcome::Stored(99));
    assert!(harvest(seat, scene).0);
}

/// What is stored once the log is on is in it.
/// Defends the close before the log is on, and the protection, flush and grace period after it.
pub(super) const START: Mutation = Mutation {
    act: |seat, scene| {
        start(seat, scene);
        page(seat, scene)
    },
    check: nothing_is_missed,
    ..NOTHING
};

/// Nothing is dirty yet.
/// Defends the mark after the swap, and its order: the bit before the summary.
pub(super) const HARVEST: Mutation = Mutation {
    ready: start,
    act: |seat, scene| copy_if_dirty(seat, scene, scene.old().0),
    check: nothing_is_missed,
    ..NOTHING
};

/// The page is dirty already, and may be stored to without a fault.
/// Defends the order of a harvest: take, protect, flush, grace.
pub(super) const HARVEST_OF_A_DIRTY_PAGE: Mutation = Mutation {
    ready: |seat, scene| {
        start(seat, scene);
        put(seat, scene.page(), OLD);
    },
    act: |seat, scene| {
        let dirty = harvest(seat, scene).0;
        assert!(dirty);
        page(seat, scene)
    },
    check: nothing_is_missed,
    ..NOTHING
};

/// A page beside it is dirty already, so the harvest looks among the bits whatever the racer has said so far: only the bit itself tells it of the entry.
/// Defends the release of a mark and the acquire of a harvest.
const HARVEST_BESIDE_A_DIRTY_PAGE: Mutation = Mutation {
    ready: |seat, scene| {
        start(seat, scene);
        put(seat, scene.beside(), scene.old().1);
    },
    ..HARVEST
};

/// The page is dirty already, and still a store to it faults: whoever finds its bit set may find one that is just being taken.
/// Defends the mark that asks for nothing.
const HARVEST_OF_A_DIRTY_PAGE_THAT_FAULTS: Mutation = Mutation {
    ready: |seat, scene| {
        (HARVEST_OF_A_DIRTY_PAGE.ready)(seat, scene);
        for read_only in [true, false] {
            let base = GuestReal::new(scene.base());
            seat.with_cpu(|space, cpu| space.set_read_only(cpu, base, read_only)).expect("a slot");
        }
    },
    ..HARVEST_OF_A_DIRTY_PAGE
};

/// A fault that marks has the log until it has ended.
/// Defends the close before the log is given back.
pub(super) const STOP: Mutation = Mutation {
    ready: start,
    act: |seat, scene| {
        seat.with_cpu(|space, cpu| space.stop_log(cpu, GuestReal::new(scene.base()))).expect("a log");
        super::prepare::reuse_what_was_freed(seat);
        0
    },
    check: |seat, scene, _, _| {
        let harvest = seat.with_cpu(|space, cpu| space.harvest(cpu, GuestReal::new(scene.base()), |_, _| {}));
        assert_eq!(harvest, Err(LogError::Off));
        assert_eq!(store(seat, scene.page(), 99), Outcome::Stored(99));
    },
    ..NOTHING
};

pairs! {
    against_start: START {
        store_to_an_untouched_page: 2, Bare, Store;
        store_to_an_empty_page: 3, Empty, Store;
        load_of_an_empty_page: 3, Empty, Load;
        store_to_a_page: 3, Small, Store;
        store_to_a_shared_page: 3, Shared, Store;
        store_to_a_huge_leaf: 3, Huge, Store;
        store_that_makes_a_huge_leaf: 3, BareHuge, Store;
        load_that_makes_a_huge_leaf: 3, BareHuge, Load;
        store_to_a_stored_page: 3, Stored, Store;
        hypervisor_write: 3, Small, Write;
        hypervisor_write_to_a_huge_leaf: 3, Huge, Write;
    }
    against_harvest: HARVEST {
        store_to_an_untouched_page: 3, Bare, Store;
        store_to_an_empty_page: 3, Empty, Store;
        load_of_an_empty_page: 3, Empty, Load;
        store_to_a_page: 3, Small, Store;
        store_to_a_shared_page: 3, Shared, Store;
        store_to_a_huge_leaf: 3, Huge, Store;
        load_from_a_huge_leaf: 3, Huge, Load;
        store_to_a_stored_page: 3, Stored, Store;
        hypervisor_write: 3, Small, Write;
        hypervisor_write_to_a_shared_page: 3, Shared, Write;
        hypervisor_write_to_a_huge_leaf: 3, Huge, Write;
    }
    against_harvest_of_a_dirty_page: HARVEST_OF_A_DIRTY_PAGE {
        store_to_a_page: 3, Small, Store;
        store_to_what_was_a_huge_leaf: 3, Huge, Store;
        load_of_a_page: 3, Small, Load;
        hypervisor_write: 3, Small, Write;
    }
    against_harvest_beside_a_dirty_page: HARVEST_BESIDE_A_DIRTY_PAGE {
        store_to_a_page: 2, Small, Store;
        hypervisor_write: 2, Small, Write;
    }
    against_harvest_of_a_dirty_page_that_faults: HARVEST_OF_A_DIRTY_PAGE_THAT_FAULTS {
        store_to_a_page: 2, Small, Store;
        hypervisor_write: 2, Small, Write;
    }
    against_stop: STOP {
        store_to_an_empty_page: 3, Empty, Store;
        store_to_a_page: 3, Small, Store;
        store_to_a_shared_page: 3, Shared, Store;
        store_to_a_huge_leaf: 3, Huge, Store;
        hypervisor_write: 3, Small, Write;
    }
}

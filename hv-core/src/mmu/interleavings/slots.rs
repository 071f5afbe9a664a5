//! Faults and the hypervisor's accesses against slots that come, go, change their length or their rights. At most three preemptions.

use super::account::Seat;
use super::guest::{Outcome, store};
use super::machine::{BASE, IMAGE_FRAMES, PAGE};
use super::pair::{After, Mutation, NOTHING, RACER, Raced, Refused, page, pairs};
use super::prepare::warm;
use super::scene::{NEW, Scene};
use super::world::{IMAGE_PAGE, Setup, ZERO_PAGE, slot};
use crate::mmu::{Access, Hardware};
use ppc64_arch::addr::{GuestReal, HostReal};
use ppc64_arch::radix::{Entry, Rights};

fn add_image(seat: &Seat) -> u64 {
    // SAFETY: 1. The image's frames are not in the pool, and nobody stores to them.
    unsafe { seat.space().add_slot(&slot(IMAGE_PAGE, 2)) }.expect("a good slot");
    0
}

/// Where a slot appears, accesses are refused until it is there, and see what it is made of then.
/// Defends the grace period before the list is edited.
pub(super) const ADD: Mutation = Mutation { act: |seat, _| add_image(seat), refused: Refused::Until, ..NOTHING };

/// Another slot appears: nothing changes here.
/// Defends the same, and the release of opening.
pub(super) const ADD_ANOTHER: Mutation =
    Mutation { setup: |setup| Setup { image: 0, ..setup }, act: |seat, _| add_image(seat), ..NOTHING };

/// Once it has gone nothing reaches its pages, nor the image that it was made of, which may be overwritten then.
/// Defends the close of the slot and the flush.
pub(super) const REMOVE: Mutation = Mutation {
    act: |seat, scene| {
        seat.with_cpu(|space, cpu| space.remove_slot(cpu, GuestReal::new(scene.base()))).expect("a slot");
        if scene.base() == IMAGE_PAGE {
            // SAFETY: 1. The model finds it if somebody still uses the image.
            unsafe { seat.space().memory().hardware.zero(HostReal::new(BASE), IMAGE_FRAMES * PAGE) };
        }
        0
    },
    after: (After::Gone, After::Gone),
    refused: Refused::Then,
    ..NOTHING
};

/// The slot before this one goes, and this one moves in the list.
/// Defends the close of the list.
pub(super) const REMOVE_ANOTHER: Mutation = Mutation {
    act: |seat, _| {
        seat.with_cpu(|space, cpu| space.remove_slot(cpu, GuestReal::new(ZERO_PAGE))).expect("a slot");
        0
    },
    ..NOTHING
};

fn resize(seat: &Seat, pages: u64) -> u64 {
    let base = GuestReal::new(ZERO_PAGE);
    seat.with_cpu(|space, cpu| space.resize_slot(cpu, base, pages * PAGE)).expect("a good length");
    0
}

/// The slot ends before the racer's page.
/// Defends the close, and the second look of `find`.
pub(super) const SHRINK: Mutation =
    Mutation { act: |seat, _| resize(seat, 1), after: (After::Gone, After::Kept), refused: Refused::Then, ..NOTHING };

/// The slot ends behind it.
/// Defends the split of a huge leaf at the new end.
pub(super) const SHRINK_BEHIND: Mutation =
    Mutation { act: |seat, _| resize(seat, 1), after: (After::Kept, After::Gone), ..NOTHING };

/// Where the slot grows, pages appear: refused before, made once after.
pub(super) const GROW: Mutation = Mutation { act: |seat, _| resize(seat, 2), refused: Refused::Until, ..NOTHING };

fn set_read_only(seat: &Seat, scene: Scene, read_only: bool) {
    let base = GuestReal::new(scene.base());
    seat.with_cpu(|space, cpu| space.set_read_only(cpu, base, read_only)).expect("a slot");
}

fn permits_stores(seat: &Seat, at: u64) -> bool {
    // SAFETY: 1. Only this CPU mutates.
    let seen = unsafe { seat.space().walk(GuestReal::new(at)) };
    matches!(seen.entry(), Entry::Leaf(leaf) if leaf.rights().contains(Rights::WRITE))
}

/// What the page says when it has returned stays: no leaf permits a store, and no CPU has one cached that does.
fn nothing_is_stored(seat: &Seat, scene: Scene, raced: Raced, then: u64) {
    assert_eq!(page(seat, scene), then, "{raced:?} changed it");
    assert!(!permits_stores(seat, scene.page()) && !permits_stores(seat, scene.beside()));
    let (hardware, root) = (&seat.space().memory().hardware, seat.space().top());
    let access = hardware.access(RACER, root, GuestReal::new(scene.page()), Access::Write, |_, _| ());
    assert_eq!(access, None);
    assert_eq!(store(seat, scene.page(), 99), Outcome::Refused);
}

/// Once it has returned nothing is stored.
/// Defends the close before the edit, and the flush and grace period after the downgrade.
pub(super) const READ_ONLY: Mutation = Mutation {
    act: |seat, scene| {
        set_read_only(seat, scene, true);
        page(seat, scene)
    },
    refused: Refused::StoresThen,
    check: nothing_is_stored,
    ..NOTHING
};

/// Once it has returned no store is refused.
/// Defends that a fault sees either rights, and that no store is lost or refused for good.
pub(super) const WRITABLE: Mutation = Mutation {
    ready: |seat, scene| set_read_only(seat, scene, true),
    act: |seat, scene| {
        set_read_only(seat, scene, false);
        0
    },
    refused: Refused::StoresUntil,
    check: |seat, scene, _, _| {
        warm(seat, RACER, scene.page());
        assert_eq!(store(seat, scene.page(), NEW), Outcome::Stored(NEW));
    },
    ..NOTHING
};

pairs! {
    against_add: ADD {
        load_where_it_appears: 3, Nowhere, Load;
        store_where_it_appears: 3, Nowhere, Store;
        hypervisor_write_where_it_appears: 3, Nowhere, Write;
    }
    against_add_of_another: ADD_ANOTHER {
        load_of_an_empty_page: 3, Empty, Load;
        store_to_an_untouched_page: 3, Bare, Store;
        store_that_makes_a_huge_leaf: 3, BareHuge, Store;
        load_of_a_stored_page: 3, Stored, Load;
        hypervisor_write: 3, Small, Write;
    }
    against_remove: REMOVE {
        load_of_an_untouched_page: 3, Bare, Load;
        store_to_an_empty_page: 3, Empty, Store;
        store_to_a_page: 3, Small, Store;
        fetch_of_a_shared_page: 3, Shared, Fetch;
        store_to_a_shared_page: 3, Shared, Store;
        store_to_a_huge_leaf: 3, Huge, Store;
        store_that_makes_a_huge_leaf: 3, BareHuge, Store;
        load_of_a_stored_page: 3, Stored, Load;
        hypervisor_read: 3, Small, Read;
        hypervisor_read_of_a_shared_page: 3, Shared, Read;
        hypervisor_write: 3, Small, Write;
    }
    against_remove_of_another: REMOVE_ANOTHER {
        load_of_a_shared_page: 3, Shared, Load;
        store_to_a_shared_page: 3, Shared, Store;
    }
    against_shrink: SHRINK {
        load_of_a_page: 3, Last, Load;
        store_to_a_page: 3, Last, Store;
        hypervisor_write: 3, Last, Write;
    }
    against_shrink_behind: SHRINK_BEHIND {
        store_to_an_empty_page: 3, Empty, Store;
        load_from_a_huge_leaf: 3, Huge, Load;
        store_to_a_huge_leaf: 3, Huge, Store;
        hypervisor_write_to_a_huge_leaf: 3, Huge, Write;
    }
    against_grow: GROW {
        load_where_it_grows: 3, Behind, Load;
        store_where_it_grows: 3, Behind, Store;
        hypervisor_write_where_it_grows: 3, Behind, Write;
    }
    against_read_only: READ_ONLY {
        load_of_an_empty_page: 3, Empty, Load;
        store_to_an_empty_page: 3, Empty, Store;
        store_to_a_page: 3, Small, Store;
        store_to_a_shared_page: 3, Shared, Store;
        store_to_a_huge_leaf: 3, Huge, Store;
        store_to_a_stored_page: 3, Stored, Store;
        hypervisor_read: 3, Small, Read;
        hypervisor_write: 3, Small, Write;
        hypervisor_write_to_a_shared_page: 3, Shared, Write;
        hypervisor_write_to_a_huge_leaf: 3, Huge, Write;
    }
    against_writable: WRITABLE {
        load_of_a_page: 3, Small, Load;
        store_to_an_empty_page: 3, Empty, Store;
        store_to_a_page: 3, Small, Store;
        store_to_a_shared_page: 3, Shared, Store;
        hypervisor_write: 3, Small, Write;
    }
}

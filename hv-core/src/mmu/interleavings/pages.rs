//! Faults and the hypervisor's accesses against what is done to pages, leaves and tables. At most three preemptions.

use super::account::Seat;
use super::guest::{Outcome, load};
use super::harness::Run;
use super::machine::PAGE;
use super::pair::{After, Mutation, NOTHING, RACER, Raced, pairs};
use super::prepare::warm;
use super::scene::{Racer, Scene};
use super::world::Setup;
use crate::mmu::audit::Audit;
use crate::mmu::walk::Seen;
use ppc64_arch::addr::{GuestReal, LeafSize};
use ppc64_arch::radix::Entry;

fn unmap(seat: &Seat, page: u64) -> u64 {
    let (from, to) = (GuestReal::new(page), GuestReal::new(page + PAGE));
    seat.with_cpu(|space, cpu| space.unmap(cpu, from, to)).expect("a frame for a split");
    0
}

/// What is stored before an unmap may be lost, what is stored later may not, and no CPU reaches a frame that was freed.
/// Defends the close, grace and flush of `unmap`, and the fences of pins.
pub(super) const UNMAP: Mutation =
    Mutation { act: |seat, scene| unmap(seat, scene.page()), after: (After::Source, After::Kept), ..NOTHING };

/// A neighbour in the table, or under the huge leaf, goes; the page stays as it is.
/// Defends the split of a huge leaf that is unmapped in part.
pub(super) const UNMAP_BESIDE: Mutation =
    Mutation { act: |seat, scene| unmap(seat, scene.beside()), after: (After::Kept, After::Source), ..NOTHING };

/// Tables are freed as well.
/// Defends the flush of cached tables before they are freed.
pub(super) const EMPTY: Mutation = Mutation {
    act: |seat, _| {
        seat.with_cpu(|space, cpu| space.empty(cpu));
        0
    },
    after: (After::Source, After::Source),
    ..NOTHING
};

/// Pages go to the store and come back; none is lost, none comes back twice.
/// Defends the flush and the grace period before a page is compressed.
pub(super) const PAGE_OUT: Mutation = Mutation {
    // Of the two rounds the first puts the pages to the test.
    act: |seat, _| seat.with_cpu(|space, cpu| space.page_out(cpu) + space.page_out(cpu)),
    ..NOTHING
};

/// Where hardware leaves R to software, pages rest.
/// Defends the same where no leaf stands there any more.
pub(super) const PAGE_OUT_RESTING: Mutation =
    Mutation { setup: |setup| Setup { sets_reference: false, ..setup }, ..PAGE_OUT };

fn age(seat: &Seat, from: u64, to: u64) -> u64 {
    seat.with_cpu(|space, cpu| space.age(cpu, GuestReal::new(from), GuestReal::new(to))).young
}

/// The page was not used since the last time. What the racer does is use, and is found by this round or the next; what it does when this round has returned, by the next.
fn used_is_young(seat: &Seat, scene: Scene, raced: Raced, young: u64) {
    let next = age(seat, scene.page(), scene.page() + PAGE);
    assert!(young + next > 0, "{raced:?} was not seen");
    assert!(next > 0 || !raced.late, "{raced:?} was not seen");
}

/// Use is found whenever it is.
/// Defends the flush after R was cleared.
pub(super) const AGE: Mutation = Mutation {
    ready: |seat, scene| {
        age(seat, scene.page(), scene.page() + PAGE);
    },
    act: |seat, scene| age(seat, scene.page(), scene.page() + PAGE),
    unseen: used_is_young,
    ..NOTHING
};

/// The same where hardware leaves R to software: a page that was in use comes to rest.
/// Defends the flush after its entry was taken away.
pub(super) const AGE_RESTING: Mutation =
    Mutation { setup: |setup| Setup { sets_reference: false, ..setup }, ready: |_, _| {}, ..AGE };

fn seen(seat: &Seat, at: u64) -> Seen<'_> {
    // SAFETY: 1. Only this CPU mutates.
    unsafe { seat.space().walk(GuestReal::new(at)) }
}

/// Where the page stands in host memory.
fn frame(seat: &Seat, at: u64) -> u64 {
    let seen = seen(seat, at);
    let (Entry::Leaf(leaf), Some(size)) = (seen.entry(), seen.place.level.leaf) else { panic!("no leaf") };
    leaf.frame().raw() + GuestReal::new(at).offset_in(size)
}

/// The pages stay in their frames.
/// Defends break before make: transit and flush.
pub(super) const SPLIT: Mutation = Mutation {
    act: |seat, scene| {
        let before = frame(seat, scene.page());
        seat.with_cpu(|space, cpu| space.split(cpu, GuestReal::new(scene.page()))).expect("a huge leaf");
        before
    },
    check: |seat, scene, _, before| {
        assert_eq!((frame(seat, scene.page()), frame(seat, scene.beside())), (before, before + PAGE));
        assert_eq!(Audit::of(seat.space()).tables, 1);
    },
    ..NOTHING
};

fn promote(seat: &Seat, scene: Scene) {
    let promoted = seat.with_cpu(|space, cpu| space.promote(cpu, GuestReal::new(scene.page())));
    assert_eq!(promoted, Ok(LeafSize::Size2M));
}

/// Frames that lie side by side become one leaf where they are.
/// Defends the flush of cached tables before the leaf.
pub(super) const PROMOTE: Mutation = Mutation {
    act: |seat, scene| {
        let before = frame(seat, scene.page());
        promote(seat, scene);
        before
    },
    check: |seat, scene, _, before| {
        assert_eq!((frame(seat, scene.page()), frame(seat, scene.beside())), (before, before + PAGE));
        assert_eq!(Audit::of(seat.space()).tables, 0);
    },
    ..NOTHING
};

/// Frames that do not are copied, and freed when no CPU can reach them.
/// Defends the grace period and the flush before the copy.
pub(super) const PROMOTE_BY_COPY: Mutation = Mutation {
    act: |seat, scene| {
        promote(seat, scene);
        super::prepare::reuse_what_was_freed(seat);
        0
    },
    check: |seat, scene, _, _| {
        assert_eq!(frame(seat, scene.beside()), frame(seat, scene.page()) + PAGE);
    },
    ..NOTHING
};

/// A table that maps nothing goes, unless something was put into it.
/// Defends the grace period, the second look, and the flush before a table is freed.
pub(super) const PRUNE: Mutation = Mutation {
    act: |seat, _| {
        let pruned = seat.with_cpu(|space, cpu| space.prune(cpu));
        super::prepare::reuse_what_was_freed(seat);
        pruned
    },
    check: |seat, scene, raced, pruned| {
        assert!(pruned == 1 || !raced.late, "{pruned} tables");
        warm(seat, RACER, scene.page());
    },
    ..NOTHING
};

/// A fetch that begins when it is over is a storage interrupt, which gives the right back; loads and stores go on as before.
/// Defends the flush after X was taken away.
pub(super) const FORBID_FETCH: Mutation = Mutation {
    act: |seat, scene| {
        seat.with_cpu(|space, cpu| space.forbid_fetch(cpu, GuestReal::new(scene.page()))).expect("a frame for a split");
        0
    },
    unseen: |seat, scene, raced, _| {
        let fetchable = seat.is_fetchable(GuestReal::new(scene.page()));
        match raced.racer {
            Racer::Fetch => assert!(fetchable || !raced.late, "{raced:?} was not seen"),
            Racer::Load => assert!(!fetchable, "{raced:?} gave the right back"),
            _ => {}
        }
    },
    ..NOTHING
};

pairs! {
    against_forbid_fetch: FORBID_FETCH {
        load_of_a_page: 3, Small, Load;
        store_to_a_page: 3, Small, Store;
        fetch_of_a_page: 3, Small, Fetch;
        fetch_of_a_shared_page: 3, Shared, Fetch;
        store_to_a_shared_page: 3, Shared, Store;
        fetch_from_a_huge_leaf: 3, Huge, Fetch;
    }
    against_unmap: UNMAP {
        load_of_an_untouched_page: 3, Bare, Load;
        load_of_an_empty_page: 3, Empty, Load;
        store_to_an_empty_page: 3, Empty, Store;
        load_of_a_page: 3, Small, Load;
        store_to_a_page: 3, Small, Store;
        fetch_of_a_shared_page: 3, Shared, Fetch;
        store_to_a_shared_page: 3, Shared, Store;
        load_from_a_huge_leaf: 3, Huge, Load;
        store_to_a_huge_leaf: 3, Huge, Store;
        store_that_makes_a_huge_leaf: 3, BareHuge, Store;
        load_of_a_stored_page: 3, Stored, Load;
        store_to_a_stored_page: 3, Stored, Store;
        hypervisor_read: 3, Small, Read;
        hypervisor_write: 3, Small, Write;
        hypervisor_write_to_a_shared_page: 3, Shared, Write;
        hypervisor_write_to_a_huge_leaf: 3, Huge, Write;
    }
    against_unmap_of_the_neighbour: UNMAP_BESIDE {
        load_of_an_empty_page: 3, Empty, Load;
        store_to_a_page: 3, Small, Store;
        store_to_a_shared_page: 3, Shared, Store;
        load_from_a_huge_leaf: 3, Huge, Load;
        store_to_a_huge_leaf: 3, Huge, Store;
        fetch_from_a_huge_leaf: 3, Huge, Fetch;
        load_of_a_stored_page: 3, Stored, Load;
        hypervisor_read_of_a_huge_leaf: 3, Huge, Read;
        hypervisor_write_to_a_huge_leaf: 3, Huge, Write;
    }
    against_empty: EMPTY {
        load_of_an_untouched_page: 3, Bare, Load;
        load_of_an_empty_page: 3, Empty, Load;
        store_to_an_empty_page: 3, Empty, Store;
        store_to_a_page: 3, Small, Store;
        store_to_a_shared_page: 3, Shared, Store;
        fetch_of_a_shared_page: 3, Shared, Fetch;
        load_of_a_stored_page: 3, Stored, Load;
        hypervisor_write: 3, Small, Write;
        store_to_a_huge_leaf: 3, Huge, Store;
        store_that_makes_a_huge_leaf: 3, BareHuge, Store;
    }
    against_page_out: PAGE_OUT {
        load_of_a_page: 3, Small, Load;
        store_to_a_page: 3, Small, Store;
        store_to_an_empty_page: 3, Empty, Store;
        load_of_a_stored_page: 3, Stored, Load;
        hypervisor_read: 3, Small, Read;
        hypervisor_write: 3, Small, Write;
    }
    against_page_out_of_resting_pages: PAGE_OUT_RESTING {
        store_to_a_page: 3, Small, Store;
        hypervisor_write: 3, Small, Write;
    }
    against_age: AGE {
        load_of_a_page: 3, Small, Load;
        store_to_a_page: 3, Small, Store;
        fetch_from_a_huge_leaf: 3, Huge, Fetch;
        hypervisor_write: 3, Small, Write;
    }
    against_age_without_hardwares_help: AGE_RESTING {
        load_of_a_page: 3, Small, Load;
        store_to_a_page: 3, Small, Store;
        store_to_a_huge_leaf: 3, Huge, Store;
        hypervisor_write: 3, Small, Write;
    }
    against_split: SPLIT {
        load: 3, Huge, Load;
        store: 3, Huge, Store;
        fetch: 3, Huge, Fetch;
        hypervisor_read: 3, Huge, Read;
        hypervisor_write: 3, Huge, Write;
    }
    against_promote: PROMOTE {
        load: 3, Split, Load;
        store: 3, Split, Store;
        hypervisor_read: 3, Split, Read;
        hypervisor_write: 3, Split, Write;
    }
    against_promote_by_copy: PROMOTE_BY_COPY {
        load: 3, Small, Load;
        store: 3, Small, Store;
        hypervisor_read: 3, Small, Read;
        hypervisor_write: 3, Small, Write;
    }
    against_prune: PRUNE {
        load: 3, Emptied, Load;
        store: 3, Emptied, Store;
        hypervisor_read: 3, Emptied, Read;
        hypervisor_write: 3, Emptied, Write;
    }
}

/// What hardware records until the transit of a split goes to the parts: nobody had used the page before, so a load that is not seen is one that the split lost.
#[test]
fn a_load_from_an_unused_huge_leaf_that_is_split_is_recorded() {
    let scene = Scene::Huge;
    let young = move |seat: &Seat| age(seat, scene.page(), scene.page() + PAGE);
    Run {
        setup: scene.setup(),
        preemptions: 3,
        before: move |seat: &Seat| {
            scene.before(seat);
            young(seat);
        },
        first: move |seat: &Seat| {
            seat.with_cpu(|space, cpu| space.split(cpu, GuestReal::new(scene.page()))).expect("a huge leaf");
        },
        second: move |seat: &Seat| load(seat, scene.page()),
        check: move |seat: &Seat, (), [loaded]: [Outcome; 1]| {
            assert_eq!((loaded, young(seat)), (Outcome::Loaded(scene.old().0), 1));
        },
    }
    .every_order();
}

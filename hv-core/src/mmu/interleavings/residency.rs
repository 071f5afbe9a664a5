//! Hardware whose flushes reach only the CPU that asks for them. At most three preemptions.
//!
//! The racer enters the guest for each access and leaves it again, with what it cached on an earlier visit. A flush elsewhere has to find it outside and have it flush when it
//! enters next, or find it inside and wait.

use super::account::Seat;
use super::guest::{Outcome, contents, load, read, store};
use super::harness::Run;
use super::machine::PAGE;
use super::prepare::{reuse_what_was_freed, warm};
use super::scene::{NEW, OLD, Scene};
use crate::mmu::residency::Residency;
use crate::sync::{AtomicU64, Ordering};
use loom::sync::Arc;
use ppc64_arch::addr::GuestReal;

type Lonely = Seat<false>;

/// The racer has been in the guest, and has cached the page.
fn visited(seat: &Lonely, scene: Scene) {
    scene.before(seat);
    warm(seat, 1, scene.page());
}

#[test]
fn no_cpu_reaches_a_page_that_was_unmapped() {
    let scene = Scene::Small;
    Run {
        setup: scene.setup(),
        preemptions: 3,
        before: move |seat: &Lonely| visited(seat, scene),
        first: move |seat: &Lonely| {
            let (from, to) = (GuestReal::new(scene.page()), GuestReal::new(scene.page() + PAGE));
            seat.with_cpu(|space, cpu| space.unmap(cpu, from, to)).expect("nothing to split");
            reuse_what_was_freed(seat);
        },
        second: move |seat: &Lonely| (load(seat, scene.page()), load(seat, scene.page())),
        check: move |seat: &Lonely, (), [seen]: [_; 1]| {
            let (old, new) = (Outcome::Loaded(OLD), Outcome::Loaded(0));
            assert!([(old, old), (old, new), (new, new)].contains(&seen), "{seen:?}");
            assert_eq!(contents(seat, scene.page()), 0);
        },
    }
    .every_order();
}

#[test]
fn no_cpu_stores_to_what_is_read_only() {
    let scene = Scene::Small;
    Run {
        setup: scene.setup(),
        preemptions: 3,
        before: move |seat: &Lonely| visited(seat, scene),
        first: move |seat: &Lonely| {
            let base = GuestReal::new(scene.base());
            seat.with_cpu(|space, cpu| space.set_read_only(cpu, base, true)).expect("a slot");
            read(seat, scene.page())
        },
        second: move |seat: &Lonely| store(seat, scene.page(), NEW),
        check: move |seat: &Lonely, then, [_]: [_; 1]| assert_eq!(read(seat, scene.page()), then),
    }
    .every_order();
}

#[test]
fn a_split_is_seen_by_no_cpu_as_two_sizes() {
    let scene = Scene::Huge;
    Run {
        setup: scene.setup(),
        preemptions: 3,
        before: move |seat: &Lonely| visited(seat, scene),
        first: move |seat: &Lonely| {
            seat.with_cpu(|space, cpu| space.split(cpu, GuestReal::new(scene.page()))).expect("a huge leaf");
        },
        second: move |seat: &Lonely| store(seat, scene.page(), NEW),
        check: move |seat: &Lonely, (), [_]: [_; 1]| {
            assert_eq!((contents(seat, scene.page()), contents(seat, scene.beside())), (NEW, scene.old().1));
        },
    }
    .every_order();
}

#[test]
fn two_cpus_that_flush_do_not_wait_for_each_other() {
    let scene = Scene::Shared;
    Run {
        setup: scene.setup(),
        preemptions: 3,
        before: move |seat: &Lonely| visited(seat, scene),
        first: move |seat: &Lonely| store(seat, scene.beside(), NEW),
        second: move |seat: &Lonely| store(seat, scene.page(), NEW),
        check: move |seat: &Lonely, _, [_]: [_; 1]| {
            assert_eq!((contents(seat, scene.page()), contents(seat, scene.beside())), (NEW, NEW));
        },
    }
    .every_order();
}

/// One CPU at the protocol alone: either the one that enters flushes, or the one that evicts waits for it to leave.
#[test]
fn whoever_enters_flushes_or_is_waited_for() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let world = Arc::new((Residency::new(), loom::cell::UnsafeCell::new(()), AtomicU64::new(0)));
        // CPU 1 has been inside before: it has a translation cached.
        let _first = world.0.enter(1);
        world.0.leave(1);
        let inside = {
            let world = world.clone();
            loom::thread::spawn(move || {
                let (residency, frame, entry) = &*world;
                let flushed = residency.enter(1);
                // What was flushed is looked up again.
                if !flushed || entry.load(Ordering::Relaxed) == 0 {
                    frame.with(|_| ());
                }
                residency.leave(1);
            })
        };
        let (residency, frame, entry) = &*world;
        entry.store(1, Ordering::Relaxed);
        residency.evict(0, |cpu| assert_eq!(cpu, 1), |_| {});
        // The frame is the next owner's.
        frame.with_mut(|_| ());
        inside.join().expect("no panic");
    });
}

/// The same for a CPU that nobody knows of yet.
#[test]
fn whoever_enters_for_the_first_time_is_known_or_sees_the_entries_as_they_are() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let world = Arc::new((Residency::new(), loom::cell::UnsafeCell::new(()), AtomicU64::new(0)));
        let inside = {
            let world = world.clone();
            loom::thread::spawn(move || {
                let (residency, frame, entry) = &*world;
                assert!(residency.enter(1), "the first entry flushes");
                if entry.load(Ordering::Relaxed) == 0 {
                    frame.with(|_| ());
                }
                residency.leave(1);
            })
        };
        let (residency, frame, entry) = &*world;
        entry.store(1, Ordering::Relaxed);
        residency.evict(0, |cpu| assert_eq!(cpu, 1), |_| {});
        frame.with_mut(|_| ());
        inside.join().expect("no panic");
    });
}

/// Neither has been inside before. Each waits for the other to leave, and none for the other to have waited.
#[test]
fn two_cpus_that_enter_for_the_first_time_and_flush_do_not_wait_for_each_other() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let residency = Arc::new(Residency::new());
        let visit = |residency: &Residency, me: usize| {
            assert!(residency.enter(me), "the first entry flushes");
            residency.leave(me);
            residency.evict(me, |other| assert_eq!(other, 1 - me), |_| {});
        };
        let other = {
            let residency = residency.clone();
            loom::thread::spawn(move || visit(&residency, 1))
        };
        visit(&residency, 0);
        other.join().expect("no panic");
    });
}

#[test]
fn a_cpu_that_stays_inside_is_kicked_out() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let world = Arc::new((Residency::new(), AtomicU64::new(0)));
        let _first = world.0.enter(1);
        let inside = {
            let world = world.clone();
            loom::thread::spawn(move || {
                while world.1.load(Ordering::Relaxed) == 0 {
                    loom::thread::yield_now();
                }
                world.0.leave(1);
            })
        };
        world.0.evict(0, |_| world.1.store(1, Ordering::Relaxed), |_| {});
        inside.join().expect("no panic");
    });
}

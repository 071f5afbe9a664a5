//! Long runs in random orders, under shuttle: three CPUs, each of which does one thing after the other to a guest whose pages are split, promoted, logged, taken out and
//! unmapped meanwhile. What the pairs under loom show of two steps, these try for states that take many steps to reach; they know no weak memory.
//!
//! What a load may see follows from when it ran. Each store is a *write* that lasts from a beginning to an end; so does an unmap, which writes what the page's source says:
//!
//! ```text
//!   write A  ├────┤
//!   write B         ├──┤          a load that begins here may see B or C, not A:
//!   write C            ├──────    B began after A had ended, and ended before the load began
//!   load                  ├──┤
//! ```
//!
//! Run with `RUSTFLAGS="--cfg shuttle" cargo test -p hv-core --no-default-features --features guest --release interleavings`. Orders follow from a seed, which
//! `SHUTTLE_RANDOM_SEED` replaces.

use super::account::{Seat, check_books, on_cpu, tear_down};
use super::guest::{Outcome, contents, fetch, load, read, store, write};
use super::machine::{IMAGE, PAGE};
use super::world::{HUGE, IMAGE_PAGE, SMALL, Setup, World, ZERO_PAGE};
use crate::mmu::Cpu;
use core::cell::RefCell;
use ppc64_arch::addr::GuestReal;
use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};
use std::sync::Arc;

/// Runs of each test.
const RUNS: usize = 1000;
const CPUS: usize = 3;
/// What each CPU does in one run.
const STEPS: usize = 12;
const PAGES: usize = 4;

/// A write to a page, and when it was under way. Not over yet: it ends at the end of time.
#[derive(Clone, Copy, Debug)]
struct Write {
    value: u64,
    begins: u64,
    ends: u64,
}

/// What was written to each page. Only the order of the model changes it, so it is no part of what is scheduled.
struct History {
    clock: u64,
    writes: [Vec<Write>; PAGES],
}

struct Shared(RefCell<History>);

// SAFETY: 1. shuttle runs one CPU at a time on one thread, and no borrow lasts over a scheduling point.
unsafe impl Sync for Shared {}
// SAFETY: 1. As above.
unsafe impl Send for Shared {}

fn source(page: usize) -> u64 {
    if page < 2 { 0 } else { IMAGE[page - 2] }
}

fn address(page: usize) -> u64 {
    if page < 2 { ZERO_PAGE + page as u64 * PAGE } else { IMAGE_PAGE + (page as u64 - 2) * PAGE }
}

impl Shared {
    fn new() -> Self {
        let first = |page| vec![Write { value: source(page), begins: 0, ends: 0 }];
        Self(RefCell::new(History { clock: 0, writes: core::array::from_fn(first) }))
    }

    fn now(&self) -> u64 {
        let mut history = self.0.borrow_mut();
        history.clock += 1;
        history.clock
    }

    /// Whether a write of the source's contents was under way after `since`: an unmap, which is no store and not logged.
    fn was_forgotten(&self, page: usize, since: u64) -> bool {
        self.0.borrow().writes[page].iter().any(|write| write.value == source(page) && write.ends > since)
    }

    /// A write begins; its number.
    fn begin(&self, page: usize, value: impl FnOnce(u64) -> u64) -> (usize, u64) {
        let begins = self.now();
        let writes = &mut self.0.borrow_mut().writes[page];
        let value = value(begins);
        writes.push(Write { value, begins, ends: u64::MAX });
        (writes.len() - 1, value)
    }

    fn end(&self, page: usize, write: usize) {
        let ends = self.now();
        self.0.borrow_mut().writes[page][write].ends = ends;
    }

    /// A load that began then saw `value`: some write of it has begun, and none that came after it was over.
    fn check(&self, page: usize, value: u64, begins: u64) {
        let history = self.0.borrow();
        let writes = &history.writes[page];
        let hides = |old: &Write| writes.iter().any(|new| new.begins > old.ends && new.ends < begins);
        let seen = writes.iter().any(|write| write.value == value && !hides(write));
        assert!(seen, "page {page} said {value:#x} at {begins}: {writes:x?}");
    }
}

/// The log of the slot of zeros, and a copy of its pages as a migration keeps it: what they say, and since when. Only CPU 0 has one.
#[derive(Default)]
struct Migration {
    copy: Option<[(u64, u64); 2]>,
}

impl Migration {
    const BASE: GuestReal = GuestReal::new(ZERO_PAGE);

    fn start_or_stop(&mut self, seat: &Seat, history: &Shared) {
        match self.copy.take() {
            Some(_) => seat.with_cpu(|space, cpu| space.stop_log(cpu, Self::BASE)).expect("it is on"),
            None => {
                seat.with_cpu(|space, cpu| space.start_log(cpu, Self::BASE)).expect("it is off");
                self.copy = Some([0, 1].map(|page| Self::copy_of(seat, history, page)));
            }
        }
    }

    fn copy_of(seat: &Seat, history: &Shared, page: usize) -> (u64, u64) {
        let since = history.now();
        (contents(seat, address(page)), since)
    }

    fn harvest(&mut self, seat: &Seat, history: &Shared) {
        let Some(copy) = self.copy.as_mut() else { return };
        let mut dirty = 0;
        seat.with_cpu(|space, cpu| space.harvest(cpu, Self::BASE, |_, bits| dirty = bits)).expect("it is on");
        (0..2).filter(|page| dirty >> page & 1 != 0).for_each(|page| copy[page] = Self::copy_of(seat, history, page));
    }

    /// Nobody stores any more: after one more harvest the copy is what the guest has.
    fn finish(mut self, seat: &Seat, history: &Shared) {
        self.harvest(seat, history);
        for (page, (copy, since)) in self.copy.into_iter().flatten().enumerate() {
            let now = contents(seat, address(page));
            assert!(now == copy || history.was_forgotten(page, since), "page {page}: {now:#x}, copied as {copy:#x}");
        }
    }
}

/// An access of the guest's, or of the hypervisor's on its behalf.
fn access(seat: &Seat, history: &Shared) {
    let page = thread_rng().gen_range(0..PAGES);
    let at = address(page);
    let kind = thread_rng().gen_range(0..5);
    if kind < 3 {
        let begins = history.now();
        let outcome = [load, fetch, read][kind](seat, at);
        let Outcome::Loaded(value) = outcome else { panic!("{outcome:?}") };
        history.check(page, value, begins);
    } else {
        let (number, value) = history.begin(page, |begins| begins << 8 | page as u64);
        let outcome = [store, write][kind - 3](seat, at, value);
        assert_eq!(outcome, Outcome::Stored(value));
        history.end(page, number);
    }
}

fn forget(seat: &Seat, history: &Shared, pages: core::ops::Range<usize>) {
    let begun = pages.clone().map(|page| (page, history.begin(page, |_| source(page)).0)).collect::<Vec<_>>();
    let (from, to) = (GuestReal::new(address(pages.start)), GuestReal::new(address(pages.end - 1) + PAGE));
    seat.with_cpu(|space, cpu| space.unmap(cpu, from, to)).expect("a frame for a split");
    begun.into_iter().for_each(|(page, number)| history.end(page, number));
}

/// A mutation, by whichever CPU.
fn mutation(seat: &Seat, history: &Shared) {
    let page = thread_rng().gen_range(0..PAGES);
    let at = GuestReal::new(address(page));
    let all = GuestReal::new(PAGES as u64 * PAGE);
    match thread_rng().gen_range(0..8) {
        0 => forget(seat, history, page..page + 1),
        1 => forget(seat, history, if page < 2 { 0..2 } else { 2..4 }),
        2 => drop(seat.with_cpu(|space, cpu| space.split(cpu, at))),
        3 => drop(seat.with_cpu(|space, cpu| space.promote(cpu, at))),
        4 => drop(seat.with_cpu(|space, cpu| space.age(cpu, GuestReal::new(0), all))),
        5 => drop(seat.with_cpu(|space, cpu| space.prune(cpu))),
        _ => drop(seat.with_cpu(|space, cpu| space.page_out(cpu))),
    }
}

/// One CPU's part of a run.
fn storm(seat: &Seat, history: &Shared) {
    let mut migration = Migration::default();
    let leader = seat.with_cpu(|_, cpu| cpu.id()) == 0;
    for _ in 0..STEPS {
        match thread_rng().gen_range(0..10) {
            0..=5 => access(seat, history),
            6 if leader => migration.start_or_stop(seat, history),
            7 | 8 if leader => migration.harvest(seat, history),
            _ => mutation(seat, history),
        }
    }
    if leader {
        OPEN.with(|open| *open.borrow_mut() = Some(migration));
    }
}

shuttle::thread_local! {
    /// The leader's migration, which ends when the others have.
    static OPEN: RefCell<Option<Migration>> = RefCell::new(None);
}

fn one_run(setup: Setup) {
    let world = World::<true>::new(&setup);
    let (space, history) = (world.space(), Arc::new(Shared::new()));
    let cpu = |id| Cpu::new(id).expect("a number");
    let others = (1..CPUS).map(|id| {
        let history = history.clone();
        shuttle::thread::spawn(move || on_cpu(space, cpu(id), |seat| storm(seat, &history)).0)
    });
    let others = others.collect::<Vec<_>>();
    let (mut first, ()) = on_cpu(space, cpu(0), |seat| storm(seat, &history));
    let others = others.into_iter().map(|other| other.join().expect("no panic")).collect::<Vec<_>>();
    others.iter().for_each(|other| first.stats.merge(&other.stats));
    let seat = Seat::new(space, first);
    check_books(&seat);
    if let Some(migration) = OPEN.with(|open| open.borrow_mut().take()) {
        migration.finish(&seat, &history);
    }
    for page in 0..PAGES {
        let begins = history.now();
        history.check(page, contents(&seat, address(page)), begins);
    }
    tear_down(seat, others);
}

fn runs(scheduler: impl Scheduler + 'static, setup: Setup) {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(move || one_run(setup));
}

const GUEST: Setup = Setup { image: 2, ..SMALL };
const LARGE: Setup = Setup { budget: true, image: 2, ..HUGE };
const RESTING: Setup = Setup { sets_reference: false, ..LARGE };

/// Orders of guests with small leaves.
#[test]
fn small_leaves_in_random_orders() {
    runs(RandomScheduler::new_from_seed(1, RUNS), GUEST);
}

/// Orders of guests with huge leaves.
#[test]
fn huge_leaves_in_random_orders() {
    runs(RandomScheduler::new_from_seed(2, RUNS), LARGE);
}

/// Orders where hardware leaves R to software.
#[test]
fn resting_pages_in_random_orders() {
    runs(RandomScheduler::new_from_seed(3, RUNS), RESTING);
}

/// Orders with few preemptions, placed at random.
#[test]
fn huge_leaves_with_few_preemptions() {
    runs(PctScheduler::new_from_seed(4, 5, RUNS), LARGE);
}

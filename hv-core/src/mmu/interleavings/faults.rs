//! Faults against faults, and the reclaim that they start. At most three preemptions.

use super::account::Seat;
use super::guest::{Outcome, contents, write};
use super::harness::Run;
use super::machine::{IMAGE, PAGE};
use super::world::{IMAGE_PAGE, SMALL, ZERO_PAGE, touch_all_free};
use crate::mmu::absent::State;
use crate::mmu::audit::Audit;
use crate::mmu::stats::Reason;
use crate::mmu::{Access, AccessError, Resolution, StorageFault};
use ppc64_arch::addr::{EffAddr, GuestReal};
use ppc64_arch::radix::Entry;

/// Every order of `first` on CPU 0 and `second` on CPU 1, with at most `preemptions` involuntary switches; then `check`.
fn every_order(preemptions: usize, before: fn(&Seat), first: fn(&Seat), second: fn(&Seat), check: fn(&Seat)) {
    let check = move |seat: &Seat, (), [()]: [(); 1]| check(seat);
    Run { setup: SMALL, preemptions, before, first, second, check }.every_order();
}

fn nothing(_: &Seat) {}

/// Faults at `at` until it is resolved; a wait is for the other CPU.
fn fault(seat: &Seat, at: u64, access: Access) {
    let at = GuestReal::new(at);
    let fault = StorageFault { access, ea: EffAddr::new(0), claim: at, table_walk: false, cause: None };
    loop {
        match seat.fault(&fault) {
            Resolution::Resume => return,
            Resolution::Wait(_) => loom::thread::yield_now(),
            other => panic!("{other:?}"),
        }
    }
}

fn put(seat: &Seat, at: u64, value: u64) {
    assert_eq!(write(seat, at, value), Outcome::Stored(value));
}

#[test]
fn two_first_touches_of_one_page_make_one_page() {
    every_order(
        3,
        nothing,
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| fault(seat, ZERO_PAGE, Access::Read),
        |seat| {
            let audit = Audit::of(seat.space());
            assert_eq!(audit.tables, 1);
            assert_eq!(contents(seat, ZERO_PAGE), 0);
        },
    );
}

#[test]
fn neighbours_share_the_table_that_one_of_them_made() {
    every_order(
        3,
        nothing,
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| fault(seat, ZERO_PAGE + PAGE, Access::Write),
        |seat| assert_eq!(Audit::of(seat.space()).tables, 1),
    );
}

#[test]
fn whoever_finds_a_page_finds_it_zeroed() {
    every_order(
        3,
        nothing,
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| assert_eq!(contents(seat, ZERO_PAGE), 0),
        nothing,
    );
}

#[test]
fn a_reader_and_a_writer_of_an_image_page_end_with_the_writers_copy() {
    every_order(
        3,
        nothing,
        |seat| put(seat, IMAGE_PAGE, 7),
        |seat| fault(seat, IMAGE_PAGE, Access::Fetch),
        |seat| assert_eq!(contents(seat, IMAGE_PAGE), 7),
    );
}

#[test]
fn two_writers_of_a_shared_page_make_one_copy() {
    every_order(
        3,
        |seat| fault(seat, IMAGE_PAGE, Access::Read),
        |seat| fault(seat, IMAGE_PAGE, Access::Write),
        |seat| fault(seat, IMAGE_PAGE, Access::Write),
        |seat| assert_eq!(contents(seat, IMAGE_PAGE), IMAGE[0]),
    );
}

#[test]
fn a_fault_while_the_guest_is_emptied_leaves_nothing_half_done() {
    every_order(
        3,
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| seat.with_cpu(|space, cpu| space.empty(cpu)),
        |seat| assert_eq!(contents(seat, ZERO_PAGE), 0),
    );
}

#[test]
fn a_frame_that_the_hypervisor_reads_is_not_freed_under_it() {
    every_order(
        3,
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| match seat.read(GuestReal::new(ZERO_PAGE), &mut [0; 8]) {
            // The other CPU may hold every free frame for a moment.
            Ok(()) | Err(AccessError::OutOfMemory) => {}
            Err(other) => panic!("{other:?}"),
        },
        |seat| {
            seat.with_cpu(|space, cpu| {
                space.unmap(cpu, GuestReal::new(ZERO_PAGE), GuestReal::new(ZERO_PAGE + PAGE)).expect("no split");
                cpu.frames.drain(&space.memory().pool);
                touch_all_free(space.memory());
            });
        },
        nothing,
    );
}

/// Ages a page, or puts it into the store if it has been aged and not used since.
fn take_pages_out(seat: &Seat) {
    seat.with_cpu(|space, cpu| space.page_out(cpu));
}

fn stored_page(seat: &Seat) {
    put(seat, ZERO_PAGE, 7);
    take_pages_out(seat);
    assert_eq!(Audit::of(seat.space()).stored, 1);
}

#[test]
fn a_write_of_the_hypervisors_is_not_lost_to_a_page_out() {
    every_order(
        3,
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| put(seat, ZERO_PAGE, 7),
        take_pages_out,
        |seat| assert_eq!(contents(seat, ZERO_PAGE), 7),
    );
}

#[test]
fn two_faults_on_a_stored_page_bring_it_back_once() {
    every_order(
        3,
        stored_page,
        |seat| fault(seat, ZERO_PAGE, Access::Read),
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| {
            assert_eq!(Audit::of(seat.space()).stored, 0);
            assert_eq!(contents(seat, ZERO_PAGE), 7);
        },
    );
}

#[test]
fn a_page_that_left_and_came_back_and_left_again_is_not_mistaken_for_the_first_one() {
    every_order(
        3,
        stored_page,
        |seat| fault(seat, ZERO_PAGE, Access::Read),
        |seat| {
            put(seat, ZERO_PAGE, 8);
            take_pages_out(seat);
        },
        |seat| assert_eq!(contents(seat, ZERO_PAGE), 8),
    );
}

#[test]
fn emptying_a_guest_forgets_its_stored_pages_once() {
    every_order(
        3,
        stored_page,
        |seat| fault(seat, ZERO_PAGE, Access::Read),
        |seat| seat.with_cpu(|space, cpu| space.empty(cpu)),
        |seat| assert!([0, 7].contains(&contents(seat, ZERO_PAGE))),
    );
}

#[test]
fn a_fault_that_meets_a_detached_entry_looks_again_and_counts_it() {
    let meet = |seat: &Seat| {
        fault(seat, ZERO_PAGE, Access::Write);
        let leaf = exchange(seat, Entry::Absent(State::Detached.encode()));
        fault(seat, ZERO_PAGE, Access::Write);
        assert!(seat.counted().retries(Reason::Detached) > 0);
        let detached = exchange(seat, leaf);
        assert_eq!(detached, Entry::Absent(State::Detached.encode()), "the fault left it alone");
    };
    every_order(0, meet, nothing, nothing, |seat| assert_eq!(contents(seat, ZERO_PAGE), 0));
}

/// What stands for the page, replaced by force.
fn exchange(seat: &Seat, entry: Entry) -> Entry {
    // SAFETY: 1. No other CPU runs yet.
    seat.with_cpu(|space, _| unsafe { space.walk(GuestReal::new(ZERO_PAGE)) }.place.replace(entry))
}

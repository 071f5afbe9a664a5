//! What may run against what, one test a pair.

use super::machine::{IMAGE, Model};
use super::world::{FREE_AT_FIRST, IMAGE_PAGE, World, ZERO_PAGE, touch_all_free};
use crate::mmu::audit::Audit;
use crate::mmu::stats::{Pages, Stats};
use crate::mmu::{Access, AccessError, Cpu, Resolution, Seat, Space, StorageFault};
use ppc64_arch::addr::{EffAddr, GuestReal};

type Guest = &'static Space<'static, Model>;

/// Every order of `first` on CPU 0 and `second` on CPU 1, with at most `preemptions` involuntary switches; then `check`.
fn every_order(
    preemptions: usize,
    before: fn(&Seat<'_, 'static, Model>),
    first: fn(&Seat<'_, 'static, Model>),
    second: fn(&Seat<'_, 'static, Model>),
    check: fn(&Seat<'_, 'static, Model>),
) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        let world = World::new();
        let space = world.space();
        let seat = Seat::new(space, Cpu::new(0).expect("a number"));
        before(&seat);
        let other = loom::thread::spawn(move || on_cpu(space, Cpu::new(1).expect("a number"), second));
        let mut cpu = on_cpu(space, seat.leave(), first);
        let theirs = other.join().expect("no panic");
        add(&mut cpu.stats, &theirs.stats);
        let seat = Seat::new(space, cpu);
        check_books(&seat);
        check(&seat);
        tear_down(seat, theirs);
    });
}

fn on_cpu(space: Guest, cpu: Cpu, work: fn(&Seat<'_, 'static, Model>)) -> Cpu {
    let seat = Seat::new(space, cpu);
    work(&seat);
    seat.leave()
}

fn add(sum: &mut Stats, more: &Stats) {
    sum.made.merge(&more.made);
    sum.unmapped.merge(&more.unmapped);
    sum.tables_made += more.tables_made;
    sum.tables_freed += more.tables_freed;
}

/// Made − unmapped = live, for pages and tables.
fn check_books(seat: &Seat<'_, 'static, Model>) {
    let audit = Audit::of(seat.space());
    assert_eq!((audit.transit, audit.broken), (0, 0));
    assert_eq!(seat.space().store().expect("a store").held().pages, audit.stored);
    seat.with_cpu(|_, cpu| {
        let mut live: Pages = cpu.stats.made;
        live.subtract(&cpu.stats.unmapped);
        assert_eq!(live, audit.live);
        assert_eq!(cpu.stats.tables_made - cpu.stats.tables_freed, audit.tables);
    });
}

/// Every frame comes back, once.
fn tear_down(seat: Seat<'_, 'static, Model>, mut other: Cpu) {
    let memory = seat.space().memory();
    seat.with_cpu(|space, cpu| {
        space.clear(cpu);
        cpu.frames.drain(&memory.pool);
    });
    other.frames.drain(&memory.pool);
    assert_eq!((memory.pool.free_bytes(), memory.pool.double_frees()), (FREE_AT_FIRST, 0));
    touch_all_free(memory);
}

fn nothing(_: &Seat<'_, 'static, Model>) {}

/// Faults at `at` until it is resolved; a wait is for the other CPU.
fn fault(seat: &Seat<'_, 'static, Model>, at: u64, access: Access) {
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

fn read(seat: &Seat<'_, 'static, Model>, at: u64) -> u64 {
    let mut bytes = [0; 8];
    seat.read(GuestReal::new(at), &mut bytes).expect("a page");
    u64::from_le_bytes(bytes)
}

#[test]
fn two_first_touches_of_one_page_make_one_page() {
    every_order(
        2,
        nothing,
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| fault(seat, ZERO_PAGE, Access::Read),
        |seat| {
            let audit = Audit::of(seat.space());
            assert_eq!(audit.tables, 1);
            assert_eq!(read(seat, ZERO_PAGE), 0);
        },
    );
}

#[test]
fn neighbours_share_the_table_that_one_of_them_made() {
    every_order(
        2,
        nothing,
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| fault(seat, ZERO_PAGE + 0x1000, Access::Write),
        |seat| assert_eq!(Audit::of(seat.space()).tables, 1),
    );
}

#[test]
fn whoever_finds_a_page_finds_it_zeroed() {
    every_order(
        2,
        nothing,
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| assert_eq!(read(seat, ZERO_PAGE), 0),
        nothing,
    );
}

#[test]
fn a_reader_and_a_writer_of_an_image_page_end_with_the_writers_copy() {
    every_order(
        2,
        nothing,
        |seat| seat.write(GuestReal::new(IMAGE_PAGE), &7u64.to_le_bytes()).expect("a page"),
        |seat| fault(seat, IMAGE_PAGE, Access::Fetch),
        |seat| assert_eq!(read(seat, IMAGE_PAGE), 7),
    );
}

#[test]
fn two_writers_of_a_shared_page_make_one_copy() {
    every_order(
        2,
        |seat| fault(seat, IMAGE_PAGE, Access::Read),
        |seat| fault(seat, IMAGE_PAGE, Access::Write),
        |seat| fault(seat, IMAGE_PAGE, Access::Write),
        |seat| assert_eq!(read(seat, IMAGE_PAGE), IMAGE[0]),
    );
}

#[test]
fn a_fault_while_the_guest_is_emptied_leaves_nothing_half_done() {
    every_order(
        2,
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| seat.with_cpu(|space, cpu| space.empty(cpu)),
        |seat| assert_eq!(read(seat, ZERO_PAGE), 0),
    );
}

#[test]
fn a_frame_that_the_hypervisor_reads_is_not_freed_under_it() {
    every_order(
        2,
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| match seat.read(GuestReal::new(ZERO_PAGE), &mut [0; 8]) {
            // The other CPU may hold every free frame for a moment.
            Ok(()) | Err(AccessError::OutOfMemory) => {}
            Err(other) => panic!("{other:?}"),
        },
        |seat| {
            seat.with_cpu(|space, cpu| {
                space.unmap(cpu, GuestReal::new(ZERO_PAGE), GuestReal::new(ZERO_PAGE + 0x1000)).expect("no split");
                cpu.frames.drain(&space.memory().pool);
                touch_all_free(space.memory());
            });
        },
        nothing,
    );
}

/// Ages a page, or puts it into the store if it has been aged and not used since.
fn take_pages_out(seat: &Seat<'_, 'static, Model>) {
    seat.with_cpu(|space, cpu| space.page_out(cpu));
}

fn stored_page(seat: &Seat<'_, 'static, Model>) {
    seat.write(GuestReal::new(ZERO_PAGE), &7u64.to_le_bytes()).expect("a page");
    take_pages_out(seat);
    assert_eq!(Audit::of(seat.space()).stored, 1);
}

#[test]
fn a_write_of_the_hypervisors_is_not_lost_to_a_page_out() {
    every_order(
        2,
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| seat.write(GuestReal::new(ZERO_PAGE), &7u64.to_le_bytes()).expect("a page"),
        take_pages_out,
        |seat| assert_eq!(read(seat, ZERO_PAGE), 7),
    );
}

#[test]
fn two_faults_on_a_stored_page_bring_it_back_once() {
    every_order(
        2,
        stored_page,
        |seat| fault(seat, ZERO_PAGE, Access::Read),
        |seat| fault(seat, ZERO_PAGE, Access::Write),
        |seat| {
            assert_eq!(Audit::of(seat.space()).stored, 0);
            assert_eq!(read(seat, ZERO_PAGE), 7);
        },
    );
}

#[test]
fn a_page_that_left_and_came_back_and_left_again_is_not_mistaken_for_the_first_one() {
    every_order(
        2,
        stored_page,
        |seat| fault(seat, ZERO_PAGE, Access::Read),
        |seat| {
            seat.write(GuestReal::new(ZERO_PAGE), &8u64.to_le_bytes()).expect("a page");
            take_pages_out(seat);
        },
        |seat| assert_eq!(read(seat, ZERO_PAGE), 8),
    );
}

#[test]
fn emptying_a_guest_forgets_its_stored_pages_once() {
    every_order(
        2,
        stored_page,
        |seat| fault(seat, ZERO_PAGE, Access::Read),
        |seat| seat.with_cpu(|space, cpu| space.empty(cpu)),
        |seat| assert!([0, 7].contains(&read(seat, ZERO_PAGE))),
    );
}

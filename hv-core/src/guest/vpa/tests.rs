use super::fields::*;
use super::log::{LOG_CEDE, LOG_PREEMPT};
use super::*;
use crate::guest::testing::Ram;
use ppc64_arch::addr::GuestReal;

const AT: u64 = 0x2000;
const LOG_AT: u64 = 0x4000;

fn call(vpa: &mut Vpa, ram: &Ram, function: u64, at: u64) -> Result<(), Rc> {
    vpa.call(ram, function << hcall::vpa::SHIFT, Claim::new(at))
}

fn with_area() -> (Vpa, Ram) {
    let ram = Ram::new(0x1_0000);
    ram.put(AT + 4, &640_u16.to_be_bytes());
    let mut vpa = Vpa::running();
    assert_eq!(call(&mut vpa, &ram, 1, AT), Ok(()));
    (vpa, ram)
}

fn dispatches(ram: &Ram) -> u32 {
    ram.be32(AT + VPA_DISPATCHES)
}

fn at(now: u64) -> Dispatch {
    Dispatch { cpu: 3, nip: 0x1234, msr: 0x8000, now, ready_since: 0, reason: Reason::TimeSlice }
}

fn with_log(bytes: u32, mask: u8) -> (Vpa, Ram) {
    let (mut vpa, ram) = with_area();
    ram.put(LOG_AT + 4, &bytes.to_be_bytes());
    assert_eq!(call(&mut vpa, &ram, 2, LOG_AT), Ok(()));
    ram.put(AT + VPA_LOG_MASK, &[mask]);
    (vpa, ram)
}

#[test]
fn the_dispatch_count_is_odd_only_while_the_processor_is_given_up() {
    let (mut vpa, ram) = with_area();
    assert_eq!(ram.byte(AT + VPA_STATUS), STATUS_SHARED);
    for (turn, why) in [GaveUp::Ceded, GaveUp::Conferred, GaveUp::Preempted].into_iter().enumerate() {
        let turn = u32::try_from(turn).expect("small");
        vpa.gave_up(&ram, why, 5);
        assert_eq!((dispatches(&ram), vpa.yield_count()), (2 * turn + 1, Some(2 * turn + 1)));
        vpa.dispatched(&ram, &at(9));
        assert_eq!((dispatches(&ram), vpa.yield_count()), (2 * turn + 2, Some(2 * turn + 2)));
    }
}

#[test]
fn an_area_that_another_processor_registers_tells_whether_its_own_runs() {
    let ram = Ram::new(0x1_0000);
    ram.put(AT + 4, &640_u16.to_be_bytes());
    let mut vpa = Vpa::default();
    assert_eq!(vpa.yield_count(), None);
    for (gives_up, count) in [(true, 1), (false, 0)] {
        match gives_up {
            true => vpa.gave_up(&ram, GaveUp::Preempted, 5),
            false => vpa.dispatched(&ram, &at(9)),
        }
        assert_eq!(call(&mut vpa, &ram, 1, AT), Ok(()));
        assert_eq!(dispatches(&ram), count);
    }
}

#[test]
fn time_without_a_cpu_is_stolen_and_sleep_is_not() {
    let (mut vpa, ram) = with_area();
    let times = |ram: &Ram| [0, 8, 16].map(|offset| ram.be64(AT + VPA_TIMES + offset));
    vpa.gave_up(&ram, GaveUp::Preempted, 100);
    vpa.dispatched(&ram, &at(130));
    assert_eq!(times(&ram), [30, 0, 0]);
    vpa.gave_up(&ram, GaveUp::Ceded, 200);
    vpa.dispatched(&ram, &Dispatch { ready_since: 290, ..at(295) });
    assert_eq!(times(&ram), [35, 0, 90]);
    vpa.gave_up(&ram, GaveUp::Ceded, 300);
    vpa.dispatched(&ram, &Dispatch { ready_since: u64::MAX, ..at(310) });
    assert_eq!(times(&ram), [35, 0, 100]);
    assert_eq!(call(&mut vpa, &ram, 1, AT), Ok(()));
    vpa.gave_up(&ram, GaveUp::Preempted, 400);
    vpa.dispatched(&ram, &at(401));
    assert_eq!(times(&ram), [36, 0, 100], "a new registration goes on from there");
}

#[test]
fn dispatches_on_another_cpu_are_counted() {
    let (mut vpa, ram) = with_area();
    for (cpu, count) in [(3, 0), (3, 0), (4, 1), (4, 1), (3, 2)] {
        vpa.gave_up(&ram, GaveUp::Preempted, 1);
        vpa.dispatched(&ram, &Dispatch { cpu, ..at(2) });
        assert_eq!(ram.be32(AT + VPA_DISPATCHES + 4), count);
    }
}

#[test]
fn the_guest_says_when_it_has_nothing_to_do() {
    let (vpa, ram) = with_area();
    assert!(!vpa.is_idle(&ram));
    ram.put(AT + VPA_IDLE, &[1]);
    assert!(vpa.is_idle(&ram));
    assert!(!Vpa::default().is_idle(&ram));
}

#[test]
fn an_area_must_be_large_enough_aligned_inside_one_page_and_inside_memory() {
    let ram = Ram::new(0x1_0000);
    let mut vpa = Vpa::default();
    for (at, size) in [(AT, 639_u16), (AT, 0), (AT + 64, 640), (0x2e00, 640), (0xfd80, 641), (0x1_0000, 640)] {
        ram.put(at + 4, &size.to_be_bytes());
        assert_eq!(call(&mut vpa, &ram, 1, at), Err(Rc::PARAMETER), "{at:#x} {size}");
    }
    assert_eq!(call(&mut vpa, &ram, 1, u64::MAX - 127), Err(Rc::PARAMETER));
}

#[test]
fn the_area_comes_first_and_goes_last() {
    let ram = Ram::new(0x1_0000);
    ram.put(LOG_AT + 4, &96_u32.to_be_bytes());
    assert_eq!(call(&mut Vpa::default(), &ram, 2, LOG_AT), Err(Rc::RESOURCE));
    assert_eq!(call(&mut Vpa::default(), &ram, 3, LOG_AT), Err(Rc::RESOURCE));

    let (mut vpa, ram) = with_area();
    ram.put(LOG_AT + 4, &96_u32.to_be_bytes());
    assert_eq!(call(&mut vpa, &ram, 2, LOG_AT), Ok(()));
    assert_eq!(call(&mut vpa, &ram, 5, 0), Err(Rc::RESOURCE));
    assert_eq!(call(&mut vpa, &ram, 6, 0), Ok(()));
    assert_eq!(call(&mut vpa, &ram, 5, 0), Ok(()));
}

#[test]
fn the_log_is_kept_on_request_and_never_leaves_its_buffer() {
    let (mut vpa, ram) = with_log(100, 0); // two entries and a rest
    vpa.gave_up(&ram, GaveUp::Ceded, 5);
    vpa.dispatched(&ram, &at(6));
    assert_eq!(ram.be64(AT + VPA_LOG_INDEX), 0, "not asked for");
    ram.put(AT + VPA_LOG_MASK, &[LOG_CEDE]);
    for now in [10, 20, 30] {
        vpa.gave_up(&ram, GaveUp::Ceded, now);
        vpa.dispatched(&ram, &at(now + 1));
    }
    assert_eq!(ram.be64(AT + VPA_LOG_INDEX), 3);
    assert_eq!(ram.be64(LOG_AT + 16), 31, "the third entry replaced the first");
    assert_eq!(ram.be32(LOG_AT + 96), 0);
}

#[test]
fn an_entry_says_why_the_processor_went_and_came_and_what_it_waited_for() {
    let (mut vpa, ram) = with_log(96, LOG_CEDE | LOG_PREEMPT);
    vpa.gave_up(&ram, GaveUp::Ceded, 100);
    vpa.dispatched(&ram, &Dispatch { ready_since: 170, reason: Reason::Decrementer, ..at(175) });
    let words = |n: u64| [0, 4, 8, 12].map(|offset| ram.be32(LOG_AT + 48 * n + offset));
    assert_eq!(words(0), [0x0302_0003, 5, 0, 70]);
    assert_eq!([16, 24, 32, 40].map(|offset| ram.be64(LOG_AT + offset)), [175, 0, 0x1234, 0x8000]);
    vpa.gave_up(&ram, GaveUp::Preempted, 200);
    vpa.dispatched(&ram, &at(210));
    assert_eq!(words(1), [0x0704_0003, 10, 0, 0]);
    vpa.gave_up(&ram, GaveUp::Conferred, 300);
    vpa.dispatched(&ram, &Dispatch { reason: Reason::Conferred, ..at(u64::MAX) });
    assert_eq!(words(0), [0x0603_0003, u32::MAX, 0, 0]);
}

#[test]
fn a_guest_that_asks_for_preemptions_is_not_told_of_waits() {
    let (mut vpa, ram) = with_log(96, LOG_PREEMPT);
    for why in [GaveUp::Ceded, GaveUp::Conferred, GaveUp::Preempted] {
        vpa.gave_up(&ram, why, 1);
        vpa.dispatched(&ram, &at(2));
    }
    assert_eq!(ram.be64(AT + VPA_LOG_INDEX), 1);
    assert_eq!(ram.byte(LOG_AT + 1), 4);
}

#[test]
fn a_processor_that_stopped_has_no_areas() {
    let (_, ram) = with_log(96, LOG_PREEMPT);
    let shared = SharedVpa::default();
    for (function, at) in [(1, AT), (2, LOG_AT)] {
        assert_eq!(shared.call(&ram, function << hcall::vpa::SHIFT, Claim::new(at)), Ok(()));
    }
    shared.reset();
    assert_eq!(shared.yield_count(), None);
    shared.preempted(&ram, 1);
    shared.dispatched(&ram, &at(2));
    assert_eq!((dispatches(&ram), ram.be64(AT + VPA_LOG_INDEX)), (1, 0), "as registered");
}

#[test]
fn unknown_functions_are_refused() {
    let (mut vpa, ram) = with_area();
    for function in [0, 4, 8, u64::from(u32::MAX)] {
        assert_eq!(call(&mut vpa, &ram, function & 0x7_ffff, AT), Err(Rc::PARAMETER));
    }
    assert_eq!(vpa.call(&ram, (1 << 45) | 1, Claim::new(AT)), Err(Rc::PARAMETER));
}

#[test]
fn memory_that_was_taken_away_ends_the_registration() {
    let (mut vpa, ram) = with_area();
    ram.shrink(0x1000);
    vpa.gave_up(&ram, GaveUp::Preempted, 1);
    assert!(vpa.area.is_none());
    assert!(!ram.contains(GuestReal::new(AT), 1));
}

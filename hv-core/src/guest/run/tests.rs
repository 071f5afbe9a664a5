use super::stay::SHORT_SLICES;
use super::*;
use crate::guest::host::Next;
use crate::guest::host::{Exit, MachineError};
use crate::guest::testing::{FakeHost, FakeTable, Ram, Script, machine, set_call, vcpu};
use crate::guest::xics::VTY_SOURCE;
use crate::guest::xics::Xirr;
use crate::hash::{self, Outcome, Refusal};
use crate::mmu::{Access, Awaited, Reflect, Resolution, StorageFault, Ticket};
use crate::papr::Rc;
use crate::papr::hcall::{H_CEDE, H_ENTER, H_PROTECT, H_PUT_TERM_CHAR, H_REMOVE, H_SET_MODE, H_SET_SPRG0};
use ppc64_arch::addr::{EffAddr, GuestReal};
use ppc64_arch::hash::VsidWord;
use ppc64_arch::mce::Severity;
use ppc64_arch::spr::LPCR;
use ppc64_arch::trap::{Dsisr, Msr, Srr1};
use std::cell::RefCell;

/// What is left after a run.
struct Done {
    ended: Ended,
    vcpu: Vcpu,
    machine: Machine,
    counters: Counters,
    sleeps: std::vec::Vec<u64>,
    resumed: std::vec::Vec<Next>,
}

fn play(host: &FakeHost, ram: &Ram, script: Script<'_>) -> Done {
    play_on(host, ram, machine(), vcpu(), script)
}

fn play_on(host: &FakeHost, ram: &Ram, machine: Machine, vcpu: Vcpu, mut script: Script<'_>) -> Done {
    let mut counters = Counters::default();
    *machine.processor(0).expect("there").vcpu.lock() = vcpu;
    Runner::new(0, &mut script, host, ram, &machine, &mut counters).run();
    let vcpu = machine.processor(0).expect("there").vcpu.lock().clone();
    let ended = machine.ended().expect("it has ended");
    Done { ended, vcpu, machine, counters, sleeps: script.sleeps, resumed: script.resumed }
}

fn fault(access: Access, at: u64) -> StorageFault {
    StorageFault { access, ea: EffAddr::new(at), claim: GuestReal::new(at), table_walk: false, cause: None }
}

/// A machine whose terminal's interrupt reaches the processor.
fn listening() -> Machine {
    let machine = machine();
    let _ = machine.xics.set_cppr(0, 0xff).expect("exists");
    let _ = machine.xics.set_route(VTY_SOURCE, 0, 5).expect("exists");
    machine
}

#[test]
fn a_call_is_answered_and_the_guest_goes_on() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    let script = Script::new(&host).then(|vcpu, _| {
        set_call(vcpu, H_PUT_TERM_CHAR, &[0, 2, u64::from_be_bytes(*b"hi......")]);
        Exit::Hcall
    });
    let done = play(&host, &ram, script);
    assert_eq!(done.ended, Ended::Stopped(StopReason::EntryFailed(0)));
    assert_eq!(&*host.written.borrow(), b"hi");
    assert_eq!((done.counters.entries, done.counters.hcalls, done.counters.other), (2, 1, 1));
}

#[test]
fn the_first_exit_from_problem_state_is_timed() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    let at = |now, user: bool| {
        let host = &host;
        move |vcpu: &mut Vcpu, _| {
            host.now.set(now);
            vcpu.regs.msr = if user { Msr::PR.bits() } else { 0 };
            Exit::Hdec
        }
    };
    let script = Script::new(&host).then(at(2000, false)).then(at(3000, true)).then(at(4000, true));
    assert_eq!(play(&host, &ram, script).counters.first_user_exit_tb, Some(3000));
}

#[test]
fn typing_interrupts_a_guest_that_listens() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    host.type_in(b"x");
    let mut on = vcpu();
    on.regs.msr |= Msr::EE.bits();
    on.regs.nip = 0x7000;
    let script = Script::new(&host).then(|vcpu, _| {
        assert_eq!((vcpu.regs.nip, vcpu.hv.srr0), (0x500, 0x7000));
        Exit::Hdec
    });
    let done = play_on(&host, &ram, listening(), on, script);
    assert_eq!(done.counters.delivered, 1, "the second entry has interrupts off");
    assert_eq!(done.machine.xics.accept(0), Ok(Xirr::new(0xff00_0000 | VTY_SOURCE)));
}

#[test]
fn a_guest_with_interrupts_off_is_looked_at_soon() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    host.type_in(b"x");
    let script = Script::new(&host)
        .then(|vcpu, deadline| {
            assert_eq!(deadline, 1000 + FakeHost::HZ / SHORT_SLICES);
            assert!(vcpu.lpcr().is_set(LPCR::MER));
            vcpu.regs.msr |= Msr::EE.bits();
            vcpu.regs.nip = 0x7000;
            Exit::Hdec
        })
        .then(|vcpu, _| {
            assert_eq!(vcpu.regs.nip, 0x500);
            assert!(!vcpu.lpcr().is_set(LPCR::MER));
            Exit::Hdec
        });
    assert_eq!(play_on(&host, &ram, listening(), vcpu(), script).counters.delivered, 1);
}

#[test]
fn a_guest_that_calls_all_the_time_is_still_interrupted() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    let mut script = Script::new(&host);
    for _ in 0..30 {
        script = script.then(|vcpu, deadline| {
            assert!(deadline <= host.now.get() + FakeHost::HZ / SLICES);
            host.now.set(host.now.get() + FakeHost::HZ / SLICES / 10);
            host.type_in(b"x");
            set_call(vcpu, 0x4, &[]);
            Exit::Hcall
        });
    }
    let mut on = vcpu();
    on.regs.msr |= Msr::EE.bits();
    assert_eq!(play_on(&host, &ram, listening(), on, script).counters.delivered, 1);
}

#[test]
fn ceding_sleeps_until_the_decrementer() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    let script = Script::new(&host)
        .then(|vcpu, _| {
            vcpu.dec_expiry = 5000;
            set_call(vcpu, H_CEDE, &[]);
            Exit::Hcall
        })
        .then(|vcpu, _| {
            assert!(host.now.get() >= 5000 && vcpu.interrupts_on());
            assert_eq!(vcpu.regs.gpr[3], 0);
            // It is negative already: no sleep.
            set_call(vcpu, H_CEDE, &[]);
            Exit::Hcall
        });
    let done = play(&host, &ram, script);
    assert_eq!(done.sleeps, [5000]);
    assert_eq!(done.counters.idles, 1);
}

#[test]
fn typing_ends_a_sleep_with_an_interrupt() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    let mut script = Script::new(&host)
        .then(|vcpu, _| {
            vcpu.regs.nip = 0x7000;
            set_call(vcpu, H_CEDE, &[]);
            Exit::Hcall
        })
        .then(|vcpu, _| {
            assert_eq!((vcpu.regs.nip, vcpu.hv.srr0), (0x500, 0x7000));
            Exit::Hdec
        });
    script.on_idle = std::boxed::Box::new(|| host.type_in(b"x"));
    assert_eq!(play_on(&host, &ram, listening(), vcpu(), script).counters.delivered, 1);
}

#[test]
fn a_console_that_must_be_polled_is_polled_while_the_guest_sleeps() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    let mut machine = listening();
    machine.settings.console_poll = Some(100);
    let mut naps = 0;
    let mut script = Script::new(&host).then(|vcpu, _| {
        set_call(vcpu, H_CEDE, &[]);
        Exit::Hcall
    });
    script.on_idle = std::boxed::Box::new(|| {
        naps += 1;
        if naps == 3 {
            host.type_in(b"x");
        }
    });
    let done = play_on(&host, &ram, machine, vcpu(), script);
    assert_eq!(done.sleeps, [1100, 1200, 1300]);
    assert_eq!(done.counters.idles, 1);
}

#[test]
fn the_dispatch_count_tells_of_a_sleep() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x4000));
    ram.put(0x2004, &640_u16.to_be_bytes());
    let mut script = Script::new(&host)
        .then(|vcpu, _| {
            set_call(vcpu, crate::papr::hcall::H_REGISTER_VPA, &[1 << 45, 0, 0x2000]);
            Exit::Hcall
        })
        .then(|vcpu, _| {
            set_call(vcpu, H_CEDE, &[]);
            Exit::Hcall
        });
    script.on_idle = std::boxed::Box::new(|| assert_eq!(ram.be32(0x2100), 1));
    play(&host, &ram, script);
    assert_eq!(ram.be32(0x2100), 2);
}

#[test]
fn faults_are_resumed_reflected_or_fatal() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    ram.resolutions.borrow_mut().extend([
        Resolution::Resume,
        Resolution::Reflect(Reflect::NoSlot),
        Resolution::Reflect(Reflect::ReadOnly),
        Resolution::OutOfMemory,
    ]);
    let script = Script::new(&host)
        .then(|_, _| Exit::Storage(fault(Access::Read, 0x1000)))
        .then(|vcpu, _| {
            assert_eq!(vcpu.regs.nip, 0);
            Exit::Storage(fault(Access::Fetch, 0x2000))
        })
        .then(|vcpu, _| {
            assert_eq!(vcpu.regs.nip, 0x400);
            Exit::Storage(fault(Access::Write, 0x3000))
        })
        .then(|vcpu, _| {
            assert_eq!((vcpu.regs.nip, vcpu.regs.dar), (0x300, 0x3000));
            Exit::Storage(fault(Access::Write, 0x4000))
        });
    let done = play(&host, &ram, script);
    assert_eq!(done.ended, Ended::Stopped(StopReason::OutOfMemory));
    let counters = done.counters;
    assert_eq!((counters.data_storage, counters.instruction_storage, counters.reflected), (3, 1, 2));
}

#[test]
fn a_fault_that_waits_for_another_cpu_is_put_aside_and_tried_again() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    ram.always.set(Some(Resolution::Wait(Ticket { page: GuestReal::new(0), on: Awaited::Mutation })));
    let script = Script::new(&host).then(|_, _| Exit::Storage(fault(Access::Read, 0x1000)));
    let done = play(&host, &ram, script);
    assert_eq!(done.ended, Ended::Stopped(StopReason::EntryFailed(0)), "it was entered again");
    assert_eq!((done.counters.put_aside, done.counters.dispatches), (1, 2));
    assert_eq!(done.counters.waited, done.counters.asked_again + 1);
    assert_eq!(done.sleeps, [1000 + FakeHost::HZ / LONG_WAIT], "nobody woke it");
}

/// Plays the same fault `times` times, after `change` each time.
fn storm(times: u32, change: impl Fn(&mut Vcpu, u32)) -> Ended {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    let mut script = Script::new(&host);
    for n in 0..times {
        let change = &change;
        script = script.then(move |vcpu, _| {
            vcpu.regs.nip = 0x7000;
            change(vcpu, n);
            Exit::Storage(fault(Access::Read, 0x1000))
        });
    }
    play(&host, &ram, script).ended
}

#[test]
fn a_guest_that_gets_nowhere_is_stopped() {
    let stuck = Ended::Stopped(StopReason::NoProgress { nip: 0x7000 });
    let goes_on = Ended::Stopped(StopReason::EntryFailed(0));
    assert_eq!(storm(2000, |_, _| {}), stuck);
    assert_eq!(storm(500, |_, _| {}), goes_on);
    assert_eq!(storm(2000, |vcpu, n| vcpu.regs.gpr[31] = u64::from(n)), goes_on, "a register changes");
    assert_eq!(storm(2000, |vcpu, _| vcpu.regs.msr |= Msr::PR.bits()), goes_on, "the kernel's affair");
}

#[test]
fn a_handler_that_cannot_be_fetched_stops_the_guest() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    ram.always.set(Some(Resolution::Reflect(Reflect::NoSlot)));
    let mut script = Script::new(&host);
    for _ in 0..2000 {
        script = script.then(|vcpu, _| Exit::Storage(fault(Access::Fetch, vcpu.regs.nip)));
    }
    assert_eq!(play(&host, &ram, script).ended, Ended::Stopped(StopReason::NoProgress { nip: 0x400 }));
}

#[test]
fn instructions_that_are_not_there_are_illegal() {
    for exit in [Exit::Emulation(None), Exit::Emulation(Some(0x0400_0000)), Exit::Facility(10)] {
        let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
        let done = play(&host, &ram, Script::new(&host).then(move |_, _| exit));
        assert_eq!(done.vcpu.regs.nip, 0x700);
        assert_eq!(done.vcpu.hv.srr1 & Srr1::CAUSE_MASK, Srr1::PROGRAM_ILLEGAL.bits());
    }
}

#[test]
fn the_guest_is_told_of_resets_and_machine_checks() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    assert_eq!(play(&host, &ram, Script::new(&host).then(|_, _| Exit::SystemReset)).vcpu.regs.nip, 0x100);
    let done = play(&host, &ram, Script::new(&host).then(|_, _| check(Severity::Synchronous, 0)));
    assert_eq!((done.vcpu.regs.nip, done.vcpu.hv.srr1 & Srr1::CAUSE_MASK), (0x200, 1 << 21));
    assert_eq!((done.vcpu.regs.dar, done.vcpu.regs.dsisr, done.vcpu.load_dar), (0xabcd, 0x8000, true));
    let script = Script::new(&host).then(|vcpu, _| {
        vcpu.regs.msr &= !Msr::ME.bits();
        check(Severity::Synchronous, 0)
    });
    assert_eq!(play(&host, &ram, script).ended, Ended::Stopped(StopReason::Checkstop));
}

/// A machine check at a load, from a state with bits `state` on.
fn check(severity: Severity, state: u64) -> Exit {
    Exit::MachineCheck(MachineError { srr1: 1 << 21 | state, dsisr: 0x8000, dar: 0xabcd, severity })
}

#[test]
fn a_recovered_machine_check_is_the_guests_only_if_it_lost_its_registers() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    let after = |state| play(&host, &ram, Script::new(&host).then(move |_, _| check(Severity::Recoverable, state)));
    let recovered = after(Msr::RI.bits());
    assert_eq!((recovered.counters.recovered, recovered.vcpu.load_dar), (1, false));
    assert_ne!(recovered.vcpu.regs.nip, 0x200);
    let lost = after(0);
    assert_eq!((lost.counters.recovered, lost.vcpu.regs.nip), (0, 0x200));
}

#[test]
fn a_fatal_machine_check_stops_the_guest() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    let done = play(&host, &ram, Script::new(&host).then(|_, _| check(Severity::Fatal, Msr::RI.bits())));
    assert_eq!(done.ended, Ended::Stopped(StopReason::MachineCheck));
}

#[test]
fn what_cannot_be_stops_the_guest() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    let ended = |exit| play(&host, &ram, Script::new(&host).then(move |_, _| exit)).ended;
    assert_eq!(ended(Exit::Unexpected(0xd00)), Ended::Stopped(StopReason::Unexpected(0xd00)));
    assert_eq!(ended(Exit::Failed(-4)), Ended::Stopped(StopReason::EntryFailed(-4)));
    ram.always.set(Some(Resolution::MachineError));
    let broken = Exit::Storage(fault(Access::Read, 0));
    assert_eq!(ended(broken), Ended::Stopped(StopReason::MachineError));
}

fn calls(number: u64, args: &'static [u64]) -> impl FnMut(&mut Vcpu, u64) -> Exit {
    move |vcpu, _| {
        set_call(vcpu, number, args);
        Exit::Hcall
    }
}

#[test]
fn the_short_way_answers_calls_without_ending_the_stay() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    let script = Script::new(&host)
        .with_short_way()
        .then(calls(H_PUT_TERM_CHAR, &[0, 2, 0x6869_0000_0000_0000]))
        .then(calls(H_SET_MODE, &[0, 2, 0x1000, 1]))
        .then(calls(0x4, &[]));
    let done = play(&host, &ram, script);
    assert_eq!(done.resumed[1..], [Next::Reload, Next::Resume], "a watchpoint has to be loaded");
    assert_eq!((done.counters.entries, done.counters.hcalls), (1, 3));
    assert_eq!(&*host.written.borrow(), b"hi");
}

#[test]
fn what_the_short_way_cannot_finish_is_done_once() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    let script = Script::new(&host).with_short_way().then(calls(H_CEDE, &[])).then(calls(H_SET_SPRG0, &[0x77])).then(
        |vcpu, _| {
            assert_eq!(vcpu.hv.sprg[0], 0x77);
            Exit::Hdec
        },
    );
    let done = play(&host, &ram, script);
    assert_eq!((done.counters.entries, done.counters.hcalls, done.counters.idles), (4, 2, 1));
    assert_eq!(done.resumed.len(), 0);
}

#[test]
fn an_interrupt_that_a_call_made_deliverable_is_delivered_at_once() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    host.type_in(b"x");
    let mut on = vcpu();
    on.regs.msr |= Msr::EE.bits();
    let machine = listening();
    // Masked at first; the guest opens up by a call.
    let _ = machine.xics.set_cppr(0, 0).expect("exists");
    let script =
        Script::new(&host).with_short_way().then(calls(crate::papr::hcall::H_CPPR, &[0xff])).then(|vcpu, _| {
            assert_eq!(vcpu.regs.nip, 0x500);
            Exit::Hdec
        });
    let done = play_on(&host, &ram, machine, on, script);
    assert_eq!((done.counters.delivered, done.counters.hcalls), (1, 1));
}

#[test]
fn the_short_way_resolves_faults_and_leaves_the_rest_to_the_loop() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    let outside = fault(Access::Write, 0x10_0000);
    ram.resolutions.borrow_mut().extend([Resolution::Resume, Resolution::Reflect(Reflect::NoSlot)]);
    let script = Script::new(&host)
        .with_short_way()
        .then(|_, _| Exit::Storage(fault(Access::Read, 0x2000)))
        .then(move |_, _| Exit::Storage(outside))
        .then(|vcpu, _| {
            assert_eq!(vcpu.regs.nip, 0x300);
            Exit::Hdec
        });
    let done = play(&host, &ram, script);
    assert_eq!((done.counters.data_storage, done.counters.reflected, done.counters.entries), (2, 1, 3));
}

#[test]
fn a_guest_without_progress_is_found_on_the_short_way_too() {
    let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
    let mut script = Script::new(&host).with_short_way();
    for _ in 0..1100 {
        script = script.then(|_, _| Exit::Storage(fault(Access::Read, 0x2000)));
    }
    let done = play(&host, &ram, script);
    assert_eq!(done.ended, Ended::Stopped(StopReason::NoProgress { nip: done.vcpu.regs.nip }));
}

fn hash_fault(access: Access) -> hash::Fault {
    let asdr = VsidWord::new(0);
    hash::Fault { ea: EffAddr::new(0x5000), asdr, access, problem_state: false, amr: 0, iamr: 0 }
}

#[test]
fn a_hash_guest_is_told_of_an_address_without_an_entry_and_of_one_without_memory() {
    for short_way in [false, true] {
        let (host, ram) = (FakeHost::default(), Ram::new(0x1000));
        let outcomes = [
            Outcome::Reflect(Dsisr::NO_TRANSLATION | Dsisr::STORE),
            Outcome::Busy,
            Outcome::Resume,
            Outcome::Device(GuestReal::new(1 << 40)),
            Outcome::Memory(Resolution::OutOfMemory),
        ];
        ram.outcomes.borrow_mut().extend(outcomes);
        let mut script = Script::new(&host)
            .then(|_, _| Exit::HashStorage(hash_fault(Access::Write)))
            .then(|vcpu, _| {
                assert_eq!((vcpu.regs.nip, vcpu.regs.dar, vcpu.regs.dsisr), (0x300, 0x5000, 0x4200_0000));
                Exit::HashStorage(hash_fault(Access::Read))
            })
            .then(|_, _| Exit::HashStorage(hash_fault(Access::Fetch)))
            .then(|vcpu, _| {
                assert_eq!((vcpu.regs.nip, vcpu.hv.srr1 & Srr1::CAUSE_MASK), (0x400, 0x4008_0000));
                Exit::HashStorage(hash_fault(Access::Read))
            });
        script.short_way = short_way;
        let Done { ended, counters, resumed, .. } = play(&host, &ram, script);
        assert_eq!(ended, Ended::Stopped(StopReason::OutOfMemory));
        assert_eq!(resumed, if short_way { std::vec![Next::Interrupt] } else { std::vec![] });
        assert_eq!((counters.data_storage, counters.instruction_storage, counters.reflected), (3, 1, 2));
    }
}

/// What a call of a hash guest's in this state comes to on the short way, whose table answers its calls as `refusal` has it: r3, by how much it was gone on, and whether the stay goes on.
fn short_call(call: (u64, &[u64]), msr: Msr, refusal: Option<Refusal>) -> (i64, u64, bool) {
    let (host, mut ram) = (FakeHost::default(), Ram::new(0x1000));
    ram.table = Some(FakeTable { refusals: RefCell::new(refusal.into_iter().collect()), ..FakeTable::default() });
    let mut script = Script::new(&host).with_short_way().then(|vcpu, _| {
        set_call(vcpu, call.0, call.1);
        (vcpu.regs.nip, vcpu.regs.msr) = (0x7004, msr.bits());
        Exit::Hcall
    });
    script.hash = true;
    let done = play(&host, &ram, script);
    assert_eq!(done.counters.hcalls, 1);
    let went_on = !done.resumed.is_empty();
    (done.vcpu.regs.gpr[3].cast_signed(), done.vcpu.regs.nip - 0x7000, went_on)
}

#[test]
fn a_hash_guests_calls_are_done_on_the_short_way_and_made_again_if_somebody_is_at_the_entry() {
    let kernel = Msr::empty();
    for number in [H_ENTER, H_REMOVE, H_PROTECT] {
        let call: (u64, &[u64]) = (number, &[1, 2, 4, 8]);
        assert_eq!(short_call(call, kernel, None), (0, 4, true));
        assert_eq!(short_call(call, kernel, Some(Refusal::NotFound)), (Rc::NOT_FOUND.raw(), 4, true));
        assert_eq!(short_call(call, kernel, Some(Refusal::Busy)), (number as i64, 0, false));
        assert_eq!(short_call(call, Msr::PR, None), (Rc::PRIVILEGE.raw(), 4, true));
    }
    // A new vCPU's modes are still to be loaded.
    assert_eq!(short_call((H_PUT_TERM_CHAR, &[0, 2, 0]), kernel, None), (0, 4, false));
}

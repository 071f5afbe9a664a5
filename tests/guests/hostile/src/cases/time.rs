//! The decrementer, and idling until it.

use crate::hcall::{self, CEDE};
use crate::machine::Machine;
use crate::report::{Case, Verdict, fail};
use crate::trap::{self, guarded, vector};

pub const CASES: &[Case] = &[
    Case::new("decrementer interrupts when armed", decrementer),
    Case::new("decrementer stays silent when far", silent),
    Case::new("H_CEDE idles until the decrementer", cede),
    Case::new("H_CEDE with an interrupt pending returns", cede_pending),
];

/// Turns of the waiting loop: many seconds on any machine.
const TURNS: u64 = 20_000_000_000;

/// Arms the decrementer and waits twenty times as long. `guarded` has turned interrupts on.
pub extern "C" fn wait_for_decrementer(ticks: u64) -> u64 {
    trap::set_decrementer(ticks);
    wait(ticks * 20)
}

/// Waits with the watchdog as it is.
extern "C" fn wait(ticks: u64) -> u64 {
    let start = trap::now();
    (0..TURNS).take_while(|_| trap::now() - start < ticks).count() as u64
}

fn decrementer(machine: &Machine) -> Verdict {
    let ticks = machine.timebase / 100;
    let start = trap::now();
    let result = guarded(wait_for_decrementer, ticks);
    let elapsed = trap::now() - start;
    match result {
        Err(trap) if trap.vector != vector::DECREMENTER => fail!("vector {:#x}", trap.vector),
        Err(_) if elapsed < ticks => fail!("came after {elapsed} of {ticks} ticks"),
        Err(_) => Ok(()),
        Ok(_) => fail!("did not come within {elapsed} ticks"),
    }
}

fn silent(machine: &Machine) -> Verdict {
    match guarded(wait, machine.timebase / 20) {
        Ok(_) => Ok(()),
        Err(trap) => fail!("vector {:#x}", trap.vector),
    }
}

/// Arms the decrementer, idles until its interrupt was taken; how long that took, and how many calls.
fn idle(ticks: u64) -> (u64, u32) {
    let (start, before) = (trap::now(), trap::ticks());
    trap::set_decrementer(ticks);
    let mut calls = 0;
    while trap::ticks() == before && calls < 1000 {
        hcall::call(CEDE, &[]);
        calls += 1;
    }
    trap::interrupts_off();
    (trap::now() - start, calls)
}

/// The time asked for, and up to half a second more: the host may be busy.
fn cede(machine: &Machine) -> Verdict {
    let ticks = machine.timebase / 5;
    let (elapsed, calls) = idle(ticks);
    if elapsed < ticks || elapsed > ticks + machine.timebase / 2 {
        fail!("{elapsed} ticks, not {ticks}, in {calls} calls");
    }
    if calls > 20 { fail!("{calls} calls: it does not idle") } else { Ok(()) }
}

/// The decrementer has run out before the call.
fn cede_pending(machine: &Machine) -> Verdict {
    let (elapsed, calls) = idle(1);
    if elapsed > machine.timebase / 4 { fail!("{elapsed} ticks, {calls} calls") } else { Ok(()) }
}

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

/// Arms the decrementer, idles until its interrupt was taken, or for a second longer: how long that took, and how many calls were made before it was due. An emulator may bring it some milliseconds
/// late, and each call returns at once meanwhile.
///
/// A call returns with interrupts on. They are off for the look at the count: one that came between the look and the next call would put the decrementer off, and the call idle until then.
fn idle(machine: &Machine, ticks: u64) -> (u64, u32) {
    let (start, before) = (trap::now(), trap::ticks());
    trap::set_decrementer(ticks);
    let mut early = 0;
    loop {
        let elapsed = trap::now() - start;
        if trap::ticks() != before || elapsed > ticks + machine.timebase {
            return (elapsed, early);
        }
        early += u32::from(elapsed < ticks);
        hcall::call(CEDE, &[]);
        trap::interrupts_off();
    }
}

/// The time asked for, and up to half a second more: the host may be busy.
fn cede(machine: &Machine) -> Verdict {
    let ticks = machine.timebase / 5;
    let (elapsed, early) = idle(machine, ticks);
    if elapsed < ticks || elapsed > ticks + machine.timebase / 2 {
        fail!("{elapsed} ticks, not {ticks}, in {early} calls");
    }
    if early > 20 { fail!("{early} calls: it does not idle") } else { Ok(()) }
}

/// The decrementer has run out before the call.
fn cede_pending(machine: &Machine) -> Verdict {
    let (elapsed, _) = idle(machine, 1);
    if elapsed > machine.timebase / 4 { fail!("{elapsed} ticks") } else { Ok(()) }
}

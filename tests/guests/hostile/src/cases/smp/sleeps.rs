//! Sleep, and who ends it.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::crew;
use crate::hcall::{self, call};
use crate::machine::{Machine, server};
use crate::report::{Case, Verdict, fail};
use crate::{smp, trap};

pub const CASES: &[Case] = &[
    Case::new("H_PROD wakes a vCPU that ceded", prod),
    Case::new("H_IPI wakes a vCPU that ceded", ipi),
    Case::new("H_PROD ends what a vCPU conferred to itself", confer),
    Case::new("system reset wakes a vCPU that ceded", reset),
];

/// Sleeps that are ended.
const ROUNDS: u64 = 200;
/// Calls that vCPU 1 makes at the most: a second one where it was woken before it slept, and some more.
const MOST_CALLS: u64 = 3 * ROUNDS;
/// Vcpu 1 sleeps in round n; vCPU 0 has woken it from that; it has seen that it was.
static ASLEEP: AtomicU64 = AtomicU64::new(0);
static WOKEN: AtomicU64 = AtomicU64::new(0);
static AWAKE: AtomicU64 = AtomicU64::new(0);
/// How often it has called.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// Vcpu 1 goes to sleep again and again, by a call with the decrementer far; vCPU 0 wakes it, now a moment before, now after. A sleep may end for no
/// reason now and then, but it has to be a sleep, and must not last until the decrementer.
fn sleeps(machine: &Machine, job: crew::Job, wake: fn(u64) -> i64) -> Verdict {
    [&ASLEEP, &WOKEN, &AWAKE, &CALLS].into_iter().for_each(|count| count.store(0, Ordering::Relaxed));
    crew::with_others(machine, job, || {
        for round in 1..=ROUNDS {
            if !smp::wait_for(|| ASLEEP.load(Ordering::Acquire) == round) {
                fail!("vCPU 1 does not go to sleep for the {round}. time");
            }
            (0..round % 5).for_each(|_| smp::relax());
            WOKEN.store(round, Ordering::Release);
            let code = wake(server(1));
            if code != hcall::SUCCESS {
                fail!("the call answered {code}");
            }
            if !smp::wait_for(|| AWAKE.load(Ordering::Acquire) == round) {
                fail!("it sleeps on the {round}. time");
            }
        }
        Ok(())
    })
}

/// Whether vCPU 1 has slept in its calls.
fn has_slept() -> Verdict {
    match CALLS.load(Ordering::Relaxed) {
        ..=MOST_CALLS => Ok(()),
        calls => fail!("{calls} calls for {ROUNDS} sleeps"),
    }
}

fn cedes(_: &Machine, vcpu: usize) {
    falls_asleep(vcpu, hcall::CEDE, &[]);
}

fn confers(_: &Machine, vcpu: usize) {
    falls_asleep(vcpu, hcall::CONFER, &[server(vcpu)]);
}

fn falls_asleep(vcpu: usize, number: u64, args: &[u64]) {
    let before = trap::ticks();
    for round in (1..=ROUNDS).take_while(|_| vcpu == 1) {
        trap::set_decrementer(trap::FAR);
        ASLEEP.store(round, Ordering::Release);
        while WOKEN.load(Ordering::Acquire) < round {
            CALLS.fetch_add(1, Ordering::Relaxed);
            call(number, args);
            trap::interrupts_off();
        }
        AWAKE.store(round, Ordering::Release);
    }
    if trap::ticks() != before {
        crew::complain(number, trap::ticks() - before);
    }
}

fn prod(machine: &Machine) -> Verdict {
    sleeps(machine, cedes, |server| call(hcall::PROD, &[server]).code)?;
    has_slept()
}

fn ipi(machine: &Machine) -> Verdict {
    let job = |machine: &Machine, vcpu: usize| {
        call(hcall::CPPR, &[0xff]);
        cedes(machine, vcpu);
    };
    sleeps(machine, job, |server| call(hcall::IPI, &[server, 4]).code)?;
    has_slept()
}

/// A hypervisor may take that for nothing to do, and not sleep.
fn confer(machine: &Machine) -> Verdict {
    sleeps(machine, confers, |server| call(hcall::PROD, &[server]).code)
}

fn reset(machine: &Machine) -> Verdict {
    let before = trap::resets(1);
    sleeps(machine, cedes, |server| call(hcall::SIGNAL_SYS_RESET, &[server]).code)?;
    has_slept()?;
    match trap::resets(1) - before {
        ROUNDS => Ok(()),
        seen => fail!("{seen} resets of {ROUNDS} were seen"),
    }
}

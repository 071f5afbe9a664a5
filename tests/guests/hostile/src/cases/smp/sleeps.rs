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
    Case::new("H_PROD wakes a vCPU that conferred to itself", confer),
    Case::new("system reset wakes a vCPU that ceded", reset),
];

/// Sleeps that are ended.
const ROUNDS: u64 = 200;
/// Vcpu 1 is about to sleep for the nth time; it has woken.
static ASLEEP: AtomicU64 = AtomicU64::new(0);
static AWAKE: AtomicU64 = AtomicU64::new(0);

/// Vcpu 1 goes to sleep again and again, by a call with the decrementer far; vCPU 0 wakes it, now a moment before, now after.
fn sleeps(machine: &Machine, job: crew::Job, wake: fn(u64) -> i64) -> Verdict {
    ASLEEP.store(0, Ordering::Relaxed);
    AWAKE.store(0, Ordering::Relaxed);
    crew::with_others(machine, job, || {
        for round in 1..=ROUNDS {
            if !smp::wait_for(|| ASLEEP.load(Ordering::Acquire) == round) {
                fail!("vCPU 1 does not go to sleep for the {round}. time");
            }
            (0..round % 5).for_each(|_| smp::relax());
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

fn cedes(_: &Machine, vcpu: usize) {
    falls_asleep(vcpu, hcall::CEDE, &[]);
}

fn confers(_: &Machine, vcpu: usize) {
    falls_asleep(vcpu, hcall::CONFER, &[server(vcpu)]);
}

fn falls_asleep(vcpu: usize, number: u64, args: &[u64]) {
    for round in (1..=ROUNDS).take_while(|_| vcpu == 1) {
        trap::set_decrementer(trap::FAR);
        ASLEEP.store(round, Ordering::Release);
        call(number, args);
        trap::interrupts_off();
        AWAKE.store(round, Ordering::Release);
    }
}

fn prod(machine: &Machine) -> Verdict {
    sleeps(machine, cedes, |server| call(hcall::PROD, &[server]).code)
}

fn ipi(machine: &Machine) -> Verdict {
    let job = |machine: &Machine, vcpu: usize| {
        call(hcall::CPPR, &[0xff]);
        cedes(machine, vcpu);
    };
    sleeps(machine, job, |server| call(hcall::IPI, &[server, 4]).code)
}

fn confer(machine: &Machine) -> Verdict {
    sleeps(machine, confers, |server| call(hcall::PROD, &[server]).code)
}

fn reset(machine: &Machine) -> Verdict {
    let before = trap::resets(1);
    sleeps(machine, cedes, |server| call(hcall::SIGNAL_SYS_RESET, &[server]).code)?;
    match trap::resets(1) - before {
        ROUNDS => Ok(()),
        seen => fail!("{seen} resets of {ROUNDS} were seen"),
    }
}

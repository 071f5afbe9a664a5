//! Starting and stopping.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::crew;
use crate::machine::Machine;
use crate::report::{Case, Verdict, fail};
use crate::smp;

pub const CASES: &[Case] = &[
    Case::new("all vCPUs start and stop", all),
    Case::new("start-cpu of itself", itself),
    Case::new("start-cpu of a vCPU that runs", running),
    Case::new("start-cpu of no vCPU", none),
    Case::new("start-cpu races with stop-self", races),
];

/// Those that run may stop.
static ENOUGH: AtomicBool = AtomicBool::new(false);
/// Starts that were accepted.
static STARTED: AtomicUsize = AtomicUsize::new(0);
/// Starts that are tried.
const TRIES: usize = 2000;

fn all(machine: &Machine) -> Verdict {
    let before = crew::begun(1);
    crew::with_others(machine, |_, _| (), || Ok(()))?;
    if crew::begun(1) == before + 1 { Ok(()) } else { fail!("vCPU 1 ran {} times", crew::begun(1) - before) }
}

fn refused(machine: &Machine, server: u32) -> Verdict {
    match smp::start(machine, server, crew::entry(), 0) {
        status if status < 0 && status != i32::MIN => Ok(()),
        status => fail!("start-cpu of {server:#x} answered {status}"),
    }
}

fn itself(machine: &Machine) -> Verdict {
    refused(machine, machine.servers()[0])
}

fn running(machine: &Machine) -> Verdict {
    ENOUGH.store(false, Ordering::Release);
    let runs = |_: &Machine, _| {
        while !ENOUGH.load(Ordering::Acquire) {
            core::hint::spin_loop();
        }
    };
    crew::with_others(machine, runs, || {
        let verdict = machine.servers().iter().try_for_each(|&server| refused(machine, server));
        ENOUGH.store(true, Ordering::Release);
        verdict
    })
}

fn none(machine: &Machine) -> Verdict {
    let count = u32::try_from(machine.servers().len()).unwrap_or(0);
    for server in [count, 64, 9999, 1 << 31, u32::MAX] {
        refused(machine, server)?;
        if let Some(state) = smp::state(machine, server) {
            fail!("the state of {server:#x} is {state}");
        }
    }
    Ok(())
}

/// vCPU 1 does nothing but stop; all others start it as often as they can. Each start that was accepted is one run.
fn races(machine: &Machine) -> Verdict {
    STARTED.store(1, Ordering::Relaxed);
    let before = crew::begun(1);
    let starts = |machine: &Machine, vcpu: usize| {
        if vcpu != 1 {
            for _ in 0..TRIES {
                let accepted = crew::start(machine, 1) == 0;
                STARTED.fetch_add(usize::from(accepted), Ordering::Relaxed);
            }
        }
    };
    crew::with_others(machine, starts, || {
        starts(machine, 0);
        Ok(())
    })?;
    // Somebody's last start may have come after the one that was looked at first.
    crew::all_stopped(machine)?;
    let (runs, started) = (crew::begun(1) - before, STARTED.load(Ordering::Relaxed));
    if runs == started { Ok(()) } else { fail!("{runs} runs of {started} starts") }
}

//! Several vCPUs at one table: each has a page of its own and a frame of its own, and all their entries fight for the eight places of one group.
//!
//! Whoever's entry was removed by another finds no translation, whose was protected finds that. Nobody ever finds another's frame, and no store is lost or lands elsewhere.

use core::sync::atomic::{AtomicBool, Ordering};

use super::resize::{SMALLEST, first, resize};
use super::worker::{ALWAYS, SOMETIMES, THROUGH, Worker, frames, page};
use super::{effective, real};
use crate::cases::smp::pick;
use crate::hcall::{self, BUSY, CLOSED, LONG_BUSY, PARAMETER, RESIZE_COMMIT, RESIZE_PREPARE, SUCCESS, call};
use crate::hpt::{self, GROUP};
use crate::machine::Machine;
use crate::memory::{self, PAGE};
use crate::report::{Case, Report, Verdict, fail};
use crate::slb::{self, ENTRIES};
use crate::{crew, smp};

const CASES: &[Case] = &[
    Case::new("all vCPUs at one group of the table", one_group),
    Case::new("the table changes its size below all vCPUs", resized),
    Case::new("the whole table is emptied below all vCPUs", emptied),
    Case::new("all vCPUs change the table's size", all_resize),
    Case::new("segments stay with their vCPU", segments),
    Case::new("memory that no entry named is still as it was", real::unharmed),
];

/// Runs all.
pub fn run(machine: &Machine, report: &mut Report) {
    real::mark_bystanders(machine);
    CASES.iter().for_each(|case| report.run(case, machine));
}

/// Turns of each vCPU at one group.
const TURNS: u64 = 3000;
/// Nobody goes on with what has no end of its own.
static ENOUGH: AtomicBool = AtomicBool::new(false);

/// The marked pages between the frames that begin at `start`.
fn between(machine: &Machine, start: u64) -> impl Iterator<Item = u64> + use<'_> {
    (0..=machine.servers().len() as u64).map(move |nth| start + 2 * nth * PAGE)
}

/// Marks what is between frames, has the vCPUs work, and looks at it.
fn contend(machine: &Machine, job: crew::Job, first: impl FnOnce() -> Verdict) -> Verdict {
    let start = frames(machine)?;
    between(machine, start).for_each(|page| memory::mark(page, PAGE));
    ENOUGH.store(false, Ordering::Release);
    THROUGH.store(0, Ordering::Relaxed);
    let verdict = crew::with_others(machine, job, || {
        let verdict = first();
        ENOUGH.store(true, Ordering::Release);
        verdict
    });
    slb::clear();
    verdict?;
    match between(machine, start).find_map(|page| memory::damage(page, PAGE)) {
        Some(place) => fail!("memory changed at {place:#x}"),
        None => Ok(()),
    }
}

/// The group is empty again, and a hundred accesses at least were let through.
fn cleared() -> Verdict {
    let group = page(0).primary();
    for place in group..group + GROUP {
        call(hcall::REMOVE, &[0, place, 0]);
    }
    match THROUGH.load(Ordering::Relaxed) {
        0..100 => fail!("only {} accesses were let through", THROUGH.load(Ordering::Relaxed)),
        _ => Ok(()),
    }
}

fn fights(machine: &Machine, vcpu: usize) {
    if let Ok(mut worker) = Worker::new(machine, vcpu, ALWAYS) {
        (0..TURNS).for_each(|_| worker.turn());
    }
}

fn one_group(machine: &Machine) -> Verdict {
    contend(machine, fights, || {
        fights(machine, 0);
        Ok(())
    })?;
    cleared()
}

fn goes_on(machine: &Machine, vcpu: usize) {
    let Ok(mut worker) = Worker::new(machine, vcpu, SOMETIMES) else { return };
    while !ENOUGH.load(Ordering::Acquire) {
        worker.turn();
    }
}

/// The first vCPU has one table after the other made and goes over to it.
fn resized(machine: &Machine) -> Verdict {
    let first = first(machine);
    contend(machine, goes_on, || {
        for nth in 0..60 {
            let order = if nth % 6 == 5 { first } else { SMALLEST + nth % 6 };
            match resize(order) {
                SUCCESS => {}
                code => fail!("a table of 2^{order} bytes: {code}"),
            }
        }
        if resize(first) == SUCCESS { Ok(()) } else { fail!("not back to 2^{first} bytes") }
    })?;
    cleared()
}

/// The first vCPU removes all entries, three times.
fn emptied(machine: &Machine) -> Verdict {
    contend(machine, goes_on, || (0..3).try_for_each(|_| hpt::remove_all()))?;
    cleared()
}

/// Prepares and commits what others prepared.
fn resizes(_: &Machine, vcpu: usize) {
    let mut seed = 0x2545_f491_4f6c_dd1d + vcpu as u64;
    for _ in 0..100 {
        let number = pick(&[RESIZE_PREPARE, RESIZE_PREPARE, RESIZE_COMMIT], &mut seed);
        let order = pick(&[0, 17, 18, 18, 19, 20], &mut seed);
        let code = call(number, &[0, order]).code;
        if ![SUCCESS, BUSY, CLOSED, LONG_BUSY, PARAMETER].contains(&code) {
            crew::complain(number, code.cast_unsigned());
        }
    }
}

fn all_resize(machine: &Machine) -> Verdict {
    let first = first(machine);
    crew::with_others(machine, resizes, || {
        resizes(machine, 0);
        Ok(())
    })?;
    match resize(first) {
        SUCCESS => real::unharmed(machine),
        code => fail!("a table of 2^{first} bytes: {code}"),
    }
}

/// The segment in one entry of a vCPU: every second round there is one address twice, which nobody accesses.
const fn segment(vcpu: usize, round: u64, nth: u64) -> [u64; 2] {
    let place = if round % 2 == 1 && nth == ENTRIES - 1 { 0 } else { nth };
    [effective(place) | slb::VALID, slb::word((vcpu as u64 + 1) << 20 | round << 8 | nth, 0)]
}

/// Has all its entries filled, gives its CPU away, and finds them as they were.
fn keeps_segments(_: &Machine, vcpu: usize) {
    for round in 0..100 {
        slb::clear();
        (0..ENTRIES).for_each(|nth| slb::set(nth, segment(vcpu, round, nth)[0], segment(vcpu, round, nth)[1]));
        for _ in 0..3 {
            smp::relax();
            for nth in 0..ENTRIES {
                let found = slb::get(nth);
                if found != segment(vcpu, round, nth) {
                    crew::complain(nth, found[1]);
                }
            }
        }
    }
    slb::clear();
}

fn segments(machine: &Machine) -> Verdict {
    crew::with_others(machine, keeps_segments, || {
        keeps_segments(machine, 0);
        Ok(())
    })
}

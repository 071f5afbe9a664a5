//! Everything that the guest tries, in order.
//!
//! Memory comes first, while it is untouched; the sweep over all hypervisor calls comes last, since it leaves the most
//! behind.

mod calls;
mod fetch;
mod hash;
mod instruction;
mod memory;
mod neighbour;
mod outside;
mod pages;
mod rtas;
pub mod smp;
mod sweep;
mod time;
mod translate;

use crate::machine::Machine;
use crate::report::{Case, Report};

/// Runs all groups that concern this guest, and that it was not told to leave out.
pub fn run_all(machine: &Machine, report: &mut Report) {
    let only = |word| machine.has_word(word);
    if only("neighbour") && machine.number_of("seed=").is_some() {
        return neighbour::run(machine, report);
    }
    let alone = !only("only-smp") && !only("only-hash");
    if alone {
        run_alone(machine, report);
    }
    if machine.hash.is_some() && !only("only-smp") {
        hash::run(machine, report);
    }
    if machine.servers().len() > 1 {
        if !only("only-hash") {
            smp::run(machine, report);
        }
        if machine.hash.is_some() {
            hash::together::run(machine, report);
        }
    }
    if alone {
        sweep::run(machine, report);
    }
}

/// What every guest tries, with one vCPU.
fn run_alone(machine: &Machine, report: &mut Report) {
    let groups: [&[Case]; 8] = [
        memory::CASES,
        outside::CASES,
        fetch::CASES,
        instruction::CASES,
        time::CASES,
        calls::CASES,
        pages::CASES,
        rtas::CASES,
    ];
    let radix = translate::CASES.iter().filter(|_| machine.hash.is_none());
    groups.into_iter().flatten().chain(radix).for_each(|case| report.run(case, machine));
}

/// A xorshift generator's next number.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Where tests may write: a block of free memory well away from the image.
fn scratch(machine: &Machine, length: u64) -> Result<u64, crate::report::Why> {
    machine
        .free_block(32 << 20, length)
        .ok_or_else(|| crate::report::Why::new(format_args!("no {length:#x} bytes of free memory")))
}

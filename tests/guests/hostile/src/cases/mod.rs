//! Everything that the guest tries, in order.
//!
//! Memory comes first, while it is untouched; the sweep over all hypervisor calls comes last, since it leaves the most
//! behind.

mod calls;
mod fetch;
mod instruction;
mod memory;
mod outside;
mod pages;
mod rtas;
pub mod smp;
mod sweep;
mod time;
mod translate;

use crate::machine::Machine;
use crate::report::{Case, Report};

/// Runs all groups.
pub fn run_all(machine: &Machine, report: &mut Report) {
    let groups: [&[Case]; 9] = [
        memory::CASES,
        outside::CASES,
        fetch::CASES,
        instruction::CASES,
        time::CASES,
        calls::CASES,
        pages::CASES,
        rtas::CASES,
        translate::CASES,
    ];
    if !machine.has_word("only-smp") {
        groups.into_iter().flatten().for_each(|case| report.run(case, machine));
    }
    if machine.servers().len() > 1 {
        smp::run(machine, report);
    }
    if !machine.has_word("only-smp") {
        sweep::run(machine, report);
    }
}

/// Where tests may write: a block of free memory well away from the image.
fn scratch(machine: &Machine, length: u64) -> Result<u64, crate::report::Why> {
    machine
        .free_block(32 << 20, length)
        .ok_or_else(|| crate::report::Why::new(format_args!("no {length:#x} bytes of free memory")))
}

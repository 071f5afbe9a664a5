//! Whether a vCPU sees its own changes of a mapping, wherever it runs.
//!
//! It tells only the CPU that it is on to forget the old one (tlbiel), as Linux does for a process that never ran on another of its vCPUs. If it was on
//! another CPU before, and comes back there, what that CPU remembers is stale: it is the hypervisor that has to see to it.

use crate::exits::now;
use crate::machine::Machine;
use crate::smp;
use crate::tables::Mapping;
use crate::trial::Report;

/// Changes of the mapping.
const CHANGES: u64 = 120;
/// Looks after each.
const LOOKS: u64 = 4;

/// Changes this vCPU's mapping again and again, and looks: how often it looked.
pub fn run(machine: &Machine, vcpu: usize, report: &mut Report) -> u64 {
    let mapping = Mapping::take(vcpu);
    for change in 0..CHANGES {
        mapping.point_to(change & 1);
        for _ in 0..LOOKS {
            report.check("a mapping that its vCPU changed", mapping.read() == mapping.mark(change & 1));
            wander(machine, report.number());
        }
    }
    CHANGES * LOOKS
}

/// Up to two milliseconds, or until somebody else had a turn: time in which the scheduler moves us.
fn wander(machine: &Machine, number: u64) {
    if number & 1 == 0 {
        return smp::relax();
    }
    let (start, ticks) = (now(), (number >> 1) % (machine.timebase / 500));
    while now() - start < ticks {}
}

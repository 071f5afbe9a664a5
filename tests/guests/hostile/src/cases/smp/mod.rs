//! What several vCPUs can try together.

mod areas;
pub mod ends;
mod shares;
mod sleeps;
mod starts;
mod storms;

use super::next;
use crate::machine::Machine;
use crate::report::Report;

/// Runs all groups, of a guest that has several.
pub fn run(machine: &Machine, report: &mut Report) {
    let groups = [starts::CASES, sleeps::CASES, storms::CASES, areas::CASES, shares::CASES];
    groups.into_iter().flatten().for_each(|case| report.run(case, machine));
}

/// One of several.
pub fn pick(values: &[u64], state: &mut u64) -> u64 {
    let nth = usize::try_from(next(state) >> 33).unwrap_or(0) % values.len();
    values[nth]
}

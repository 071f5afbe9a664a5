//! What the figures have to fulfil.

use super::instructions::{Faults, Growth};
use super::tests::Told;
use super::threads::Scaling;
use serde::Serialize;

/// Scaling of two threads on disjoint pages, relative to the loop's.
const SCALING: f64 = 0.9;
/// Costs that do not depend on memory size differ by no more than this from 1 to 16 GiB: frame caches may be filled differently.
const FLAT: f64 = 1.02;
/// Regions of 2 MiB that a guest of 16 GiB has more than one of 1 GiB.
const MORE_REGIONS: f64 = 15.0 * 512.0;
/// Operations whose cost per 2 MiB has to be the same however much memory there is.
const PER_REGION: [&str; 7] =
    ["unmap_4k", "unmap_2m", "split", "promote_in_place", "promote_by_copy", "harvest_1", "harvest_64"];

/// Whether a requirement is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    Holds,
    Broken,
    NotMeasurable,
}

/// A requirement.
#[derive(Clone, Debug, Serialize)]
pub struct Gate {
    name: &'static str,
    verdict: Verdict,
    figure: String,
}

impl Gate {
    fn new(name: &'static str, holds: bool, figure: String) -> Self {
        Self { name, verdict: if holds { Verdict::Holds } else { Verdict::Broken }, figure }
    }

    /// Whether it was measured and not met.
    pub fn is_broken(&self) -> bool {
        self.verdict == Verdict::Broken
    }

    /// A line for people.
    pub fn line(&self) -> String {
        let verdict = match self.verdict {
            Verdict::Holds => "holds",
            Verdict::Broken => "BROKEN",
            Verdict::NotMeasurable => "not measurable here",
        };
        format!("{:<72} {verdict}: {}", self.name, self.figure)
    }
}

/// All of them.
pub fn check(faults: &[Faults], growth: &[Growth], scaling: &Scaling, told: &[Told]) -> Vec<Gate> {
    let mut gates = vec![single_thread(faults), two_threads(scaling)];
    gates.extend(told.iter().map(test));
    gates.extend([flat(growth), linear(growth), toggling(growth)]);
    gates
}

fn single_thread(faults: &[Faults]) -> Gate {
    let worst = faults.iter().map(|row| row.ours - row.one_lock).fold(f64::NEG_INFINITY, f64::max);
    let figure = format!("{worst:+.2} instructions at worst");
    Gate::new("one thread: no more instructions per fault than under one lock", worst <= 0.0, figure)
}

fn two_threads(scaling: &Scaling) -> Gate {
    let [ours, one_lock, read_write] = scaling.relative;
    let figure =
        format!("{ours:.2} of the loop's {:.2} (one lock {one_lock:.2}, read-write {read_write:.2})", scaling.of_loop);
    let gate = Gate::new("two threads, disjoint pages: faults scale as computing does", ours >= SCALING, figure);
    if scaling.is_measurable() { gate } else { Gate { verdict: Verdict::NotMeasurable, ..gate } }
}

fn test(told: &Told) -> Gate {
    let name = match told.test {
        "lines" => "disjoint pages: no fault writes a line that another CPU wrote last",
        _ => "same page: made once, no store lost, no page prepared twice by one CPU",
    };
    let figure = told.failure.clone().unwrap_or_else(|| "as tested".into());
    Gate::new(name, told.failure.is_none(), figure)
}

fn costs<'a>(growth: &'a [Growth], id: &str) -> Option<&'a [f64; 3]> {
    growth.iter().find(|row| row.id == id).map(|row| &row.costs)
}

fn flat(growth: &[Growth]) -> Gate {
    let spread = |id: &&str| costs(growth, id).map_or(f64::INFINITY, |[small, _, large]| large / small);
    let worst = PER_REGION.iter().map(spread).fold(0.0, f64::max);
    let figure = format!("{worst:.3} times as much in 16 GiB as in 1 GiB at worst");
    Gate::new("unmap, harvest, split, promote: per 2 MiB independent of memory size", worst <= FLAT, figure)
}

fn linear(growth: &[Growth]) -> Gate {
    let [one, many] = ["harvest_1", "harvest_64"].map(|id| costs(growth, id).map_or(f64::NAN, |costs| costs[2]));
    let figure = format!("64 pages cost {:.1} times as much as one", many / one);
    Gate::new("harvest: no worse than linear in dirty pages", many <= 64.0 * one, figure)
}

fn toggling(growth: &[Growth]) -> Gate {
    let more = |id| costs(growth, id).map_or(f64::INFINITY, |[small, _, large]| (large - small) / MORE_REGIONS);
    let worst = more("start_log_sparse").max(more("stop_log"));
    let figure = format!("{worst:.2} instructions more for each further 2 MiB");
    Gate::new("log on and off: pages that are not mapped are not scanned", worst < 1.0, figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, one_lock: f64) -> Faults {
        Faults { name: String::new(), faults: 1, pages: 1, ours, one_lock, read_write: 0.0 }
    }

    fn grown(id: &'static str, costs: [f64; 3]) -> Growth {
        Growth { name: "", unit: "", id, costs }
    }

    #[test]
    fn one_kind_that_costs_more_breaks_the_first_gate() {
        assert!(!single_thread(&[row(5.0, 5.0), row(3.0, 4.0)]).is_broken());
        assert!(single_thread(&[row(5.0, 5.0), row(4.5, 4.0)]).is_broken());
    }

    #[test]
    fn a_machine_that_does_not_scale_breaks_nothing() {
        let scaling = |of_loop| Scaling { of_loop, relative: [0.5; 3] };
        assert!(two_threads(&scaling(1.9)).is_broken());
        assert!(!two_threads(&scaling(1.1)).is_broken());
    }

    #[test]
    fn figures_that_are_missing_hold_nothing() {
        assert!([flat(&[]), linear(&[]), toggling(&[])].iter().all(Gate::is_broken));
    }

    #[test]
    fn a_log_that_scans_breaks_its_gate() {
        let logs = |sparse| [grown("start_log_sparse", [100.0, 0.0, sparse]), grown("stop_log", [1.0; 3])];
        assert!(!toggling(&logs(600.0)).is_broken());
        assert!(toggling(&logs(100.0 + 8.0 * MORE_REGIONS)).is_broken());
    }
}

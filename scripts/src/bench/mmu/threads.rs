//! Faults per second with 1, 2 and 4 threads, in rounds in which ours, the baselines and a loop that only computes take turns.

use super::cargo;
use crate::bench::result::median;
use crate::proc;
use crate::ui::Step;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// Pages for each thread in a sample, and rounds.
const FULL: (u64, u64) = (1 << 20, 9);
const QUICK: (u64, u64) = (1 << 18, 5);
/// A machine on which the loop itself scales less cannot show how faults scale.
const MEASURABLE: f64 = 1.7;

/// The samples of one subject, one figure a round.
#[derive(Clone, Debug, Deserialize)]
pub struct Series {
    pattern: String,
    subject: String,
    threads: u64,
    rates: Vec<f64>,
}

/// Their medians.
#[derive(Clone, Debug, Serialize)]
pub struct Rates {
    pub pattern: String,
    pub subject: String,
    /// With so many threads, faults per second.
    pub by_threads: Vec<(u64, f64)>,
}

/// How two threads on disjoint pages compare with one.
#[derive(Clone, Debug, Serialize)]
pub struct Scaling {
    /// Two threads of the loop over one.
    pub of_loop: f64,
    /// Faults' scaling over the loop's, each pair of one round: ours, one lock, read-write lock.
    pub relative: [f64; 3],
}

impl Scaling {
    /// Whether this machine can show it.
    pub fn is_measurable(&self) -> bool {
        self.of_loop >= MEASURABLE
    }
}

/// Takes the samples.
pub fn sample(step: &Step, quick: bool) -> Result<Vec<Series>> {
    step.note("faults per second");
    let (pages, rounds) = if quick { QUICK } else { FULL };
    let mut command = cargo(&["run", "-q", "--release", "-p", "mmu-bench", "--bin", "measure", "--", "threads"]);
    command.args([pages.to_string(), rounds.to_string()]);
    Ok(serde_json::from_str(&proc::output(&mut command)?)?)
}

/// The medians, with the threads of one pattern and subject side by side.
pub fn rates(samples: &[Series]) -> Vec<Rates> {
    let mut all: Vec<Rates> = Vec::new();
    for series in samples {
        let point = (series.threads, median(&series.rates));
        match all.iter_mut().find(|rates| rates.pattern == series.pattern && rates.subject == series.subject) {
            Some(rates) => rates.by_threads.push(point),
            None => {
                let (pattern, subject) = (series.pattern.clone(), series.subject.clone());
                all.push(Rates { pattern, subject, by_threads: vec![point] });
            }
        }
    }
    all
}

/// Two threads over one, round by round, on disjoint pages.
pub fn scaling(samples: &[Series]) -> Scaling {
    let of = |subject| ratios(samples, subject);
    let of_loop = of("loop");
    let relative = |subject| {
        let pairs = of(subject).into_iter().zip(&of_loop);
        median(&pairs.map(|(fault, own)| fault / own).collect::<Vec<_>>())
    };
    Scaling { of_loop: median(&of_loop), relative: ["ours", "one-lock", "read-write"].map(relative) }
}

fn ratios(samples: &[Series], subject: &str) -> Vec<f64> {
    let with = |threads| {
        let mut found = samples.iter();
        found.find(|one| one.pattern == "disjoint" && one.subject == subject && one.threads == threads)
    };
    let pairs = with(1).zip(with(2));
    pairs.map_or_else(Vec::new, |(one, two)| two.rates.iter().zip(&one.rates).map(|(two, one)| two / one).collect())
}

/// The table.
pub fn table(rates: &[Rates]) -> Vec<String> {
    let cell = |(_, rate): &(u64, f64)| format!("{:>12.2}", rate / 1e6);
    let row = |row: &Rates| {
        format!("{:<14}{:<12}{}", row.pattern, row.subject, row.by_threads.iter().map(cell).collect::<String>())
    };
    let threads = rates.first().map(|first| first.by_threads.iter().map(|(threads, _)| *threads)).into_iter().flatten();
    let head = format!("{:<26}{}", "threads", threads.map(|threads| format!("{threads:>12}")).collect::<String>());
    std::iter::once(head).chain(rates.iter().map(row)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(subject: &str, threads: u64, rates: &[f64]) -> Series {
        Series { pattern: "disjoint".into(), subject: subject.into(), threads, rates: rates.to_vec() }
    }

    #[test]
    fn scaling_is_compared_round_by_round() {
        // In the second round the machine was slower for everybody, in the third only for the faults.
        let samples = [
            series("loop", 1, &[10.0, 5.0, 10.0]),
            series("loop", 2, &[20.0, 10.0, 20.0]),
            series("ours", 1, &[4.0, 2.0, 4.0]),
            series("ours", 2, &[8.0, 4.0, 2.0]),
        ];
        let scaling = scaling(&samples);
        assert!(scaling.is_measurable());
        assert!((scaling.relative[0] - 1.0).abs() < 1e-9 && scaling.relative[1].is_nan());
    }

    #[test]
    fn the_threads_of_one_subject_stand_in_one_row() {
        let rates = rates(&[series("ours", 1, &[1e6]), series("ours", 2, &[3e6]), series("loop", 1, &[2e6])]);
        let table = table(&rates);
        assert_eq!(table.len(), 3);
        assert!(table[1].ends_with("        1.00        3.00"), "{}", table[1]);
    }
}

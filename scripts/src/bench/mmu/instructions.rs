//! Instructions, as callgrind counts them. `tests/bench/benches/instructions.rs` says what is counted; here the counts meet what they are to be divided by.

use super::cargo;
use crate::ui::Step;
use crate::{proc, setup};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The sizes of the guests that grow.
pub const SIZES: [u64; 3] = [1, 4, 16];
/// Regions of 2 MiB in a GiB.
const REGIONS: f64 = 512.0;

/// Instructions per fault of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct Faults {
    pub name: String,
    pub faults: u64,
    /// Pages that these faults mapped.
    pub pages: u64,
    pub ours: f64,
    pub one_lock: f64,
    pub read_write: f64,
}

/// What one mutation costs in guests of [`SIZES`].
#[derive(Clone, Debug, Serialize)]
pub struct Growth {
    pub name: &'static str,
    pub unit: &'static str,
    pub id: &'static str,
    pub costs: [f64; SIZES.len()],
}

/// What a mutation's count is divided by.
#[derive(Clone, Copy)]
enum Part {
    /// Nothing.
    Once,
    /// The regions of one GiB.
    OneGib,
    /// The regions of all of the guest.
    All,
}

impl Part {
    const fn unit(self) -> &'static str {
        match self {
            Self::Once => "in all",
            Self::OneGib | Self::All => "per 2 MiB",
        }
    }

    fn of(self, gib: u64) -> f64 {
        match self {
            Self::Once => 1.0,
            Self::OneGib => REGIONS,
            Self::All => REGIONS * gib as f64,
        }
    }
}

const MUTATIONS: [(&str, &str, Part); 11] = [
    ("start_log_sparse", "log on, 1/16 GiB mapped", Part::Once),
    ("start_log", "log on, all mapped, 4K leaves", Part::All),
    ("stop_log", "log off", Part::Once),
    ("harvest_0", "harvest, nothing dirty", Part::All),
    ("harvest_1", "harvest, 1 page in 2 MiB dirty", Part::All),
    ("harvest_64", "harvest, 64 pages in 2 MiB dirty", Part::All),
    ("unmap_4k", "unmap 1 GiB, 4K leaves", Part::OneGib),
    ("unmap_2m", "unmap 1 GiB, 2M leaves", Part::OneGib),
    ("split", "split 1 GiB", Part::OneGib),
    ("promote_in_place", "promote 1 GiB in place", Part::OneGib),
    ("promote_by_copy", "promote 1 GiB by copies", Part::OneGib),
];

/// A line of the harness's output.
#[derive(Deserialize)]
struct Summary {
    function_name: String,
    id: String,
    profiles: Vec<serde_json::Value>,
}

/// How many faults a list holds.
#[derive(Deserialize)]
struct Count {
    id: String,
    name: String,
    faults: u64,
    pages: u64,
}

/// Counts by function and case.
type Counts = HashMap<(String, String), f64>;

/// Counts everything.
pub fn count(step: &Step) -> Result<(Vec<Faults>, Vec<Growth>)> {
    step.note("tools");
    setup::valgrind()?;
    let runner = setup::gungraun_runner()?;
    step.note("how many faults");
    let arguments = ["run", "-q", "--release", "-p", "mmu-bench", "--bin", "measure", "--", "faults"];
    let lists: Vec<Count> = serde_json::from_str(&proc::output(&mut cargo(&arguments))?)?;
    step.note("instructions (about a minute)");
    let arguments = ["bench", "-q", "-p", "mmu-bench", "--bench", "instructions", "--", "--output-format=json"];
    let counts = parse(&proc::output(cargo(&arguments).env("GUNGRAUN_RUNNER", runner))?)?;
    let faults = lists.into_iter().map(|list| per_fault(list, &counts)).collect::<Result<_>>()?;
    let growth = MUTATIONS.into_iter().map(|mutation| grown(mutation, &counts)).collect::<Result<_>>()?;
    Ok((faults, growth))
}

fn parse(output: &str) -> Result<Counts> {
    let lines = output.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| {
            let summary: Summary = serde_json::from_str(line).context("the harness says what nobody understands")?;
            let count = summary.profiles.iter().find_map(executed);
            let count = count.with_context(|| format!("no count for {} {}", summary.function_name, summary.id))?;
            Ok(((summary.function_name, summary.id), count))
        })
        .collect()
}

/// Instructions executed: the only count, or the first of a pair, whose second is that of the run before.
fn executed(profile: &serde_json::Value) -> Option<f64> {
    let values = profile.pointer("/data/total/metrics/Ir/values")?;
    let new = values.get("new").or_else(|| values.pointer("/both/0"))?;
    new.as_f64().or_else(|| new.get("Int")?.as_f64())
}

fn look(counts: &Counts, function: &str, id: &str) -> Result<f64> {
    match counts.get(&(function.to_owned(), id.to_owned())) {
        Some(count) => Ok(*count),
        None => bail!("{function} {id} was not counted"),
    }
}

fn per_fault(list: Count, counts: &Counts) -> Result<Faults> {
    let each = |discipline| Ok::<_, anyhow::Error>(look(counts, discipline, &list.id)? / list.faults as f64);
    let [ours, one_lock, read_write] = [each("pins")?, each("one_lock")?, each("read_write")?];
    Ok(Faults { name: list.name, faults: list.faults, pages: list.pages, ours, one_lock, read_write })
}

fn grown((id, name, part): (&'static str, &'static str, Part), counts: &Counts) -> Result<Growth> {
    let mut costs = [0.0; SIZES.len()];
    for (cost, gib) in costs.iter_mut().zip(SIZES) {
        *cost = look(counts, id, &format!("gib_{gib}"))? / part.of(gib);
    }
    Ok(Growth { name, unit: part.unit(), id, costs })
}

/// The table of faults.
pub fn fault_table(faults: &[Faults]) -> Vec<String> {
    let head = ["faults", "pages", "ours", "one lock", "read-write"];
    let head = format!("{:<20}{:>8}{:>8}{:>12}{:>12}{:>12}", "", head[0], head[1], head[2], head[3], head[4]);
    let row = |row: &Faults| {
        let Faults { name, faults, pages, ours, one_lock, read_write } = row;
        format!("{name:<20}{faults:>8}{pages:>8}{ours:>12.1}{one_lock:>12.1}{read_write:>12.1}")
    };
    std::iter::once(head).chain(faults.iter().map(row)).collect()
}

/// The table of mutations.
pub fn growth_table(growth: &[Growth]) -> Vec<String> {
    let row = |row: &Growth| {
        let [small, middle, large] = row.costs;
        format!("{:<34}{:<10}{small:>12.1}{middle:>12.1}{large:>12.1}", row.name, row.unit)
    };
    growth.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_whether_or_not_there_was_a_run_before() {
        let line = |values: &str| {
            format!(
                r#"{{"function_name":"pins","id":"zero","profiles":[{{"data":{{"total":{{"metrics":{{"Ir":{{"values":{values}}}}}}}}}}}]}}"#
            )
        };
        for values in [r#"{"new":4096}"#, r#"{"both":[4096,1]}"#] {
            let counts = parse(&line(values)).unwrap();
            assert_eq!(look(&counts, "pins", "zero").unwrap().to_bits(), 4096f64.to_bits());
        }
        assert!(parse(&line(r#"{"old":4096}"#)).is_err());
    }

    #[test]
    fn what_was_not_counted_is_missed() {
        let list = Count { id: "zero".into(), name: "zero page".into(), faults: 2, pages: 2 };
        let counts = Counts::from([(("pins".into(), "zero".into()), 8.0)]);
        assert!(per_fault(list, &counts).is_err());
    }
}

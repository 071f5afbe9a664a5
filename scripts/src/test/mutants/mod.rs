//! `scripts/test mutants`: takes each check of the memory core out, one at a time, and shows that a test notices.
//!
//! ```text
//!   tests/mutants/*.toml ─► a copy of the tree ─► whole: the tests pass
//!                                              └► with one edit: a test fails ─► killed, passed
//!                                                                no test fails ─► survived, failed
//! ```
//!
//! A mutant whose text is not in the source exactly once, or that does not compile, shows nothing and fails as well. They are no part of
//! a plain `scripts/test`: each is a build and a run of its own.

mod libtest;
pub(super) mod list;
mod program;
pub(super) mod suite;
mod table;
mod tree;

use crate::exit::{Code, bad_input};
use crate::ui::Step;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use list::Mutant;
use program::Ended;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use suite::{Bench, Suite};
use tree::Tree;

/// What a mutant may take beyond twice the time of its whole suite, before it is said to hang.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the tests of the unchanged tree may take.
const WHOLE_LIMIT: Duration = Duration::from_secs(1800);

/// Everything that `scripts/test mutants` can be told.
#[derive(Args, Clone, Debug)]
pub struct MutantsArgs {
    /// Only the mutants whose name or check contains one of these, or that are held against this suite
    filters: Vec<String>,
    /// Print the mutants and what they take out, and stop
    #[arg(long)]
    list: bool,
}

/// What came of one mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This test failed.
    Killed(String),
    /// This test did not end, as the list says that it would not.
    Hung(String),
    /// Why it shows nothing, or that no test noticed it.
    Failed(String),
}

/// A mutant with what came of it.
pub struct Row<'a> {
    pub mutant: &'a Mutant,
    pub verdict: Verdict,
    pub seconds: f64,
}

/// Runs the mutants and prints the table.
pub fn mutants(args: &MutantsArgs) -> Result<Code> {
    let mut all = list::read(&crate::paths::root().join("tests/mutants"))?;
    all.retain(|mutant| args.filters.is_empty() || args.filters.iter().any(|filter| mutant.is_meant_by(filter)));
    ensure!(!all.is_empty(), bad_input("no mutant has that in its name or check, and no suite is called so"));
    if args.list {
        all.iter().for_each(|mutant| println!("{:<40} {}", mutant.name, mutant.takes_out));
        return Ok(Code::PoweredOff);
    }
    let step = Step::new("mutants");
    let tree = Tree::copy()?;
    let bench = Bench::new(&tree)?;
    let limits = whole(&all, &bench, &step)?;
    let rows: Vec<_> = all
        .iter()
        .enumerate()
        .map(|(done, mutant)| {
            step.percent((done * 100 / all.len()) as u64);
            one(mutant, &tree, &bench, limits[&mutant.suite], &step)
        })
        .collect();
    drop(step);
    print!("{}", table::render(&rows));
    let failed = rows.iter().filter(|row| matches!(row.verdict, Verdict::Failed(_))).count();
    println!("{} passed, {failed} failed", rows.len() - failed);
    Ok(if failed == 0 { Code::PoweredOff } else { Code::TestsFailed })
}

/// The tree as it is passes the very tests that the mutants are to fail; how long a mutant of each suite may take follows.
fn whole(all: &[Mutant], bench: &Bench, step: &Step) -> Result<BTreeMap<Suite, Duration>> {
    let mut limits = BTreeMap::new();
    for suite in Suite::ALL.into_iter().filter(|suite| all.iter().any(|mutant| mutant.suite == *suite)) {
        let tests = union(all.iter().filter(|mutant| mutant.suite == suite));
        step.note(&format!("{} without a mutant", suite.name()));
        let start = Instant::now();
        let programs = bench.build(suite)?.map_err(anyhow::Error::msg)?;
        let begun = Instant::now();
        match bench.run(suite, &programs, &tests, WHOLE_LIMIT)? {
            Ended::Passed(names) => require_each(&tests, &names)?,
            Ended::Failed(test) => bail!("{}: {test} fails without a mutant", suite.name()),
            Ended::Hung(test) => bail!("{}: {test} does not end without a mutant", suite.name()),
        }
        limits.insert(suite, PATIENCE + 2 * begun.elapsed());
        step.line(&format!("ok    {} without a mutant ({:.0} s)", suite.name(), start.elapsed().as_secs_f64()));
    }
    Ok(limits)
}

/// The tests that any of these asks for; all of the suite if one of them asks for all.
fn union<'a>(mutants: impl Iterator<Item = &'a Mutant> + Clone) -> Vec<String> {
    if mutants.clone().any(|mutant| mutant.tests.is_empty()) {
        return Vec::new();
    }
    let mut tests: Vec<_> = mutants.flat_map(|mutant| mutant.tests.iter().cloned()).collect();
    tests.sort();
    tests.dedup();
    tests
}

/// A list that names a test which is not there would blame the wrong one.
fn require_each(wanted: &[String], ran: &[String]) -> Result<()> {
    let missing = wanted.iter().find(|test| !ran.iter().any(|name| name.contains(test.as_str())));
    missing.map_or(Ok(()), |test| bail!("no test is called {test}"))
}

fn one<'a>(mutant: &'a Mutant, tree: &Tree, bench: &Bench, limit: Duration, step: &Step) -> Row<'a> {
    step.note(&mutant.name);
    let start = Instant::now();
    let verdict = judge(mutant, tree, bench, limit).unwrap_or_else(|error| Verdict::Failed(format!("{error:#}")));
    let seconds = start.elapsed().as_secs_f64();
    let (word, what) = match &verdict {
        Verdict::Killed(test) => ("ok   ", format!("killed by {test}")),
        Verdict::Hung(test) => ("ok   ", format!("{test} hangs, as expected")),
        Verdict::Failed(why) => ("FAIL ", why.clone()),
    };
    step.line(&format!("{word} {} ({seconds:.0} s): {what}", mutant.name));
    Row { mutant, verdict, seconds }
}

fn judge(mutant: &Mutant, tree: &Tree, bench: &Bench, limit: Duration) -> Result<Verdict> {
    let _restored = tree.with(mutant)?;
    let programs = match bench.build(mutant.suite).context("while it was built")? {
        Ok(programs) => programs,
        Err(complaint) => return Ok(Verdict::Failed(format!("does not compile: {complaint}"))),
    };
    Ok(match (bench.run(mutant.suite, &programs, &mutant.tests, limit)?, mutant.hangs) {
        (Ended::Failed(test), _) => Verdict::Killed(test),
        (Ended::Hung(test), true) => Verdict::Hung(test),
        (Ended::Hung(test), false) => Verdict::Failed(format!("{test} did not end in time")),
        (Ended::Passed(names), _) => Verdict::Failed(format!("survived {} tests", names.len())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mutant_that_asks_for_all_tests_makes_the_whole_suite_run() {
        let of = |tests: &[&str]| Mutant::example(tests);
        let some = [of(&["b", "a"]), of(&["b"])];
        assert_eq!(union(some.iter()), ["a", "b"]);
        let all = [of(&["a"]), of(&[])];
        assert!(union(all.iter()).is_empty());
    }

    #[test]
    fn a_test_that_is_not_there_is_an_error_of_the_list() {
        let (ran, wanted) = (["mmu::tests::frees_last".to_owned()], |name: &str| [name.to_owned()]);
        assert!(require_each(&wanted("frees_last"), &ran).is_ok());
        assert!(require_each(&wanted("frees_first"), &ran).unwrap_err().to_string().contains("frees_first"));
    }
}

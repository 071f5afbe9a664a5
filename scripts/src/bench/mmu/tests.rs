//! Tests of the benchmark crate that count what does not depend on the machine, and tell what they counted.

use super::cargo;
use crate::ui::Step;
use crate::{paths, proc};
use anyhow::Result;
use serde::Serialize;
use std::process::Command;

/// What one test program told.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    pub test: &'static str,
    pub lines: Vec<String>,
    pub failure: Option<String>,
}

/// Runs them.
pub fn run(step: &Step) -> Result<Vec<Told>> {
    step.note("cache lines");
    let mut lines = test(&[], "lines");
    // The writes are counted in a build of its own.
    lines.env("RUSTFLAGS", "--cfg samewise_lines").env("CARGO_TARGET_DIR", paths::target().join("lines"));
    let lines = told("lines", &mut lines);
    step.note("same pages");
    Ok(vec![lines, told("same_page", &mut test(&["--release"], "same_page"))])
}

fn test(options: &[&str], name: &str) -> Command {
    let mut command = cargo(&["test", "-q", "-p", "mmu-bench", "--test", name]);
    command.args(options).args(["--", "--nocapture", "--test-threads=1"]);
    command
}

fn told(test: &'static str, command: &mut Command) -> Told {
    match proc::output(command) {
        Ok(output) => Told { test, lines: lines(&output), failure: None },
        Err(error) => Told { test, lines: Vec::new(), failure: Some(error.to_string()) },
    }
}

/// The lines that are meant for people: `lines: …` and `same page: …`, behind what the test harness puts before them.
fn lines(output: &str) -> Vec<String> {
    let marks = ["lines: ", "same page: "];
    let found = |line: &str| marks.iter().find_map(|mark| Some(line[line.find(mark)?..].to_owned()));
    let mut lines: Vec<String> = output.lines().filter_map(found).collect();
    lines.sort();
    lines
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn what_a_test_tells_is_found_behind_the_harness() {
        let output = "\nrunning 2 tests\nlines: b\n.lines: a\nsame page: c\ntest result: ok.\n";
        assert_eq!(lines(output), ["lines: a", "lines: b", "same page: c"]);
    }
}

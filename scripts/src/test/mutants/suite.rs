//! The tests that mutants are held against: how each suite is built and run.

use super::program::{self, Ended, Program};
use super::tree::Tree;
use crate::{paths, proc};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A set of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// The fault path, and what a guest's processors share, under loom: every order of what a few CPUs do at once.
    Loom,
    /// The fault path under shuttle: long runs in random orders.
    Shuttle,
    /// The memory core on the fake machine.
    Machine,
    /// Sequences of all operations against a plain model.
    Model,
    /// hv-core's own tests.
    HvCore,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Loom, Self::Shuttle, Self::Machine, Self::Model, Self::HvCore];

    /// As a list of mutants calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loom => "loom",
            Self::Shuttle => "shuttle",
            Self::Machine => "machine",
            Self::Model => "model",
            Self::HvCore => "hv-core",
        }
    }

    /// The package and what of it.
    const fn package(self) -> &'static [&'static str] {
        match self {
            Self::Loom | Self::Shuttle => {
                &["--release", "-p", "hv-core", "--lib", "--no-default-features", "--features", "guest,hash"]
            }
            Self::Machine => &["-p", "machine"],
            Self::Model => &["-p", "model"],
            Self::HvCore => &["-p", "hv-core", "--lib"],
        }
    }

    /// Part of the name of every test that belongs to it.
    const fn all_tests(self) -> &'static [&'static str] {
        match self {
            Self::Loom | Self::Shuttle => &["interleavings"],
            Self::Machine | Self::Model | Self::HvCore => &[],
        }
    }

    /// Tests that do not belong to it though their names may hold what a mutant's list says: under a model an atomic is nothing outside of one.
    const fn left_out(self) -> &'static [&'static str] {
        match self {
            Self::Loom | Self::Shuttle => &["--skip", "::tests::"],
            Self::Machine | Self::Model | Self::HvCore => &[],
        }
    }

    /// The command that runs all of it, but for where.
    pub fn cargo(self) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.arg("test").args(self.package()).args(self.all_tests());
        self.environment(&mut cargo);
        cargo
    }

    fn environment(self, cargo: &mut Command) {
        if let Some(flags) = self.flags() {
            cargo.env("RUSTFLAGS", flags).env("CARGO_PROFILE_RELEASE_LTO", "off");
        }
    }

    /// What makes hv-core's primitives those of a model.
    const fn flags(self) -> Option<&'static str> {
        match self {
            Self::Loom => Some("--cfg loom"),
            Self::Shuttle => Some("--cfg shuttle"),
            Self::Machine | Self::Model | Self::HvCore => None,
        }
    }
}

/// Where the suites are built and run: in the copy of the tree, with a target directory that is kept.
pub struct Bench<'a> {
    tree: &'a Tree,
    target: PathBuf,
}

impl<'a> Bench<'a> {
    /// For this copy.
    pub fn new(tree: &'a Tree) -> Result<Self> {
        Ok(Self { tree, target: paths::work("mutants")?.join("target") })
    }

    /// Builds a suite's test programs, or says what the compiler says.
    pub fn build(&self, suite: Suite) -> Result<Result<Vec<Program>, String>> {
        let mut cargo = Command::new("cargo");
        cargo.args(["test", "-q", "--no-run", "--message-format", "json-render-diagnostics"]).args(suite.package());
        // One directory for each, so that flags of one do not undo what another has built.
        cargo.arg("--target-dir").arg(self.target.join(suite.name())).current_dir(self.tree.root());
        // Built often and run briefly.
        cargo.env("CARGO_PROFILE_RELEASE_INCREMENTAL", "true").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
        cargo
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .args(["--config", "profile.release.package.hv-core.opt-level=1"]);
        suite.environment(&mut cargo);
        let out =
            cargo.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", proc::shown(&cargo)))?;
        match out.status.success() {
            true => Ok(Ok(program::built(&String::from_utf8_lossy(&out.stdout)))),
            false => Ok(Err(first_error(&String::from_utf8_lossy(&out.stderr)))),
        }
    }

    /// Runs the tests whose names hold one of `tests`, or all, until the first one fails.
    pub fn run(&self, suite: Suite, programs: &[Program], tests: &[String], limit: Duration) -> Result<Ended> {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let named = if tests.is_empty() { owned(suite.all_tests()) } else { tests.to_vec() };
        let filters = [named, owned(suite.left_out())].concat();
        let deadline = Instant::now() + limit;
        let mut passed = Vec::new();
        for program in programs {
            match program.run(&filters, deadline)? {
                Ended::Passed(names) => passed.extend(names),
                other => return Ok(other),
            }
        }
        Ok(Ended::Passed(passed))
    }
}

/// The first complaint and where it points.
fn first_error(text: &str) -> String {
    let lines = text.lines().skip_while(|line| !line.starts_with("error"));
    lines.take(2).map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_calls_each_suite_by_its_name() {
        #[derive(Deserialize)]
        struct Line {
            suite: Suite,
        }
        for suite in Suite::ALL {
            let line: Line = toml::from_str(&format!("suite = '{}'", suite.name())).unwrap();
            assert_eq!(line.suite, suite);
        }
    }

    #[test]
    fn of_a_compilers_words_the_first_error_and_its_place_are_told() {
        let said =
            "warning: unused\n --> a.rs:1:1\nerror[E0425]: cannot find `x`\n  --> b.rs:7:9\n   |\nerror: aborting\n";
        assert_eq!(first_error(said), "error[E0425]: cannot find `x` --> b.rs:7:9");
    }
}

//! One test program: found in what cargo says, run until its first failure, its end or a deadline.

use super::libtest;
use crate::proc;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

/// A test program that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    file: PathBuf,
    /// Its package's directory, where cargo would run it.
    directory: PathBuf,
}

/// How a run of tests ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All passed, these.
    Passed(Vec<String>),
    /// This one failed, or took the whole program down.
    Failed(String),
    /// This one was still running at the deadline.
    Hung(String),
}

/// The test programs among what cargo said, one JSON value a line.
pub fn built(said: &str) -> Vec<Program> {
    let values = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let program = |value: serde_json::Value| {
        let is_test = value["profile"]["test"].as_bool()?;
        let directory = Path::new(value["manifest_path"].as_str()?).parent()?.to_path_buf();
        Some(Program { file: value["executable"].as_str()?.into(), directory }).filter(|_| is_test)
    };
    values.filter_map(program).collect()
}

impl Program {
    /// Runs the tests whose names hold one of `filters` (all if there are none), one after the other so that the one at fault is known.
    pub fn run(&self, filters: &[String], deadline: Instant) -> Result<Ended> {
        let said = tempfile::NamedTempFile::new()?;
        let mut command = Command::new(&self.file);
        command.arg("--test-threads=1").args(filters).current_dir(&self.directory).stdin(Stdio::null());
        command.stdout(File::create(said.path())?).stderr(Stdio::null());
        // loom's threads have small stacks: a backtrace overflows them, and the test that found something hangs.
        command.env("RUST_BACKTRACE", "0");
        // What is tried at random is the same for every mutant, and none leaves something behind for the next.
        command.env("PROPTEST_RNG_SEED", "1").env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true");
        let mut child =
            proc::spawn_bound(&mut command).with_context(|| format!("cannot start {}", self.file.display()))?;
        loop {
            // Asked before the output is read, which is complete if the program had ended.
            let status = child.try_wait()?;
            let report = libtest::read(&String::from_utf8_lossy(&fs::read(said.path())?));
            let over = Instant::now() >= deadline;
            if let Some(ended) = judge(report, status.map(|status| status.success()), over) {
                if status.is_none() {
                    child.kill()?;
                    child.wait()?;
                }
                return Ok(ended);
            }
            thread::sleep(proc::POLL);
        }
    }
}

/// What is known from the output so far, from how the program ended if it did, and from the clock.
fn judge(report: libtest::Report, success: Option<bool>, over: bool) -> Option<Ended> {
    let running = || report.running.clone().unwrap_or_else(|| "the test program".into());
    match (&report.failed, success) {
        (Some(test), _) => Some(Ended::Failed(test.clone())),
        (None, Some(true)) => Some(Ended::Passed(report.passed)),
        (None, Some(false)) => Some(Ended::Failed(running())),
        (None, None) => over.then(|| Ended::Hung(running())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_test_programs_are_taken_from_what_cargo_says() {
        let artifact = |test, executable| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let said =
            [artifact(true, "\"/t/a-1\""), artifact(false, "\"/t/b\""), artifact(true, "null"), "Compiling".into()];
        let expected = Program { file: "/t/a-1".into(), directory: "/w/a".into() };
        assert_eq!(built(&said.join("\n")), [expected]);
    }

    fn script(text: &str) -> (tempfile::TempDir, Program) {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("program");
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let program = Program { file, directory: directory.path().into() };
        (directory, program)
    }

    fn run(text: &str, limit: Duration) -> Ended {
        script(text).1.run(&[], Instant::now() + limit).unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_program_that_passes_tells_its_tests() {
        assert_eq!(
            run("echo 'test a ... ok'; echo 'test b ... ok'", LONG),
            Ended::Passed(vec!["a".into(), "b".into()])
        );
    }

    #[test]
    fn the_first_failure_ends_a_run() {
        assert_eq!(run("echo 'test a ... FAILED'; exec sleep 60", LONG), Ended::Failed("a".into()));
    }

    #[test]
    fn a_program_that_dies_in_a_test_fails_that_test() {
        assert_eq!(run("printf 'test a ... '; kill -ABRT $$", LONG), Ended::Failed("a".into()));
    }

    #[test]
    fn a_program_that_does_not_end_is_ended_and_its_test_named() {
        assert_eq!(run("printf 'test a ... '; exec sleep 60", Duration::from_millis(500)), Ended::Hung("a".into()));
    }
}

//! What counts instructions: valgrind, and the runner of the harness that drives it (gungraun), in the version that the benchmark crate was built for.

use super::apt::{self, Apt, Scope};
use crate::ui::Step;
use crate::{paths, proc};
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const RUNNER: &str = "gungraun-runner";

/// `valgrind`, installed if need be.
pub fn valgrind() -> Result<PathBuf> {
    const PROGRAM: &str = "valgrind";
    if let Some(program) = proc::find(PROGRAM) {
        return Ok(program);
    }
    let (sources, _) = apt::machine_and_backports();
    let installed = Apt::open("machine", Scope::Machine, &sources).and_then(|apt| apt.install(&[PROGRAM], None));
    installed.context("instructions are counted by valgrind, which is not on PATH")?;
    proc::find(PROGRAM).context("valgrind was installed, but is not on PATH")
}

/// The runner, built if it is not there in the version that Cargo.lock names.
pub fn gungraun_runner() -> Result<PathBuf> {
    let lock = fs::read_to_string(paths::root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let version = locked(&lock, RUNNER).with_context(|| format!("Cargo.lock names no {RUNNER}"))?;
    let root = paths::work(&format!("{RUNNER}-{version}"))?;
    let program = root.join("bin").join(RUNNER);
    if program.is_file() {
        return Ok(program);
    }
    let step = Step::new(format!("build {RUNNER} {version} (once, about two minutes)"));
    let mut command = Command::new("cargo");
    command.args(["install", "-q", "--locked", "--version", &format!("={version}"), "--root"]).arg(&root).arg(RUNNER);
    proc::output(command.current_dir(paths::root())).with_context(|| format!("cannot build {RUNNER} {version}"))?;
    step.done("built");
    Ok(program)
}

/// The version of a package in a lock file.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_very_package() {
        let lock = "[[package]]\nname = \"a-b\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"a\"\nversion = \"0.20.0\"\nsource = \"x\"\n";
        assert_eq!(locked(lock, "a"), Some("0.20.0"));
        assert_eq!(locked(lock, "b"), None);
    }
}

//! A guest of our own that keeps a pattern in every register, and takes every kind of exit thousands of times.

use crate::session::{run, text};
use crate::{Case, Setting};
use anyhow::{Context, Result, ensure};

/// The machines on which it is run.
const PLATFORMS: [&str; 1] = ["pseries"];
const CPUS: [&str; 2] = ["power9", "power10"];
/// Fewer rounds than this, and the guest did not do what it is for.
const ROUNDS: u64 = 50_000;

/// One case for each machine, which tries each processor.
pub fn cases() -> Vec<Case> {
    PLATFORMS.map(|platform| Case::new(format!("registers/{platform}"), move |setting| keep(setting, platform))).into()
}

fn keep(setting: &Setting, platform: &str) -> Result<String> {
    let rounds = CPUS.map(|cpu| keep_on(setting, platform, cpu).with_context(|| cpu));
    let [first, second] = rounds;
    Ok(format!("{} rounds, nothing changed", first? + second?))
}

/// The smallest pages: each of the guest's touches is then a storage interrupt of its own.
fn keep_on(setting: &Setting, platform: &str, cpu: &str) -> Result<u64> {
    let options = ["--kernel", text(&setting.registers)?, "--platform", platform, "--cpu", cpu];
    let ended = run(setting, &[&options[..], &["--granule", "4k", "--timeout", "180"]].concat())?.with_code(0)?;
    let failures: Vec<_> = ended.console.lines().filter(|line| line.contains("FAIL")).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    let summary = ended.console.lines().filter_map(|line| line.trim().strip_prefix("registers: ")).next_back();
    let summary = summary.context("the guest printed no summary")?;
    let rounds = summary.strip_suffix(" rounds, 0 failed").with_context(|| summary.to_owned())?.parse()?;
    ensure!(rounds >= ROUNDS, "only {summary}");
    Ok(rounds)
}

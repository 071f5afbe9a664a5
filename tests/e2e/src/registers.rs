//! A guest of our own that keeps a pattern in every register, and takes every kind of exit thousands of times.

use crate::session::{run, text};
use crate::{Case, Setting};
use anyhow::{Context, Result, ensure};

/// The machines on which it is run: the platform, and the processor where that leaves a choice.
const MACHINES: [(&str, Option<&str>); 4] =
    [("pseries", Some("power9")), ("pseries", Some("power10")), ("powernv9", None), ("powernv10", None)];
/// Fewer rounds than this, and the guest did not do what it is for.
const ROUNDS: u64 = 50_000;

/// One case for each machine.
pub fn cases() -> Vec<Case> {
    let case = |(platform, cpu): (&'static str, Option<&'static str>)| {
        let name = cpu.map_or_else(|| platform.to_owned(), |cpu| format!("{platform}-{cpu}"));
        Case::new(format!("registers/{name}"), move |setting| keep(setting, platform, cpu))
    };
    MACHINES.map(case).into()
}

/// The smallest pages: each of the guest's touches is then a storage interrupt of its own.
fn keep(setting: &Setting, platform: &str, cpu: Option<&str>) -> Result<String> {
    let cpu: Vec<&str> = cpu.into_iter().flat_map(|cpu| ["--cpu", cpu]).collect();
    let options = ["--kernel", text(&setting.registers)?, "--platform", platform];
    let ended = run(setting, &[&options[..], &cpu, &["--granule", "4k", "--timeout", "180"]].concat())?.with_code(0)?;
    let failures: Vec<_> = ended.console.lines().filter(|line| line.contains("FAIL")).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    let summary = ended.console.lines().filter_map(|line| line.trim().strip_prefix("registers: ")).next_back();
    let summary = summary.context("the guest printed no summary")?;
    let rounds: u64 = summary.strip_suffix(" rounds, 0 failed").with_context(|| summary.to_owned())?.parse()?;
    ensure!(rounds >= ROUNDS, "only {summary}");
    Ok(format!("{rounds} rounds, nothing changed"))
}

//! A guest of our own that keeps a pattern in every register, and takes every kind of exit thousands of times: alone on its CPU, and in turns
//! with another that keeps other patterns.

use crate::session::{run, text};
use crate::{Case, Setting};
use anyhow::{Context, Result, ensure};

/// The machines on which it is run.
const PLATFORMS: [&str; 1] = ["pseries"];
/// Those of them on which two can take turns.
const TURNS: [&str; 1] = ["pseries"];
const CPUS: [&str; 2] = ["power9", "power10"];
/// Fewer rounds than this, and the guest did not do what it is for.
const ROUNDS: u64 = 50_000;

/// One case for each machine, which tries each processor, and one for twins.
pub fn cases() -> Vec<Case> {
    let alone = PLATFORMS.map(|on| Case::new(format!("registers/{on}"), move |setting| keep(setting, on, &[], &[""])));
    let twins = TURNS.map(|on| Case::new(format!("registers/{on}/twins"), move |setting| keep_twins(setting, on)));
    alone.into_iter().chain(twins).collect()
}

fn keep_twins(setting: &Setting, platform: &str) -> Result<String> {
    let options = ["--memory", "512M", "--append", "samewise.twins=on"];
    keep(setting, platform, &options, &["first: ", "second: "])
}

/// Runs it on each processor; `names` stand before the lines of each guest.
fn keep(setting: &Setting, platform: &str, options: &[&str], names: &[&str]) -> Result<String> {
    let mut rounds = 0;
    for cpu in CPUS {
        rounds += keep_on(setting, &[&["--platform", platform, "--cpu", cpu], options].concat(), names).context(cpu)?;
    }
    Ok(format!("{rounds} rounds, nothing changed"))
}

/// The smallest pages: each of the guest's touches is then a storage interrupt of its own.
fn keep_on(setting: &Setting, options: &[&str], names: &[&str]) -> Result<u64> {
    let own = ["--kernel", text(&setting.registers)?, "--granule", "4k", "--timeout", "180"];
    let ended = run(setting, &[&own[..], options].concat())?.with_code(0)?;
    let failures: Vec<_> = ended.console.lines().filter(|line| line.contains("FAIL")).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    names.iter().map(|name| rounds(&ended.console, name)).sum()
}

/// What the last line of the guest called `name` counts.
fn rounds(console: &str, name: &str) -> Result<u64> {
    let summary = console.lines().filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix("registers: "));
    let summary = summary.last().with_context(|| format!("{name}the guest printed no summary"))?;
    let rounds = summary.strip_suffix(" rounds, 0 failed").with_context(|| summary.to_owned())?.parse()?;
    ensure!(rounds >= ROUNDS, "{name}only {summary}");
    Ok(rounds)
}

//! A guest of our own that keeps a pattern in every register, and takes every kind of exit thousands of times: alone on its CPU, and in turns
//! with another that keeps other patterns.

use crate::session::{run, text};
use crate::{Case, Setting};
use anyhow::{Context, Result, ensure};

/// The machines on which it is run: the platform, and the processor where that leaves a choice.
const MACHINES: [(&str, Option<&str>); 4] =
    [("pseries", Some("power9")), ("pseries", Some("power10")), ("powernv9", None), ("powernv10", None)];
/// Fewer rounds than this, and the guest did not do what it is for.
const ROUNDS: u64 = 50_000;

/// For each machine one guest alone, and two that take turns on one CPU.
pub fn cases() -> Vec<Case> {
    MACHINES.into_iter().flat_map(|machine| [alone(machine), twins(machine), together(machine)]).collect()
}

type Machine = (&'static str, Option<&'static str>);

fn name((platform, cpu): Machine) -> String {
    cpu.map_or_else(|| platform.to_owned(), |cpu| format!("{platform}-{cpu}"))
}

fn alone(machine: Machine) -> Case {
    Case::new(format!("registers/{}", name(machine)), move |setting| keep(setting, machine, &[], &[""]))
}

/// More vCPUs than CPUs, so that they share them and move from one to another.
fn together(machine: Machine) -> Case {
    let options = ["--cpus", "3", "--host-cpus", "2"];
    Case::new(format!("registers/{}/cpus-3", name(machine)), move |setting| keep(setting, machine, &options, &[""]))
}

fn twins(machine: Machine) -> Case {
    let options = ["--memory", "512M", "--append", "samewise.twins=on"];
    let names = ["first: ", "second: "];
    Case::new(format!("registers/{}/twins", name(machine)), move |setting| keep(setting, machine, &options, &names))
}

/// The smallest pages: each of the guest's touches is then a storage interrupt of its own. `names` stand before the lines of each guest.
fn keep(setting: &Setting, (platform, cpu): Machine, options: &[&str], names: &[&str]) -> Result<String> {
    let cpu: Vec<&str> = cpu.into_iter().flat_map(|cpu| ["--cpu", cpu]).collect();
    let own = ["--kernel", text(&setting.registers)?, "--platform", platform, "--granule", "4k", "--timeout", "180"];
    let ended = run(setting, &[&own[..], &cpu, options].concat())?.with_code(0)?;
    let failures: Vec<_> = ended.console.lines().filter(|line| line.contains("FAIL")).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    let rounds: Vec<u64> = names.iter().map(|name| rounds(&ended.console, name)).collect::<Result<_>>()?;
    Ok(format!("{} rounds, nothing changed", rounds.iter().sum::<u64>()))
}

/// What the last line of the guest called `name` counts.
fn rounds(console: &str, name: &str) -> Result<u64> {
    let mut summary = console.lines().filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix("registers: "));
    let summary = summary.next_back().with_context(|| format!("{name}the guest printed no summary"))?;
    // With several vCPUs it says how many there are.
    let sum = summary.split_once(", 0 failed").filter(|(_, rest)| rest.is_empty() || rest.ends_with(" vCPUs"));
    let rounds = sum.and_then(|(sum, _)| sum.strip_suffix(" rounds")).with_context(|| summary.to_owned())?.parse()?;
    ensure!(rounds >= ROUNDS, "{name}only {summary}");
    Ok(rounds)
}

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

/// For each machine one guest alone, several vCPUs on fewer CPUs, and two guests, on one CPU in turns and moving between two. On bare metal a hash guest as well, and two guests of different kinds.
pub fn cases() -> Vec<Case> {
    let each = |machine| [alone(machine), together(machine), twins(machine, "on", "1"), twins(machine, "on", "2")];
    let beside = |machine| [hashed(machine), twins(machine, "mixed", "1"), twins(machine, "mixed", "2")];
    let bare = MACHINES.into_iter().filter(|(platform, _)| platform.starts_with("powernv"));
    MACHINES.into_iter().flat_map(each).chain(bare.flat_map(beside)).collect()
}

type Machine = (&'static str, Option<&'static str>);

fn name((platform, cpu): Machine) -> String {
    cpu.map_or_else(|| platform.to_owned(), |cpu| format!("{platform}-{cpu}"))
}

fn alone(machine: Machine) -> Case {
    Case::new(format!("registers/{}", name(machine)), move |setting| keep(setting, machine, &[], &[Guest::ALONE]))
}

/// More vCPUs than CPUs, so that they share them and move from one to another.
fn together(machine: Machine) -> Case {
    let options = ["--cpus", "3", "--host-cpus", "2"];
    Case::new(format!("registers/{}/cpus-3", name(machine)), move |setting| {
        keep(setting, machine, &options, &[Guest::ALONE])
    })
}

fn hashed(machine: Machine) -> Case {
    let guest = Guest { name: "", hashed: true };
    Case::new(format!("registers/{}/hash", name(machine)), move |setting| {
        keep(setting, machine, &["--mmu", "hash", "--memory", "512M"], &[guest])
    })
}

/// The machine's memory: its firmware's part, both guests, their tables, and ourselves.
const BOTH: &str = "2560M";

/// Two guests, alike or one of each kind, on so many CPUs.
fn twins(machine: Machine, kind: &str, host: &'static str) -> Case {
    let asked = format!("samewise.twins={kind}");
    let guests = [Guest { name: "first: ", hashed: false }, Guest { name: "second: ", hashed: kind == "mixed" }];
    let alike = if kind == "on" { "twins" } else { kind };
    Case::new(format!("registers/{}/{alike}-host-{host}", name(machine)), move |setting| {
        let options = ["--memory", "512M", "--append", &asked, "--host-cpus", host, "--host-memory", BOTH];
        keep(setting, machine, &options, &guests)
    })
}

/// One of the guests of a run.
#[derive(Clone, Copy)]
struct Guest {
    /// What stands before its lines.
    name: &'static str,
    /// It has a hashed table, and says so.
    hashed: bool,
}

impl Guest {
    /// A radix guest that shares its console with nobody.
    const ALONE: Self = Self { name: "", hashed: false };
}

/// The smallest pages: each of the guest's touches is then a storage interrupt of its own.
fn keep(setting: &Setting, (platform, cpu): Machine, options: &[&str], guests: &[Guest]) -> Result<String> {
    let cpu: Vec<&str> = cpu.into_iter().flat_map(|cpu| ["--cpu", cpu]).collect();
    let own = ["--kernel", text(&setting.registers)?, "--platform", platform, "--granule", "4k", "--timeout", "180"];
    let ended = run(setting, &[&own[..], &cpu, options].concat())?.with_code(0)?;
    let failures: Vec<_> = ended.console.lines().filter(|line| line.contains("FAIL")).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    for Guest { name, hashed } in guests {
        let says = ended.console.lines().any(|line| line.trim() == format!("{name}registers: a hashed table"));
        ensure!(says == *hashed, "{name}the guest is not of the kind that it should be");
    }
    let rounds: Vec<u64> = guests.iter().map(|guest| rounds(&ended.console, guest.name)).collect::<Result<_>>()?;
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

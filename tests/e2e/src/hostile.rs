//! A guest of our own that does everything a guest must not do, and counts how it was answered.

use crate::matrix::{Machine, POWER9, POWER10, POWERNV9, POWERNV10};
use crate::session::{run, text};
use crate::{Case, Setting};
use anyhow::{Context, Result, ensure};

const MACHINES: [Machine; 3] = [POWER9, POWER10, POWERNV10];
/// Those on which there are hash guests, and how the run of several vCPUs ends there: one is lost in interrupts of its own, on each machine in another way.
const HASH_MACHINES: [(Machine, &str); 2] = [(POWERNV9, "end=no-entry"), (POWERNV10, "end=no-segment")];

/// A hash guest, which has cases of its own.
const HASH: [&str; 2] = ["--mmu", "hash"];
/// More vCPUs than CPUs.
const FOUR_ON_TWO: [&str; 4] = ["--cpus", "4", "--host-cpus", "2"];
/// Beside it a guest that keeps what is its own, in turns with it; the attacks of a hash guest alone, since each exit of either lets the other one in.
const NEIGHBOURS: [&str; 4] = ["--memory", "512M", "--append", "samewise.twins=on only-hash neighbour seconds=60"];

/// One case for each machine with one vCPU, and one with several; of hash guests, one more with a neighbour.
pub fn cases() -> Vec<Case> {
    let radix = MACHINES.into_iter().flat_map(|machine| {
        let name = format!("hostile/{}", machine.name);
        [alone(&name, machine, &[]), together(&name, machine, &[], "only-smp")]
    });
    let hash = HASH_MACHINES.into_iter().flat_map(|(machine, end)| {
        let name = format!("hostile/hash/{}", machine.name);
        let words = format!("only-smp {end}");
        [alone(&name, machine, &HASH), together(&name, machine, &HASH, &words), neighbours(&name, machine)]
    });
    radix.chain(hash).collect()
}

fn alone(name: &str, machine: Machine, more: &'static [&'static str]) -> Case {
    Case::new(name, move |setting| attack(setting, machine, more, &[""]))
}

/// What several vCPUs do to each other, next to what one does.
fn together(name: &str, machine: Machine, more: &'static [&'static str], words: &str) -> Case {
    let words = words.to_owned();
    Case::new(format!("{name}/cpus-4"), move |setting| {
        attack(setting, machine, &[more, &FOUR_ON_TWO, &["--append", &words]].concat(), &[""])
    })
}

/// The neighbour finds everything as it left it.
fn neighbours(name: &str, machine: Machine) -> Case {
    Case::new(format!("{name}/neighbour"), move |setting| {
        attack(setting, machine, &[&HASH[..], &NEIGHBOURS].concat(), &["first: ", "second: "])
    })
}

/// `names` stand before the lines of each guest.
fn attack(setting: &Setting, machine: Machine, more: &[&str], names: &[&str]) -> Result<String> {
    let guest = ["--kernel", text(&setting.hostile)?, "--timeout", "300"];
    let ended = run(setting, &[&guest[..], &machine.options, more].concat())?;
    let ended = ended.with_code(0)?;
    let failures: Vec<_> = ended.console.lines().filter(|line| line.contains("FAIL")).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    let summaries: Vec<_> = names.iter().map(|name| summary(&ended.console, name)).collect::<Result<_>>()?;
    Ok(summaries.join("; "))
}

/// The last line of the guest called `name`.
fn summary(console: &str, name: &str) -> Result<String> {
    let mut lines = console.lines().filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix("hostile: "));
    let last = lines.next_back().with_context(|| format!("{name}the hostile guest printed no summary"))?;
    ensure!(last.ends_with("0 failed") && !last.starts_with('0'), "{name}{last}");
    Ok(last.to_owned())
}

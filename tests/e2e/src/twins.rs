//! The same Linux twice on one machine, one with a radix tree and one with a hashed table: in turns on one CPU, and on two between which both move. Each verifies its own memory and registers, and has to come to
//! its end as if it were alone. They take minutes, so that they are run by name or with `--full`; `registers/*/mixed` is about the same in short.

use crate::matrix::{Machine, POWERNV9, POWERNV10};
use crate::session::{Ended, run, text};
use crate::smp::verified_by;
use crate::stats::Stats;
use crate::{Case, Setting};
use anyhow::{Context, Result, ensure};

/// Two guests on one machine.
#[derive(Clone, Copy, Debug)]
struct Pair {
    machine: Machine,
    /// The machine's CPUs.
    host: &'static str,
    /// The word that asks for them, and the option for the kind of the first.
    asked: &'static str,
    first: &'static str,
    /// What each of them says that it is.
    kinds: [&'static str; 2],
}

const NAMES: [&str; 2] = ["first", "second"];
/// What each of them has, and the machine: its firmware's part, both guests, their tables, and ourselves.
const MEMORY: [&str; 2] = ["256M", "2304M"];
/// Fewer turns of one after the other on a CPU than this, or fewer moves of each to another, and what is tested has hardly happened.
const SWITCHES: u64 = 5_000;
const MOVES: u64 = 150;

/// One of each kind on each machine, on one CPU and on two; and two of the kind whose isolation depends on the hypervisor most.
pub fn cases() -> Vec<Case> {
    let machines = [POWERNV9, POWERNV10].into_iter();
    let mixed = machines.flat_map(|machine| ["1", "2"].map(|host| Pair::mixed(machine, host)));
    mixed.chain([Pair::hashed(POWERNV10, "2")]).map(Pair::case).collect()
}

impl Pair {
    const fn mixed(machine: Machine, host: &'static str) -> Self {
        Self { machine, host, asked: "samewise.twins=mixed", first: "radix", kinds: ["Radix", "Hash"] }
    }

    const fn hashed(machine: Machine, host: &'static str) -> Self {
        Self { machine, host, asked: "samewise.twins=on", first: "hash", kinds: ["Hash", "Hash"] }
    }

    fn case(self) -> Case {
        let kinds = self.kinds.join("-and-").to_lowercase();
        let name = format!("twins/{kinds}/{}/host-{}", self.machine.name, self.host);
        Case::new(name, move |setting| self.boot(setting)).long()
    }

    fn boot(self, setting: &Setting) -> Result<String> {
        let dir = tempfile::tempdir()?;
        let stats = dir.path().join("stats.json");
        // A hash guest boots for longer, above all where the other one's CPU is not its own: by then that one is to be at work still.
        let work = "grep MMU /proc/cpuinfo && linux-probe stress 40 1 && linux-probe pattern 96M && linux-probe fp 5";
        let [memory, all] = MEMORY;
        let guests = ["--append", self.asked, "--mmu", self.first, "--memory", memory, "--batch", work];
        let machine = ["--host-cpus", self.host, "--host-memory", all];
        let files = ["--add", text(&setting.probe)?, "--stats", text(&stats)?];
        let ended = run(setting, &[&guests[..], &machine, &files, &self.machine.options].concat())?.with_code(0)?;
        let [first, second] = NAMES.map(|name| lines_of(&ended, name));
        first.is_good(self.kinds[0]).context("the first twin")?;
        second.is_good(self.kinds[1]).context("the second twin")?;
        met(&ended)?;
        let turns = turned(&Stats::read(&stats)?, self.host)?;
        Ok(format!("{}; {}; {turns}", verified_by(&first.0)?, verified_by(&second.0)?))
    }
}

/// What one of them printed.
struct Lines(String);

fn lines_of(ended: &Ended, name: &str) -> Lines {
    let lines = ended.console.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    Lines(lines.map(|line| format!("{}\n", line.trim_end())).collect())
}

impl Lines {
    /// It is of this kind, and its work ended well.
    fn is_good(&self, kind: &str) -> Result<()> {
        let is_kind = |line: &str| line.starts_with("MMU") && line.ends_with(&format!(": {kind}"));
        ensure!(self.0.lines().any(is_kind), "its kernel does not say that it is {kind}");
        ensure!(self.0.contains("samewise: batch ends with 0\n"), "its work did not end well:\n{}", self.0);
        Ok(())
    }
}

/// Either began its work before the other one's had ended.
fn met(ended: &Ended) -> Result<()> {
    let at = |name: &str, mark: &str| {
        ended.console.find(&format!("{name}: samewise: batch {mark}")).with_context(|| format!("{name}: no {mark}"))
    };
    for (one, other) in [(NAMES[0], NAMES[1]), (NAMES[1], NAMES[0])] {
        ensure!(at(one, "starts")? < at(other, "ends")?, "the {one} twin began when the {other} one was done");
    }
    Ok(())
}

/// Both had turns, and moved where there was a place to go to; and no page of either was lost.
fn turned(stats: &Stats, host: &str) -> Result<String> {
    stats.check_cpus(host)?;
    stats.reaches("twins.switches", SWITCHES)?;
    for name in NAMES {
        let moves = format!("twins.{name}.moves");
        if host == "1" {
            stats.is(&moves, 0)?
        } else {
            stats.reaches(&moves, MOVES)?
        }
        stats.is(&format!("twins.{name}.unaccounted"), 0)?;
    }
    let [switches, first, second] =
        ["switches", "first.moves", "second.moves"].map(|figure| stats.get(&format!("twins.{figure}")));
    Ok(format!("{switches} turns of one after the other, {first} and {second} moves"))
}

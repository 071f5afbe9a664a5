//! One boot of the guest that measures, with two vCPUs, and what it told:
//!
//! ```text
//!   smp null one N ticks T      one vCPU made N calls in T ticks of the timebase
//!   smp null two N ticks T      both made N in all, from when the first began until the last was done
//!   smp touch one N ticks T     the same of pages touched for the first time
//!   smp touch two N ticks T
//! ```
//!
//! Of a line that is told several times the last one counts.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

/// What begins a line; the guest's other lines may begin so too.
const PREFIX: &str = "measure: ";
/// How the hypervisor's counter of locks that faults took is called.
const LOCKS: &str = "fault.locks";
/// The timebase's frequency.
const HERTZ: f64 = 512e6;

/// So many events in so many ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Events {
    pub count: u64,
    pub ticks: u64,
}

/// With one vCPU and with two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub one: Events,
    pub two: Events,
}

/// What one boot told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    pub null: Pair,
    pub touch: Pair,
    pub locks: Option<u64>,
}

impl Events {
    /// How many a second.
    pub fn per_second(self) -> f64 {
        self.count as f64 * HERTZ / self.ticks as f64
    }
}

impl Pair {
    /// What two do in a while over what one does.
    pub fn scaling(self) -> f64 {
        self.two.per_second() / self.one.per_second()
    }
}

/// Boots the guest once, as a user would.
pub fn boot(hypervisor: &Path, guest: &Path) -> Result<Boot> {
    let dir = tempfile::tempdir()?;
    let stats = dir.path().join("stats.json");
    let tool = env::current_exe().context("cannot find this program")?;
    let mut run = Command::new(tool);
    run.args([
        "run",
        "--platform",
        "powernv10",
        "--cpus",
        "2",
        "--host-cpus",
        "2",
        "--memory",
        "1G",
        "--timeout",
        "180",
    ]);
    run.args(["--granule", "4k", "--one-page", "--append", "measure=smp"]);
    // What is touched for the first time is the guest's memory, not QEMU's: the host's page faults are no part of it.
    run.arg("--qemu-arg=-mem-prealloc");
    run.arg("--hypervisor").arg(hypervisor).arg("--kernel").arg(guest).arg("--stats").arg(&stats);
    let ended = run.stdin(Stdio::null()).output().context("cannot start this program once more")?;
    let (console, complaints) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    ensure!(ended.status.success(), "the guest did not end well; it said:\n{console}\n{complaints}");
    let counters: BTreeMap<String, u64> = serde_json::from_slice(&fs::read(&stats)?)?;
    understand(&console, counters.get(LOCKS).copied())
}

/// Takes the console apart.
fn understand(console: &str, locks: Option<u64>) -> Result<Boot> {
    let told: BTreeMap<(&str, &str), Events> = console.lines().filter_map(line).collect();
    let events = |what, who| {
        told.get(&(what, who))
            .copied()
            .with_context(|| format!("the guest did not tell of {what} {who}; it said:\n{console}"))
    };
    let pair = |what| Ok::<_, anyhow::Error>(Pair { one: events(what, "one")?, two: events(what, "two")? });
    Ok(Boot { null: pair("null")?, touch: pair("touch")?, locks })
}

/// What, who, and how many in which time.
fn line(line: &str) -> Option<((&str, &str), Events)> {
    let line = line.trim();
    let words: Vec<_> = line.strip_prefix(PREFIX).unwrap_or(line).split(' ').collect();
    let &["smp", what, who, count, "ticks", ticks] = &words[..] else { return None };
    let events = Events { count: count.parse().ok()?, ticks: ticks.parse().ok()? };
    (events.count > 0 && events.ticks > 0).then_some(((what, who), events))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "measure: 1024 MiB, timebase 512000000\r
measure: smp null one 1000 ticks 5000\r
measure: smp null two 2000 ticks 5100\r
smp touch one 500 ticks 8000\r
smp touch two 1000 ticks 8200\r
measure: done\r
";

    #[test]
    fn four_lines_give_two_scalings() {
        let boot = understand(CONSOLE, Some(0)).unwrap();
        assert_eq!(boot.touch.two, Events { count: 1000, ticks: 8200 });
        assert!((boot.null.scaling() - 2.0 * 5000.0 / 5100.0).abs() < 1e-9);
        assert_eq!(boot.locks, Some(0));
    }

    #[test]
    fn a_line_that_is_missing_or_says_nothing_is_named() {
        for bad in
            [CONSOLE.replace("touch two 1000", "touch two 0"), CONSOLE.replace("smp touch two", "smp touch three")]
        {
            assert!(understand(&bad, None).unwrap_err().to_string().contains("touch two"), "{bad}");
        }
    }

    #[test]
    fn other_lines_of_the_guest_mean_nothing() {
        for other in ["measure: null-hcall 182.0", "measure: smp FAIL no second vCPU", "smp touch one 5 ticks", ""] {
            assert_eq!(line(other), None, "{other}");
        }
    }
}

//! Everything at once: four vCPUs over two CPUs under verification, with less memory than they use, while the hypervisor disturbs itself
//! (`samewise.disturb=on`: the dirty log goes on and off, huge leaves are split and promoted).
//!
//! The long one runs a hypervisor that waits between looking at an entry and swapping it (`scripts/build --delays`), so that each reason to begin
//! a fault anew occurs.

use crate::matrix::{Machine, POWER10, POWERNV10};
use crate::session::{run, text};
use crate::smp::verified;
use crate::stats::Stats;
use crate::{Case, Company, Setting};
use anyhow::{Context, Result, ensure};
use std::process::Command;

/// What a run has to come to.
struct Aim {
    seconds: u32,
    /// Counters, and how far each has to get.
    counters: [(&'static str, u64); 5],
    /// Whether each reason for a retry has to occur.
    retries: bool,
}

const SHORT: Aim = Aim {
    seconds: 40,
    counters: [
        ("store.paged-out", 50_000),
        ("store.paged-in", 50_000),
        ("log.toggled", 50),
        ("leaf.split", 20),
        // A block of which a part is in the store cannot be promoted: there are few others.
        ("leaf.promoted", 5),
    ],
    retries: false,
};
const LONG: Aim = Aim {
    seconds: 480,
    counters: [
        ("store.paged-out", 50_000),
        ("store.paged-in", 50_000),
        ("log.toggled", 500),
        ("leaf.split", 1_000),
        ("leaf.promoted", 1_000),
    ],
    retries: true,
};

/// A leaf of 2 MiB is made of a copy in one piece: in a machine of hardly more memory than the guest takes there soon is none.
const MEMORY: &str = "1536M";

/// What the guest may take; its four processes keep half as much again.
const BUDGET: u64 = 256 << 20;
const KEPT: &str = "96M";

/// A short one on each platform, and a long one on each, which is run by name.
pub fn cases() -> Vec<Case> {
    let each = |machine: Machine| {
        let short = Case::new(format!("smp/stress/{}/short", machine.name), move |setting| {
            stress(setting, machine, &SHORT, text(&setting.hypervisor)?)
        });
        let long = Case::new(format!("smp/stress/{}/long", machine.name), move |setting| {
            stress(setting, machine, &LONG, &delayed(setting)?)
        });
        [short.beside(Company::None), long.long().beside(Company::None)]
    };
    [POWERNV10, POWER10].into_iter().flat_map(each).collect()
}

/// The hypervisor with delays, built as a user builds it.
fn delayed(setting: &Setting) -> Result<String> {
    let built = Command::new(&setting.tool).args(["build", "--delays"]).output().context("cannot start the tool")?;
    let complaints = String::from_utf8_lossy(&built.stderr);
    ensure!(built.status.success(), "scripts/build --delays: {complaints}");
    let printed = String::from_utf8_lossy(&built.stdout);
    Ok(printed.lines().next().context("scripts/build printed nothing")?.to_owned())
}

fn stress(setting: &Setting, machine: Machine, aim: &Aim, hypervisor: &str) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("stats.json");
    let (budget, batch) = (format!("{}M", BUDGET >> 20), work(aim.seconds));
    let guest = ["--cpus", "4", "--host-cpus", "2", "--memory", "1G", "--budget", &budget, "--granule", "2m"];
    let load =
        ["--append", "samewise.disturb=on", "--with", "stress-ng", "--add", text(&setting.probe)?, "--batch", &batch];
    let host = ["--host-memory", MEMORY, "--hypervisor", hypervisor, "--stats", text(&file)?];
    let ended = run(setting, &[&guest[..], &load, &host, &machine.options].concat())?.with_code(0)?;
    let ended = ended.printing("samewise: batch ends with 0")?;
    let stats = Stats::read(&file)?;
    stats.check_pages()?;
    stats.check_cpus("2")?;
    let moved = stats.check_store(BUDGET)?;
    for (name, least) in aim.counters {
        stats.reaches(name, least)?;
    }
    if aim.retries {
        stats.each_reaches("retry.", 1)?;
    }
    Ok(format!("{}, {} pages out, {} back", verified(&ended)?, moved.out, moved.back))
}

/// Our own program, and stress-ng beside it.
fn work(seconds: u32) -> String {
    let ng = "stress-ng --quiet --verify --vm 1 --vm-bytes 24M --mmap 1 --mmap-bytes 16M --fork 1 --switch 1 --affinity 1 --futex 1";
    format!("cd /tmp; {ng} --timeout {seconds} & linux-probe stress {seconds} 4 {KEPT} && wait $!")
}

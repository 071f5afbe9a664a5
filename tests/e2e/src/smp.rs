//! Guests of several processors on machines of one or more: a boot for each cell of a matrix, in which they work, go off, and come back; and
//! what concerns all of a guest's processors at once.

use crate::matrix::{self, Extent, Machine, POWER10, POWERNV10};
use crate::session::{BOOT, Ended, SHELL_READY, Session, run, text};
use crate::stats::Stats;
use crate::{Case, Setting};
use anyhow::{Context, Result, ensure};

/// One combination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    kernel: &'static str,
    machine: Machine,
    /// The guest's processors.
    cpus: &'static str,
    /// The machine's.
    host: &'static str,
}

const CPUS: [&str; 2] = ["2", "4"];
const HOST: [&str; 3] = ["1", "2", "4"];
/// How often each processor goes off and on: in the whole matrix and in one cell of the small selection, and in its other cells.
const OFTEN: u32 = 20;
const SELDOM: u32 = 3;

/// All of them.
pub fn cases(extent: Extent) -> Vec<Case> {
    let cells = cells(extent);
    let cells = cells.into_iter().enumerate().map(|(at, cell)| {
        let times = if extent == Extent::Full || at == 0 { OFTEN } else { SELDOM };
        Case::new(format!("smp/{}", cell.name()), move |setting| boot(setting, cell, times))
    });
    let others = [POWER10, POWERNV10].into_iter().flat_map(|machine| {
        [
            Case::new(format!("smp/backtrace/{}", machine.name), move |setting| backtrace(setting, machine)),
            Case::new(format!("smp/kdump/{}", machine.name), move |setting| kdump(setting, machine)),
        ]
    });
    cells.chain(others).collect()
}

/// Those of an extent.
fn cells(extent: Extent) -> Vec<Cell> {
    match extent {
        Extent::Full => product(),
        Extent::Pairs => matrix::cover(&product(), |cell| cell.values().to_vec()),
    }
}

fn product() -> Vec<Cell> {
    let guests = matrix::KERNELS.iter().flat_map(|&kernel| matrix::MACHINES.map(|machine| (kernel, machine)));
    let processors = CPUS.iter().flat_map(|&cpus| HOST.map(|host| (cpus, host)));
    let cell = |(kernel, machine)| processors.clone().map(move |(cpus, host)| Cell { kernel, machine, cpus, host });
    guests.flat_map(cell).collect()
}

impl Cell {
    /// A value of each dimension, with words that no other dimension has.
    fn values(self) -> [&'static str; 5] {
        let Machine { platform, processor, .. } = self.machine;
        let cpus = if self.cpus == CPUS[0] { "two vCPUs" } else { "four vCPUs" };
        [self.kernel, platform, processor, cpus, self.host]
    }

    fn name(self) -> String {
        format!("{}/{}/cpus-{}/host-{}", self.kernel, self.machine.name, self.cpus, self.host)
    }
}

/// One boot: everything is counted at its end.
fn boot(setting: &Setting, cell: Cell, times: u32) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let stats = dir.path().join("stats.json");
    let Cell { kernel, machine, cpus, host } = cell;
    let batch = under_load(cpus, times);
    let options = ["--kernel", kernel, "--cpus", cpus, "--host-cpus", host, "--memory", "1G", "--batch", &batch];
    let files = ["--add", text(&setting.probe)?, "--stats", text(&stats)?];
    let ended = run(setting, &[&options[..], &machine.options, &files].concat())?.with_code(0)?;
    let ended = ended.printing(&format!("processors-{cpus}-"))?;
    let ended = ended.printing(&format!("hotplug ok: {} processors", cpus.parse::<u32>()? - 1))?;
    let ended = ended.printing("samewise: batch ends with 0")?;
    let stats = Stats::read(&stats)?;
    stats.check_cpus(host)?;
    let counted = stats.check_pages()?;
    Ok(format!("{}, each off and on {times} times, {counted}", verified(&ended)?))
}

/// Processors are counted, and go off and on while the stress goes on beside it, as often as it takes.
fn under_load(cpus: &str, times: u32) -> String {
    let count = "echo processors-$(grep -c ^processor /proc/cpuinfo)-";
    let load = format!("while [ ! -e /tmp/over ]; do linux-probe stress 4 {cpus} || touch /tmp/bad; done &");
    format!("{count}; {load} linux-probe hotplug {times} || touch /tmp/bad; touch /tmp/over; wait; test ! -e /tmp/bad")
}

/// What the stress says that it verified, all its runs together.
pub fn verified(ended: &Ended) -> Result<String> {
    verified_by(&ended.console)
}

/// The same of what one of several guests printed.
pub fn verified_by(console: &str) -> Result<String> {
    let counts = console.lines().filter_map(|line| line.trim().strip_prefix("stress ok: ")).map(stress_counts);
    let sums = counts.collect::<Option<Vec<_>>>().context("an odd line of the stress")?;
    ensure!(!sums.is_empty(), "the stress did not come to an end");
    let (pages, migrations) = sums.iter().fold((0, 0), |(pages, moves), (p, m)| (pages + p, moves + m));
    Ok(format!("{pages} pages verified, {migrations} migrations"))
}

/// `170112 pages verified, 266 migrations`
fn stress_counts(text: &str) -> Option<(u64, u64)> {
    let (pages, rest) = text.split_once(" pages verified, ")?;
    Some((pages.parse().ok()?, rest.strip_suffix(" migrations")?.parse().ok()?))
}

/// Each of the others prints where it is when one asks.
fn backtrace(setting: &Setting, machine: Machine) -> Result<String> {
    let options = ["--cpus", "4", "--host-cpus", "2"];
    let mut session = Session::start(setting, &[&options[..], &machine.options].concat())?;
    session.expect(SHELL_READY, BOOT)?;
    session.command("echo l > /proc/sysrq-trigger; sleep 2", BOOT)?;
    session.type_line("poweroff")?;
    let ended = session.end()?.with_code_whatever_it_printed(0)?;
    for cpu in 0..4 {
        ensure!(ended.console.contains(&format!("NMI backtrace for cpu {cpu}")), "processor {cpu} did not answer");
    }
    Ok("four processors answered".into())
}

/// A kernel that dies hands over to one that was loaded before, which counts the processors whose registers were saved: the dying one stops them
/// by a system reset (H_SIGNAL_SYS_RESET), and each saves its own.
fn kdump(setting: &Setting, machine: Machine) -> Result<String> {
    let lines = ["#!/bin/busybox sh", "$b mount -t proc proc /proc", "root/linux-probe vmcore", "$b poweroff -f"];
    let init = lines.map(|line| format!("'{}'", line.replace("$b", "/bin/busybox"))).join(" ");
    let files = "init bin bin/busybox dev dev/console proc root root/linux-probe";
    let pack = format!("for f in {files}; do echo $f; done | cpio -o -H newc > /tmp/initrd");
    let words = "console=hvc0 maxcpus=1 irqpoll reset_devices";
    let load = format!("kexec -p $HOME/vmlinux --initrd=/tmp/initrd --command-line='{words}'");
    let batch = format!("cd /; printf '%s\\n' {init} > init; {pack}; {load} && linux-probe crash");
    let options = ["--cpus", "4", "--host-cpus", "2", "--with", "kexec", "--append", "crashkernel=256M"];
    let files = ["--add", text(&setting.probe)?, "--batch", &batch];
    let ended = run(setting, &[&options[..], &machine.options, &files].concat())?;
    ended.with_code_whatever_it_printed(0)?.printing("vmcore: 4 processors")?;
    Ok("the second kernel found four processors' registers".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_occurs_in_a_selection_no_larger_than_its_largest_dimensions_ask_for() {
        let taken = cells(Extent::Pairs);
        for pair in product().iter().flat_map(|cell| matrix::pairs(&cell.values())) {
            assert!(taken.iter().any(|cell| matrix::pairs(&cell.values()).contains(&pair)), "{pair:?}");
        }
        assert_eq!(taken.len(), 9, "three kernels on three sizes of machine");
    }

    #[test]
    fn the_whole_matrix_has_each_cell_once() {
        let all = cells(Extent::Full);
        assert_eq!(all.len(), 3 * 4 * 2 * 3);
        assert!(all.iter().enumerate().all(|(at, cell)| !all[..at].contains(cell)));
    }

    #[test]
    fn what_the_stress_counted_is_read_from_its_line() {
        assert_eq!(stress_counts("170112 pages verified, 266 migrations"), Some((170_112, 266)));
        assert_eq!(stress_counts("many pages verified, 266 migrations"), None);
    }
}

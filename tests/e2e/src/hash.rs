//! Guests whose addresses are translated by a hashed table: the same kernels, on bare metal, with what other guests are asked for, and the table made larger and smaller meanwhile.

use crate::matrix::{Extent, KERNELS, Machine, POWERNV9, POWERNV10};
use crate::session::{run, text};
use crate::smp::verified;
use crate::stats::Stats;
use crate::{Case, Company, Setting};
use anyhow::{Result, ensure};

/// One guest.
#[derive(Clone, Copy, Debug)]
struct Cell {
    kernel: &'static str,
    machine: Machine,
    /// The guest's processors, and the machine's.
    cpus: [&'static str; 2],
}

const ONE: [&str; 2] = ["1", "1"];
const FOUR: [&str; 2] = ["4", "2"];
/// log2 of the bytes of the tables that a guest of 1 GiB has: 8 MiB is what it begins with, 16 MiB the most it may have.
const ORDERS: &str = "24 21 23 20 24 23";
/// What the guest of the stress may take. It is small: whatever goes over a whole slot, as the log does, goes over each entry of the table that maps it.
const BUDGET: u64 = 128 << 20;
/// Its tables: 4 MiB is what it begins with.
const STRESS_ORDERS: &str = "23 21 22";

/// All of them.
pub fn cases(extent: Extent) -> Vec<Case> {
    let boots = cells(extent).into_iter().map(|cell| {
        let name = format!("hash/{}", cell.name());
        Case::new(name, move |setting| boot(setting, cell))
    });
    let stresses = stressed(extent).into_iter().map(|cell| {
        let name = format!("hash/stress/{}", cell.name());
        Case::new(name, move |setting| stress(setting, cell)).beside(Company::None)
    });
    boots.chain(stresses).collect()
}

/// All, or each kernel with each machine and each number of processors.
fn cells(extent: Extent) -> Vec<Cell> {
    let machines = [POWERNV9, POWERNV10].into_iter();
    let pairs = machines.flat_map(|machine| KERNELS.map(|kernel| (machine, kernel)));
    let all = pairs.flat_map(|(machine, kernel)| [ONE, FOUR].map(|cpus| Cell { kernel, machine, cpus }));
    let is_taken = |at: usize| extent == Extent::Full || matches!(at % 4, 0 | 3);
    all.enumerate().filter(|(at, _)| is_taken(*at)).map(|(_, cell)| cell).collect()
}

/// Those that get less memory than they use: all, or one on each machine.
fn stressed(extent: Extent) -> Vec<Cell> {
    let few = [
        Cell { kernel: "debian-6.12-64k", machine: POWERNV9, cpus: ONE },
        Cell { kernel: "debian-6.1", machine: POWERNV10, cpus: FOUR },
    ];
    if extent == Extent::Full { cells(extent) } else { few.to_vec() }
}

impl Cell {
    fn name(self) -> String {
        format!("{}/{}/cpus-{}", self.kernel, self.machine.name, self.cpus[0])
    }
}

/// A shell that gives the table one size after the other, as often as `again` says so. What it begins with and more has to be taken; for a smaller one there may be too many entries.
fn resizes(orders: &str, again: &str) -> String {
    let set = "if echo $o > $f; then echo resized; elif [ $o -ge $first ]; then touch /tmp/bad; fi";
    let file = "/sys/kernel/debug/powerpc/hpt_order";
    format!(
        "mount -t debugfs d /sys/kernel/debug; f={file}; first=$(($(cat $f))); while {again}; do for o in {orders}; do {set}; done; done"
    )
}

/// The load, and something else beside it until it is over. What the load says comes after that: both write to one console.
fn loaded(load: &str, beside: &str) -> String {
    let load = format!("linux-probe {load} > /tmp/said || touch /tmp/bad; touch /tmp/over");
    format!("({load}) & {beside}; wait; cat /tmp/said; test ! -e /tmp/bad")
}

/// A pattern over three quarters of its memory, then the stress, beside which the table's size changes.
fn boot(setting: &Setting, Cell { kernel, machine, cpus: [cpus, host] }: Cell) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let stats = dir.path().join("stats.json");
    let first =
        "grep -q 'MMU.*Hash' /proc/cpuinfo || exit 1; linux-probe pattern 768M || exit 1; linux-probe fp 5 || exit 1";
    let beside = resizes(ORDERS, "[ ! -e /tmp/over ]");
    let batch = format!("{first}; {}", loaded(&format!("stress 8 {cpus}"), &beside));
    let options = ["--mmu", "hash", "--kernel", kernel, "--cpus", cpus, "--host-cpus", host, "--batch", &batch];
    let files = ["--add", text(&setting.probe)?, "--stats", text(&stats)?];
    let ended = run(setting, &[&options[..], &machine.options, &files].concat())?.with_code(0)?;
    let ended = ended.printing("samewise: batch ends with 0")?;
    let stats = Stats::read(&stats)?;
    stats.check_cpus(host)?;
    let counted = stats.check_hashed_pages()?;
    Ok(format!("{}, {} sizes, {counted}", verified(&ended)?, ended.console.matches("resized").count()))
}

/// Less memory than it uses, while the dirty log goes on and off, and the table is made larger and smaller.
fn stress(setting: &Setting, Cell { kernel, machine, cpus: [cpus, host] }: Cell) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("stats.json");
    let budget = format!("{}M", BUDGET >> 20);
    let kernel = ["--mmu", "hash", "--kernel", kernel];
    let batch = loaded("stress 15 2 40M", &resizes(STRESS_ORDERS, "sleep 1; [ ! -e /tmp/over ]"));
    let guest = ["--cpus", cpus, "--host-cpus", host, "--memory", "384M", "--budget", &budget];
    let load = ["--append", "samewise.disturb=on", "--add", text(&setting.probe)?, "--batch", &batch];
    let files = ["--stats", text(&file)?];
    let ended = run(setting, &[&kernel[..], &guest, &load, &files, &machine.options].concat())?.with_code(0)?;
    let ended = ended.printing("samewise: batch ends with 0")?;
    let stats = Stats::read(&file)?;
    stats.check_hashed_pages()?;
    let moved = stats.check_store(BUDGET)?;
    ensure!(moved.out >= 10_000 && moved.back >= 5_000, "only {} pages out and {} back", moved.out, moved.back);
    stats.reaches("log.toggled", 50)?;
    let sizes = ended.console.matches("resized").count();
    ensure!(sizes >= 3, "the table had only {sizes} sizes");
    Ok(format!("{}, {sizes} sizes, {} pages out, {} back", verified(&ended)?, moved.out, moved.back))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_small_selection_has_each_kernel_on_each_machine() {
        let (taken, all) = (cells(Extent::Pairs), cells(Extent::Full));
        assert_eq!((taken.len(), all.len()), (6, 12));
        for cell in &all {
            assert!(taken.iter().any(|other| (other.kernel, other.machine) == (cell.kernel, cell.machine)));
            assert!(taken.iter().any(|other| (other.machine, other.cpus) == (cell.machine, cell.cpus)));
        }
    }

    #[test]
    fn each_stress_of_the_small_selection_is_one_of_all() {
        let all: Vec<_> = stressed(Extent::Full).into_iter().map(Cell::name).collect();
        assert!(stressed(Extent::Pairs).into_iter().all(|cell| all.contains(&cell.name())));
    }
}

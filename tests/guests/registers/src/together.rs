//! All vCPUs at once: how they are started, what they share, and what they come to in sum.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::area::{self, Half};
use crate::console::say;
use crate::exits::{self, Part, now};
use crate::machine::Machine;
use crate::smp::{self, Barrier};
use crate::trial::Report;
use crate::{hashed, seed, stale};

unsafe extern "C" {
    fn started();
}

/// Where the device tree is, for those that are started later.
static TREE: AtomicU64 = AtomicU64::new(0);
static ALL_HERE: Barrier = Barrier::new();
static ROUNDS: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);
static LATE: AtomicU64 = AtomicU64::new(0);

/// Starts the others, does the first vCPU's part, and prints the sums.
pub fn run(machine: &Machine, tree: u64) -> Result<(), &'static str> {
    TREE.store(tree, Ordering::Release);
    exits::prepare(machine);
    let servers = machine.servers();
    for (vcpu, &server) in servers.iter().enumerate().skip(1) {
        if smp::start(machine, server, started as *const () as u64, area::address(vcpu)) != 0 {
            return Err("a vCPU was not started");
        }
    }
    work(machine, 0, tree);
    let (rounds, failed, late) = [&ROUNDS, &FAILED, &LATE].map(|sum| sum.load(Ordering::Relaxed)).into();
    if late > 0 {
        say!("registers: {late} external interrupts came late");
    }
    match servers.len() {
        1 => say!("registers: {rounds} rounds, {failed} failed"),
        vcpus => say!("registers: {rounds} rounds, {failed} failed, {vcpus} vCPUs"),
    }
    Ok(())
}

/// What a vCPU that was started does: its part.
pub fn join(vcpu: usize) -> Result<(), &'static str> {
    let tree = TREE.load(Ordering::Acquire);
    let machine = Machine::discover(tree)?;
    work(&machine, vcpu, tree);
    Ok(())
}

/// Stops this vCPU; one that cannot be stopped waits.
pub fn stop() -> ! {
    let token = Machine::discover(TREE.load(Ordering::Acquire)).ok().and_then(|machine| machine.token("stop-self"));
    loop {
        if let Some(token) = token {
            smp::stop_self(token);
        }
        smp::relax();
    }
}

/// One vCPU's trials, begun, changed over and ended together with those of all others.
fn work(machine: &Machine, vcpu: usize, tree: u64) {
    let vcpus = machine.servers().len();
    let mut report = Report::new(vcpu, seed::of(tree, machine.servers()[vcpu]));
    let start = now();
    ALL_HERE.wait(vcpus);
    exits::run_all(machine, &mut report, Part { vcpu, vcpus, half: Half::First });
    ALL_HERE.wait(vcpus);
    if vcpu == 0 {
        area::exchange_pairs();
    }
    ALL_HERE.wait(vcpus);
    report.go_on(Half::Second);
    exits::run_all(machine, &mut report, Part { vcpu, vcpus, half: Half::Second });
    // A hash guest drops its mappings by calls, which reach every CPU.
    let looks = if hashed::is_so() { 0 } else { stale::run(machine, vcpu, &mut report) };
    if vcpu == 0 {
        say!("registers: {looks} looks at a mapping that its vCPU changed");
        report.name_constant();
    }
    if vcpus > 1 {
        let time = (now() - start) / (machine.timebase / 1000);
        say!("registers: vCPU {vcpu}: {} rounds, {} failed, {time} ms", report.rounds, report.failed);
    }
    for (sum, part) in [(&ROUNDS, report.rounds), (&FAILED, report.failed), (&LATE, report.late)] {
        sum.fetch_add(part, Ordering::Relaxed);
    }
    ALL_HERE.wait(vcpus);
}

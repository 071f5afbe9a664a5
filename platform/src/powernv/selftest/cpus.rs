//! Every thread of every core that the device tree names: the boot CPU is one of them, and all others start, say who they are, and are of the same design.

use super::Report;
use crate::boot::fdt::Machine;
use crate::cpus::{self, All, CpuError, Started};
use crate::powernv::opal;
use ppc64_arch::spr::{hypervisor, live};
use tock_registers::interfaces::Readable;

/// A line for each thread but those beyond the number that is started at most, then one for all. Those that were started.
pub fn run(report: &mut Report, machine: &Machine, expected: Option<u32>) -> All {
    let boot = u32::try_from(hypervisor::pir()).unwrap_or(u32::MAX);
    let mut all = All::new();
    let (mut threads, mut running, mut left) = (0, 0, 0);
    for &pir in machine.cores.iter().flatten() {
        threads += 1;
        if pir == boot {
            running += 1;
            report.check("cpu", Ok(format_args!("PIR {pir} runs this test, PVR {:#010x}", live::PVR.get())));
            continue;
        }
        match one(report, machine, &mut all, pir) {
            Ok(()) => running += 1,
            Err(CpuError::NoPost) => left += 1,
            Err(_) => {}
        }
    }
    let wanted = expected.unwrap_or(threads);
    let passes = running + left == threads && threads == wanted && running > 0;
    report.verdict(
        "cpus",
        passes,
        format_args!(
            "{threads} threads in {} cores, {wanted} expected, {running} running, {left} left alone",
            machine.cores.len()
        ),
    );
    all
}

/// Starts a thread and asks it who it is.
fn one(report: &mut Report, machine: &Machine, all: &mut All, pir: u32) -> Result<(), CpuError> {
    let before = opal::cpu_status(pir);
    let answer = cpus::start(all, pir, machine.timebase_hz).and_then(identity);
    match answer {
        Ok((is, pvr)) => {
            let passes = is == pir && u64::from(pvr) == live::PVR.get();
            report.verdict("cpu", passes, format_args!("PIR {pir} started, says PIR {is}, PVR {pvr:#010x}"));
            if passes { Ok(()) } else { Err(CpuError::Silent) }
        }
        Err(CpuError::NoPost) => Err(CpuError::NoPost),
        Err(why) => {
            report.check("cpu", Err(format_args!("PIR {pir}: {why} (firmware's status before: {before:?})")));
            Err(why)
        }
    }
}

/// PIR and PVR of a CPU, as it reads them.
fn identity(started: &Started) -> Result<(u32, u32), CpuError> {
    extern "C" fn read(_: u64) -> u64 {
        hypervisor::pir() << 32 | live::PVR.get()
    }
    let (answer, ()) = started.run(read, 0, || ())?;
    Ok((crate::decrementer::low_word(answer >> 32), crate::decrementer::low_word(answer)))
}

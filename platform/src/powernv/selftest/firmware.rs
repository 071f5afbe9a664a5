//! What is below us: console, firmware, clock.

use super::Report;
use crate::boot::fdt::Machine;
use crate::powernv::opal;
use crate::terminal::Terminal;

/// A line each. A machine without firmware, or without a clock, is one that is known, and no failure.
pub fn run(report: &mut Report, machine: &Machine) {
    report.check(
        "console",
        Ok(format_args!("{:?}, log on {:?}", Terminal::first(), crate::below::log_terminal(machine))),
    );
    match (machine.opal, machine.firmware) {
        (Some(opal), Some(version)) => {
            report.check("firmware", Ok(format_args!("{version}, called at {:#x}", opal.entry)));
        }
        (Some(opal), None) => {
            report.check("firmware", Ok(format_args!("without a version, called at {:#x}", opal.entry)))
        }
        (None, _) => report.check("firmware", Ok(format_args!("none"))),
    }
    match opal::wall_clock() {
        Some(seconds) => report.check("clock", Ok(format_args!("{seconds} s since 1970"))),
        None => report.check("clock", Ok(format_args!("no clock"))),
    }
}

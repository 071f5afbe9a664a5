//! What the guest printed, and the lines on it with which a kernel says that something went wrong although it runs on.

use anyhow::{Result, bail};
use std::ops::Deref;

/// Everything that a guest printed.
#[derive(Clone, Debug, Default)]
pub struct Console(pub String);

/// Complaints of Linux, in small letters.
const COMPLAINTS: [&str; 12] = [
    "detected stall",
    "detected expedited stall",
    "kthread starved for",
    "kthread timer wakeup didn't happen",
    "soft lockup",
    "hard lockup",
    "non-responsive csd",
    "blocked for more than",
    "warning:",
    "bug:",
    "oops:",
    "call trace",
];

impl Console {
    /// Checks that no line is such a complaint.
    pub fn is_clean(&self) -> Result<()> {
        let lines: Vec<_> = self.lines().collect();
        let Some(at) = lines.iter().position(|line| is_complaint(line)) else { return Ok(()) };
        bail!("the guest complains:\n{}", lines[at..lines.len().min(at + 30)].join("\n"))
    }
}

impl Deref for Console {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

fn is_complaint(line: &str) -> bool {
    let line = line.to_lowercase();
    COMPLAINTS.iter().any(|complaint| line.contains(complaint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_complaint_is_found() {
        for line in [
            "rcu: INFO: rcu_sched self-detected stall on CPU",
            "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
            "rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 1-... }",
            "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [x:1]",
            "watchdog: CPU 0 detected hard LOCKUP on other CPUs 1",
            "WARNING: CPU: 1 PID: 0 at kernel/smp.c:123 x+0x1/0x2",
            "Oops: Kernel access of bad area, sig: 11 [#1]",
            "Call Trace:",
            "INFO: task sh:1 blocked for more than 120 seconds.",
        ] {
            let console = Console(format!("[    1.0] a line\n[    2.0] {line}\r\n"));
            assert!(console.is_clean().unwrap_err().to_string().contains(line), "{line}");
        }
    }

    #[test]
    fn what_a_kernel_says_of_its_watchdogs_at_boot_is_no_complaint() {
        let lines = "rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.\nwatchdog: Delayed init of the lockup detector failed: -19\nsmp: Brought up 1 node, 4 CPUs\n";
        assert!(Console(lines.into()).is_clean().is_ok());
    }
}

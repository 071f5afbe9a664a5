//! A guest of our own that does everything a guest must not do, and counts how it was answered.

use crate::matrix::{Machine, POWER9, POWER10, POWERNV10};
use crate::session::{run, text};
use crate::{Case, Setting};
use anyhow::{Context, Result, ensure};

const MACHINES: [Machine; 3] = [POWER9, POWER10, POWERNV10];

/// What several vCPUs do to each other, next to what one does: on two CPUs.
const TOGETHER: &[&str] = &["--cpus", "4", "--host-cpus", "2", "--append", "only-smp"];

/// One case for each machine with one vCPU, and one with several.
pub fn cases() -> Vec<Case> {
    let each = |machine: Machine| {
        let name = format!("hostile/{}", machine.name);
        let together = Case::new(format!("{name}/cpus-4"), move |setting| attack(setting, machine, TOGETHER));
        [Case::new(name, move |setting| attack(setting, machine, &[])), together]
    };
    MACHINES.into_iter().flat_map(each).collect()
}

fn attack(setting: &Setting, machine: Machine, more: &[&str]) -> Result<String> {
    let guest = ["--kernel", text(&setting.hostile)?, "--timeout", "180"];
    let ended = run(setting, &[&guest[..], &machine.options, more].concat())?;
    let ended = ended.with_code(0)?;
    let failures: Vec<_> = ended.console.lines().filter(|line| line.contains("FAIL")).collect();
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    let summary = ended.console.lines().filter_map(|line| line.trim().strip_prefix("hostile: ")).next_back();
    let summary = summary.context("the hostile guest printed no summary")?;
    ensure!(summary.ends_with("0 failed"), "{summary}");
    Ok(summary.to_owned())
}
